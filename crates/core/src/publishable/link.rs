//! Links: how a snapshot names other instances without holding them (spec §4.2).

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use uuid::Uuid;

use crate::{Attribute, JsonWriter, Schema, SchemaOf};

/// A link of a model.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LinkInfo {
    /// The name on the wire, within `links`: `account`, `bookings_fees`.
    pub name: &'static str,
    /// What it holds.
    pub kind: LinkKind,
    /// The column with the id of the linked instance; `None` when the link is computed, read from a part, or to many.
    pub column: Option<&'static str>,
    /// The column with the model of a polymorphic link; `None` for other links, and when the model is computed.
    pub type_column: Option<&'static str>,
    /// What it is written as.
    pub schema: SchemaOf,
}

/// What a link holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LinkKind {
    /// An id, or null: `"account":7`.
    ToOne,
    /// The type and the id of an instance, or null: `"bookable":{"type":"Rental","id":77}`. Also a computed to-one link.
    Polymorphic,
    /// A list of ids: `"bookings_fees":[11,12]`.
    ToMany,
}

/// A type whose values are primary keys. Implemented for integers, strings and `Uuid`.
///
/// For a type of your own:
///
/// ```
/// use dionysus_core::{Attribute, JsonWriter, LinkId};
///
/// struct AccountId(i64);
///
/// impl Attribute for AccountId {
///     fn write(&self, out: &mut JsonWriter) {
///         out.integer(self.0);
///     }
/// }
///
/// impl LinkId for AccountId {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of a linked instance",
    label = "names no instance",
    note = "ids are integers, strings or `Uuid`s; for an id type of your own write `impl LinkId for MyId {{}}`"
)]
pub trait LinkId: Attribute {}

macro_rules! ids {
    ($($id:ty),+) => { $(impl LinkId for $id {})+ };
}

ids!(i16, i32, i64, u16, u32, u64, str, String, Cow<'_, str>, Uuid);

impl<T: LinkId + ?Sized> LinkId for &T {}
impl<T: LinkId + ?Sized> LinkId for Box<T> {}
impl<T: LinkId + ?Sized> LinkId for Arc<T> {}
impl<T: LinkId + ?Sized> LinkId for Rc<T> {}

/// What a to-one link can be read from: an id, an `Option` of one, or a [`Polymorphic`] value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a to-one link",
    label = "is not the id of one instance",
    note = "`link = \"..\"` needs an integer, a string, a `Uuid` or an `Option` of these; for a list of ids write `links = \"..\"`",
    note = "for an id type of your own write `impl LinkId for MyId {{}}`"
)]
pub trait ToOne {
    /// Writes the id, an object with type and id, or null.
    fn write_link(&self, out: &mut JsonWriter);

    /// What `write_link` writes, as consumers are told; without it, any JSON value.
    fn link_schema() -> Schema {
        Schema::any()
    }
}

impl<T: LinkId> ToOne for T {
    fn write_link(&self, out: &mut JsonWriter) {
        self.write(out);
    }

    fn link_schema() -> Schema {
        T::schema()
    }
}

impl<T: ToOne> ToOne for Option<T> {
    fn write_link(&self, out: &mut JsonWriter) {
        match self {
            Some(link) => link.write_link(out),
            None => out.null(),
        }
    }

    fn link_schema() -> Schema {
        T::link_schema().nullable()
    }
}

/// What a to-many link can be read from: a list of ids.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a to-many link",
    label = "is not a list of ids",
    note = "`links = \"..\"` needs a `Vec` of integers, strings or `Uuid`s; for one id write `link = \"..\"`"
)]
pub trait ToMany {
    /// Writes the ids as an array.
    fn write_links(&self, out: &mut JsonWriter);

    /// What `write_links` writes, as consumers are told; without it, any JSON value.
    fn links_schema() -> Schema {
        Schema::any()
    }
}

impl<T: LinkId> ToMany for [T] {
    fn write_links(&self, out: &mut JsonWriter) {
        out.begin_array();
        for id in self {
            out.element();
            id.write(out);
        }
        out.end_array();
    }

    fn links_schema() -> Schema {
        Schema::list(T::schema())
    }
}

impl<T: LinkId> ToMany for Vec<T> {
    fn write_links(&self, out: &mut JsonWriter) {
        self.as_slice().write_links(out);
    }

    fn links_schema() -> Schema {
        Schema::list(T::schema())
    }
}

impl<T: LinkId, const N: usize> ToMany for [T; N] {
    fn write_links(&self, out: &mut JsonWriter) {
        self.as_slice().write_links(out);
    }

    fn links_schema() -> Schema {
        Schema::list(T::schema())
    }
}

/// A link to an instance of one of several models: `{"type":"Rental","id":77}`.
///
/// A field with `type_from` writes null when its id is null; this value can also say a type whose id is null.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Polymorphic<T, I> {
    /// The model of the linked instance.
    pub model: T,
    /// Its id.
    pub id: I,
}

impl<T: Attribute, I: ToOne> ToOne for Polymorphic<T, I> {
    fn write_link(&self, out: &mut JsonWriter) {
        out.begin_object();
        out.attribute("type", &self.model);
        out.key("id");
        self.id.write_link(out);
        out.end_object();
    }

    fn link_schema() -> Schema {
        Schema::object([("type", T::schema()), ("id", I::link_schema())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(link: &impl ToOne) -> String {
        let mut out = JsonWriter::new();
        link.write_link(&mut out);
        String::from_utf8(out.finish().unwrap()).unwrap()
    }

    fn many(links: &impl ToMany) -> String {
        let mut out = JsonWriter::new();
        links.write_links(&mut out);
        String::from_utf8(out.finish().unwrap()).unwrap()
    }

    #[test]
    fn a_to_one_link_is_an_id_or_null() {
        assert_eq!(one(&7_i64), "7");
        assert_eq!(one(&"PL/ł <b>"), "\"PL/ł \\u003cb\\u003e\"");
        assert_eq!(one(&Some(Uuid::nil())), "\"00000000-0000-0000-0000-000000000000\"");
        assert_eq!(one(&None::<String>), "null");
    }

    #[test]
    fn a_polymorphic_link_says_its_type() {
        assert_eq!(
            one(&Polymorphic { model: "Rental", id: "77" }),
            r#"{"type":"Rental","id":"77"}"#
        );
        let without_id = Polymorphic { model: "Owner", id: None::<i64> };
        assert_eq!(one(&without_id), r#"{"type":"Owner","id":null}"#);
        assert_eq!(one(&Some(without_id)), r#"{"type":"Owner","id":null}"#);
    }

    #[test]
    fn a_to_many_link_is_a_list_that_may_be_empty() {
        assert_eq!(many(&vec![11_i64, 12]), "[11,12]");
        assert_eq!(many(&Vec::<String>::new()), "[]");
        assert_eq!(many(&["a", "b"]), r#"["a","b"]"#);
    }
}

//! Parts: models that are published inside their aggregate root, one level deep (spec §4.2).
//!
//! A snapshot without its parts looks to a consumer like one whose parts were all removed. So a part that nobody has loaded is a state of its own,
//! and writing it is refused: an empty list on the wire always means that there are none.

use super::{AttributeInfo, Publishable};
use crate::json::PART_NOT_LOADED;
use crate::{JsonWriter, Schema, SchemaOf};

/// A part of a model.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PartInfo {
    /// The name on the wire, beside the attributes: `bookings_fees`.
    pub name: &'static str,
    /// The model of the part: `BookingsFee`.
    pub model: &'static str,
    /// The table of the part.
    pub table: &'static str,
    /// The primary key of the part's table; parts are written in its order.
    pub primary_key: &'static str,
    /// Whether it is a list.
    pub to_many: bool,
    /// How a part is found.
    pub key: PartKey,
    /// What it is written as: a list of the part's snapshots, or one or null.
    pub schema: SchemaOf,
}

/// Which column ties a part to its root.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PartKey {
    /// This column of the part's table holds the root's primary key: `bookings_fees.booking_id`.
    InPart(&'static str),
    /// This column of the root's table holds the part's primary key: `properties.owner_id`.
    InRoot(&'static str),
}

/// That a model has parts of the model `P`. Implemented by `#[derive(Publishable)]` for the fields marked `part`.
///
/// Who loads parts in bulk selects them by [`PARTS`](Publishable::PARTS), groups them by root and hands them to each root.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no part `{P}`",
    label = "declares no such part",
    note = "add a field to `{Self}`: `#[publishable(part)] parts: Part<Vec<{P}>>`, or `Part<Option<{P}>>` for at most one"
)]
pub trait HasPart<P: Publishable>: Publishable {
    /// The names on the wire under which parts of this model stand: lists first.
    const NAMES: &'static [&'static str];

    /// Sets the part of this name to what was loaded, none included. Of a part that is no list, the first counts. Does nothing for other names.
    fn attach(&mut self, name: &str, loaded: Vec<P>);
}

/// A part as a field: `Part<Vec<Fee>>` or `Part<Option<Owner>>`, loaded or not yet.
///
/// With sqlx, which does not read it from the root's row:
/// `#[sqlx(skip)] #[publishable(part)] fees: Part<Vec<Fee>>`. The default is [`NotLoaded`](Self::NotLoaded).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Part<T> {
    /// Nobody has read it: a snapshot that needs it is refused.
    #[default]
    NotLoaded,
    /// All there are.
    Loaded(T),
}

impl<T> Part<T> {
    /// What was loaded.
    pub const fn loaded(&self) -> Option<&T> {
        match self {
            Self::NotLoaded => None,
            Self::Loaded(part) => Some(part),
        }
    }
}

impl<T> From<T> for Part<T> {
    fn from(part: T) -> Self {
        Self::Loaded(part)
    }
}

/// What a field marked `part` can be: `Vec<T>` or `Option<T>` of a model, for a struct that is always complete, or a [`Part`] of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part",
    note = "a part is a `Vec<T>` or `Option<T>` of a model, or a `Part` of these: `Part<Vec<T>>`"
)]
pub trait PartField {
    /// The part's model.
    type Model: Publishable;
    /// Whether it is a list.
    const TO_MANY: bool;

    /// Writes the snapshots: an array, or one object or null.
    fn write_parts(&self, out: &mut JsonWriter);

    /// Writes the ids, as the link of the part's name has them.
    fn write_ids(&self, out: &mut JsonWriter);

    /// Sets what was loaded.
    fn attach(&mut self, loaded: Vec<Self::Model>);

    /// What `write_parts` writes.
    fn parts_schema() -> Schema {
        let snapshot = Schema::snapshot_of::<Self::Model>(&[]);
        if Self::TO_MANY { Schema::list(snapshot) } else { snapshot.nullable() }
    }

    /// What `write_ids` writes.
    fn ids_schema() -> Schema {
        let id = Self::Model::id_schema();
        if Self::TO_MANY { Schema::list(id) } else { id.nullable() }
    }
}

impl<T: Publishable> PartField for Vec<T> {
    type Model = T;
    const TO_MANY: bool = true;

    fn write_parts(&self, out: &mut JsonWriter) {
        write_each(self, out, T::write_snapshot);
    }

    fn write_ids(&self, out: &mut JsonWriter) {
        write_each(self, out, T::write_id);
    }

    fn attach(&mut self, loaded: Vec<T>) {
        *self = loaded;
    }
}

fn write_each<T>(parts: &[T], out: &mut JsonWriter, write: impl Fn(&T, &mut JsonWriter)) {
    out.begin_array();
    for part in parts {
        out.element();
        write(part, out);
    }
    out.end_array();
}

impl<T: Publishable> PartField for Option<T> {
    type Model = T;
    const TO_MANY: bool = false;

    fn write_parts(&self, out: &mut JsonWriter) {
        match self {
            Some(part) => part.write_snapshot(out),
            None => out.null(),
        }
    }

    fn write_ids(&self, out: &mut JsonWriter) {
        match self {
            Some(part) => part.write_id(out),
            None => out.null(),
        }
    }

    fn attach(&mut self, loaded: Vec<T>) {
        *self = loaded.into_iter().next();
    }
}

impl<F: PartField + Default> PartField for Part<F> {
    type Model = F::Model;
    const TO_MANY: bool = F::TO_MANY;

    fn write_parts(&self, out: &mut JsonWriter) {
        match self {
            Self::Loaded(parts) => parts.write_parts(out),
            Self::NotLoaded => out.refuse(PART_NOT_LOADED),
        }
    }

    fn write_ids(&self, out: &mut JsonWriter) {
        match self {
            Self::Loaded(parts) => parts.write_ids(out),
            Self::NotLoaded => out.refuse(PART_NOT_LOADED),
        }
    }

    fn attach(&mut self, loaded: Vec<F::Model>) {
        let mut field = F::default();
        field.attach(loaded);
        *self = Self::Loaded(field);
    }
}

/// Whether one of the attributes is read from the column; the derive asks when it compiles the root.
#[doc(hidden)]
pub const fn has_column(attributes: &[AttributeInfo], column: &str) -> bool {
    let mut at = 0;
    while at < attributes.len() {
        if is_same(attributes[at].column, column) {
            return true;
        }
        at += 1;
    }
    false
}

/// `==` of two strings, which a constant cannot use.
#[doc(hidden)]
pub const fn is_same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_compare_strings_and_columns() {
        assert!(is_same("", "") && is_same("ab", "ab"));
        assert!(!is_same("ab", "a") && !is_same("a", "ab") && !is_same("ab", "ac"));
        let attribute = AttributeInfo {
            name: "x",
            column: "booking_id",
            type_name: "i64",
            hidden: true,
            schema: SchemaOf(Schema::any),
        };
        assert!(has_column(&[attribute], "booking_id"));
        assert!(!has_column(&[attribute], "x") && !has_column(&[], "x"));
    }

    #[test]
    fn what_is_loaded_is_a_state_of_its_own() {
        assert_eq!(Part::<Vec<i64>>::default().loaded(), None);
        assert_eq!(Part::from(vec![1]).loaded(), Some(&vec![1]));
    }
}

//! The schema of a whole snapshot, put together from what the derive knows.

use super::Schema;
use crate::{Attribute, AttributeInfo, LinkInfo, PartInfo, Publishable, ToMany, ToOne};

impl Schema {
    /// A snapshot of a model with these of its parts, by name; names that are no part are left out.
    ///
    /// Attributes and `links` are always there. A part may be missing, because what an observer publishes comes without parts; a consumer leaves
    /// alone what it does not hear of. Further attributes may come beside those named: adding one breaks nobody.
    ///
    /// ```
    /// # extern crate dionysus_core as dionysus;
    /// # use dionysus_derive::Publishable;
    /// use dionysus_core::Schema;
    ///
    /// #[derive(Publishable)]
    /// #[publishable(table = "notes")]
    /// struct Note { id: i64, body: Option<String> }
    ///
    /// let schema = Schema::snapshot_of::<Note>(&[]);
    /// assert_eq!(schema.as_value()["properties"]["body"]["type"], serde_json::json!(["string", "null"]));
    /// ```
    pub fn snapshot_of<M: Publishable>(parts: &[&str]) -> Self {
        let parts = M::PARTS.iter().filter(|part| parts.contains(&part.name));
        Self::snapshot(M::MODEL, M::ATTRIBUTES, M::LINKS, parts)
    }

    /// The same from a model's constants, for who no longer has its type.
    pub fn snapshot<'a>(
        model: &str,
        attributes: &[AttributeInfo],
        links: &[LinkInfo],
        parts: impl IntoIterator<Item = &'a PartInfo>,
    ) -> Self {
        let visible = attributes.iter().filter(|attribute| !attribute.hidden);
        let links = links.iter().map(|link| (link.name, link.schema.get()));
        let members = visible
            .map(|attribute| (attribute.name, attribute.schema.get()))
            .chain([("links", Self::object(links))]);
        let mut snapshot = Self::object(members).with("title", model.into());
        for part in parts {
            snapshot.0["properties"][part.name] = part.schema.get().into_value();
        }
        snapshot
    }
}

/// What a function of an instance returns; only its type counts.
pub fn returned<'a, T, R, F>(_: F) -> Schema
where
    T: 'a,
    R: Attribute,
    F: FnOnce(&'a T) -> R,
{
    R::schema()
}

/// As [`returned`], for a to-one link.
pub fn returned_link<'a, T, R, F>(_: F) -> Schema
where
    T: 'a,
    R: ToOne,
    F: FnOnce(&'a T) -> R,
{
    R::link_schema()
}

/// As [`returned`], for a to-many link.
pub fn returned_links<'a, T, R, F>(_: F) -> Schema
where
    T: 'a,
    R: ToMany,
    F: FnOnce(&'a T) -> R,
{
    R::links_schema()
}

/// A link whose type stands in a field of its own: null without id.
pub fn polymorphic(model: Schema, id: Schema) -> Schema {
    let nullable = id.allows_null();
    let link = Schema::object([("type", model), ("id", id.not_null())]);
    if nullable { link.nullable() } else { link }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_function_is_known_by_what_it_returns() {
        struct Rental(String);
        let name = |rental: &'static Rental| -> &'static str { &rental.0 };
        assert_eq!(returned(name), Schema::string());
        assert_eq!(returned::<Rental, _, _>(|rental| Some(rental.0.len())), {
            usize::schema().nullable()
        });
    }

    #[test]
    fn a_polymorphic_link_is_null_when_its_id_may_be() {
        let link = polymorphic(Schema::string(), Schema::integer().nullable());
        assert_eq!(link.as_value()["type"], json!(["object", "null"]));
        assert_eq!(link.as_value()["properties"]["id"], json!({ "type": "integer" }));
        assert!(!polymorphic(Schema::string(), Schema::integer()).allows_null());
    }
}

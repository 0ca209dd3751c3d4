//! The canonical record: what a snapshot says, under the names that a consumer knows (spec §7.7).

use std::borrow::Cow;

use super::malformed::Malformed;
use super::object::Object;
use super::singular::singular;

/// Levels of sideloaded records that are followed. Producers of ours nest one.
pub(super) const DEPTH_MAX: usize = 16;

/// Canonical names and JSON texts, in order; each name once.
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a>(pub(crate) Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Attributes<'a> {
    /// The JSON text of an attribute, if the record has it.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// As [`get`](Self::get), without what is null.
    pub(crate) fn non_null(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|value| *value != "null")
    }

    fn set(&mut self, name: Cow<'a, str>, value: &'a str) {
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name, value)),
        }
    }
}

/// A record and what was sideloaded with it.
#[derive(Debug, Default)]
pub(crate) struct Canonical<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// To-many links by name; `None` is a link whose records are not here.
    pub(crate) has_many: Vec<(Cow<'a, str>, Option<Vec<Canonical<'a>>>)>,
    /// To-one links by name, or by type where the link is polymorphic.
    pub(crate) has_one: Vec<(Cow<'a, str>, Option<Canonical<'a>>)>,
}

impl<'a> Canonical<'a> {
    /// The canonical form of a record as it was sent.
    pub(super) fn of(object: Object<'a>) -> Result<Self, Malformed> {
        Self::at_depth(object, 0)
    }

    fn at_depth(object: Object<'a>, depth: usize) -> Result<Self, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed::TooDeep { limit: DEPTH_MAX });
        }
        let links = match object.get("links") {
            None | Some("null") => Object::default(),
            Some(text) => serde_json::from_str(text).map_err(|_| Malformed::link("links"))?,
        };
        let mut record = Self {
            attributes: Attributes(Vec::with_capacity(object.0.len() + links.0.len())),
            ..Self::default()
        };
        for (name, link) in &links.0 {
            record.link(&object, name, link, depth)?;
        }
        record.attributes.set("synced_id".into(), object.get("id").unwrap_or("null"));
        for (name, synced) in [
            ("created_at", "synced_created_at"),
            ("updated_at", "synced_updated_at"),
            ("canceled_at", "synced_canceled_at"),
        ] {
            if let Some(value) = object.get(name) {
                record.attributes.set(synced.into(), value);
            }
        }
        for (name, value) in object.0 {
            let reserved =
                matches!(&*name, "links" | "id" | "created_at" | "updated_at" | "canceled_at");
            if !reserved && links.get(&name).is_none() {
                record.attributes.set(name, value);
            }
        }
        Ok(record)
    }

    fn link(
        &mut self,
        object: &Object<'a>,
        name: &str,
        link: &'a str,
        depth: usize,
    ) -> Result<(), Malformed> {
        let malformed = |_| Malformed::link(name);
        let sideload = object.get(name).filter(|value| *value != "null");
        match link.as_bytes().first() {
            Some(b'[') => {
                self.attributes.set(format!("synced_{}_ids", singular(name)).into(), link);
                let children = sideload
                    .map(|text| {
                        let items: Vec<Object<'a>> =
                            serde_json::from_str(text).map_err(malformed)?;
                        items
                            .into_iter()
                            .map(|item| Self::at_depth(item, depth + 1))
                            .collect::<Result<Vec<_>, _>>()
                    })
                    .transpose()?;
                self.has_many.push((name.to_owned().into(), children));
            }
            Some(b'{') => {
                let target: Object<'a> = serde_json::from_str(link).map_err(malformed)?;
                let kind = target.get("type");
                self.attributes
                    .set(format!("synced_{name}_id").into(), target.get("id").unwrap_or("null"));
                self.attributes.set(format!("synced_{name}_type").into(), kind.unwrap_or("null"));
                let model = kind.and_then(text).unwrap_or_else(|| name.to_owned().into());
                self.has_one.push((model, Self::child(sideload, name, depth)?));
            }
            _ => {
                self.attributes.set(format!("synced_{name}_id").into(), link);
                self.has_one.push((name.to_owned().into(), Self::child(sideload, name, depth)?));
            }
        }
        Ok(())
    }

    fn child(
        sideload: Option<&'a str>,
        name: &str,
        depth: usize,
    ) -> Result<Option<Self>, Malformed> {
        let Some(text) = sideload else { return Ok(None) };
        let object = serde_json::from_str(text).map_err(|_| Malformed::link(name))?;
        Self::at_depth(object, depth + 1).map(Some)
    }
}

/// The content of a JSON string; `None` for any other value.
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The form of spec §7.7.
#[cfg(test)]
fn shown(record: &Canonical<'_>) -> serde_json::Value {
    let attributes: serde_json::Map<_, _> = record
        .attributes
        .0
        .iter()
        .map(|(name, value)| (name.clone().into_owned(), serde_json::from_str(value).unwrap()))
        .collect();
    let has_many: Vec<_> = record
        .has_many
        .iter()
        .map(|(name, children)| {
            serde_json::json!([
                name,
                children.as_ref().map(|c| c.iter().map(shown).collect::<Vec<_>>())
            ])
        })
        .collect();
    let has_one: Vec<_> = record
        .has_one
        .iter()
        .map(|(name, child)| serde_json::json!([name, child.as_ref().map(shown)]))
        .collect();
    serde_json::json!({ "attributes": attributes, "has_many": has_many, "has_one": has_one })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> serde_json::Value {
        let object: Object<'_> = serde_json::from_str(text).unwrap();
        shown(&Canonical::of(object).unwrap())
    }

    #[test]
    fn the_gems_example_comes_out_as_the_gem_has_it() {
        let record = canonical(
            r#"{"links":{"account":2,"bookings":[3,4],"clients":[20],"taxes":[],"bookable":{"type":"Property","id":123},"empty_bookable":{}},
                "id":1,"name":"BookingSync","updated_at":"2020-01-02 12:00:01","settings":{"t":11},
                "bookable":{"links":{},"id":123},"clients":[{"links":{},"id":20,"fullname":"Rich"}]}"#,
        );
        let expected: serde_json::Value = serde_json::from_str(
            r#"{"attributes":{"synced_account_id":2,"synced_booking_ids":[3,4],"synced_client_ids":[20],"synced_tax_ids":[],
                "synced_bookable_id":123,"synced_bookable_type":"Property","synced_empty_bookable_id":null,"synced_empty_bookable_type":null,
                "synced_id":1,"synced_updated_at":"2020-01-02 12:00:01","name":"BookingSync","settings":{"t":11}},
                "has_many":[["bookings",null],["clients",[{"attributes":{"synced_id":20,"fullname":"Rich"},"has_many":[],"has_one":[]}]],["taxes",null]],
                "has_one":[["account",null],["Property",{"attributes":{"synced_id":123},"has_many":[],"has_one":[]}],["empty_bookable",null]]}"#,
        )
        .unwrap();
        assert_eq!(record, expected);
    }

    #[test]
    fn times_are_set_only_when_they_are_there() {
        let record = canonical(r#"{"id":1,"canceled_at":null}"#);
        assert_eq!(
            record["attributes"],
            serde_json::json!({ "synced_id": 1, "synced_canceled_at": null })
        );
    }

    #[test]
    fn literal_names_override_and_the_last_of_two_equal_names_wins() {
        let record = canonical(r#"{"id":1,"synced_id":99,"name":"a","name":"b","na\u006de":"c"}"#);
        assert_eq!(record["attributes"], serde_json::json!({ "synced_id": 99, "name": "c" }));
    }

    #[test]
    fn only_links_make_a_relation() {
        let record = canonical(r#"{"id":1,"links":{},"fees":[{"id":2}]}"#);
        assert_eq!(record["attributes"]["fees"], serde_json::json!([{ "id": 2 }]));
        assert_eq!(record["has_many"], serde_json::json!([]));
        let sideloaded = canonical(r#"{"id":1,"links":{"fees":[2]},"fees":[]}"#);
        assert_eq!(sideloaded["has_many"], serde_json::json!([["fees", []]]));
        assert_eq!(
            sideloaded["attributes"],
            serde_json::json!({ "synced_fee_ids": [2], "synced_id": 1 })
        );
    }

    #[test]
    fn a_number_keeps_all_its_digits() {
        let object: Object<'_> =
            serde_json::from_str(r#"{"id":1,"total":12345678901234567890123.4500}"#).unwrap();
        let record = Canonical::of(object).unwrap();
        assert_eq!(record.attributes.get("total"), Some("12345678901234567890123.4500"));
    }
}

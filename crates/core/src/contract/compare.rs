//! What changed between two schemas.

use serde_json::{Map, Value};

use super::ChangeKind;
use crate::Schema;

/// Say nothing of which values can come.
const ANNOTATIONS: [&str; 5] = ["title", "description", "examples", "default", "$comment"];

/// What [`Comparer::schemas`] looks at by itself; `format` is not among them for texts.
const COMPARED: [&str; 8] = [
    "type",
    "enum",
    "minimum",
    "maximum",
    "items",
    "properties",
    "required",
    "additionalProperties",
];

/// One difference, with its place.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Comparison {
    pub(super) place: String,
    pub(super) kind: ChangeKind,
    pub(super) detail: String,
}

/// What a member is called in the change.
#[derive(Clone, Copy)]
enum Member {
    Attribute,
    Link,
    Part,
}

/// The differences of two snapshots.
pub(super) fn compare_snapshots(old: &Value, new: &Value) -> Vec<Comparison> {
    let mut comparer = Comparer(Vec::new());
    comparer.schemas("", old, new);
    comparer.0
}

struct Comparer(Vec<Comparison>);

impl Comparer {
    fn add(&mut self, place: &str, kind: ChangeKind, detail: impl Into<String>) {
        self.0.push(Comparison { place: place.to_owned(), kind, detail: detail.into() });
    }

    fn schemas(&mut self, place: &str, old: &Value, new: &Value) {
        let (old, new) = (Schema::from(old.clone()), Schema::from(new.clone()));
        match (old.is_any(), new.is_any()) {
            (true, true) => return,
            (true, false) => {
                let detail = format!("any value became {}", named(&new));
                return self.add(place, ChangeKind::TypeSpecified, detail);
            }
            (false, true) => {
                let detail = format!("{} became any value", named(&old));
                return self.add(place, ChangeKind::TypeChanged, detail);
            }
            (false, false) => {}
        }
        match (old.allows_null(), new.allows_null()) {
            (false, true) => self.add(place, ChangeKind::NullAdded, "null can come now"),
            (true, false) => self.add(place, ChangeKind::NullRemoved, "null no longer comes"),
            _ => {}
        }
        self.not_null(place, &old.not_null(), &new.not_null());
    }

    fn not_null(&mut self, place: &str, old: &Schema, new: &Schema) {
        let (before, after) = (old.as_value(), new.as_value());
        if before["type"] != after["type"] || rest(before) != rest(after) {
            let detail = match (named(old), named(new)) {
                (old, new) if old == new => format!("{old} got another form"),
                (old, new) => format!("{old} became {new}"),
            };
            return self.add(place, ChangeKind::TypeChanged, detail);
        }
        match before["type"].as_str() {
            Some("integer" | "number") => self.numbers(place, before, after),
            Some("string") => self.labels(place, before, after),
            Some("array") => {
                let items = |list: &Value| list.get("items").cloned().unwrap_or(true.into());
                self.schemas(&format!("{place}[]"), &items(before), &items(after));
            }
            Some("object") => self.objects(place, before, after),
            _ if COMPARED.iter().any(|keyword| before.get(keyword) != after.get(keyword)) => {
                self.add(place, ChangeKind::TypeChanged, "the value got another form");
            }
            _ => {}
        }
    }

    fn numbers(&mut self, place: &str, old: &Value, new: &Value) {
        let of = |schema: &Value| (bound(schema, "minimum"), bound(schema, "maximum"));
        let ((old_low, old_high), (new_low, new_high)) = (of(old), of(new));
        let is_double = |schema: &Value| schema["format"] == "double";
        let is_float = |schema: &Value| schema["format"] == "float";
        // No bound is the widest.
        let below = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (None, Some(_)) => true,
            (Some(one), Some(other)) => one < other,
            (_, None) => false,
        };
        let above =
            |one: Option<f64>, other: Option<f64>| below(one.map(|b| -b), other.map(|b| -b));
        let detail = || format!("{} became {}", span(old), span(new));
        if below(new_low, old_low) || above(new_high, old_high) || is_float(old) && is_double(new) {
            self.add(place, ChangeKind::RangeWidened, detail());
        } else if below(old_low, new_low)
            || above(old_high, new_high)
            || is_double(old) && is_float(new)
        {
            self.add(place, ChangeKind::RangeNarrowed, detail());
        }
    }

    /// Only of texts that both have labels; that one has none was seen before.
    fn labels(&mut self, place: &str, old: &Value, new: &Value) {
        let labels = |schema: &Value| schema["enum"].as_array().cloned().unwrap_or_default();
        let (before, after) = (labels(old), labels(new));
        for label in after.iter().filter(|label| !before.contains(label)) {
            self.add(place, ChangeKind::LabelAdded, format!("the label {label} can come now"));
        }
        for label in before.iter().filter(|label| !after.contains(label)) {
            self.add(place, ChangeKind::LabelRemoved, format!("the label {label} no longer comes"));
        }
    }

    fn objects(&mut self, place: &str, old: &Value, new: &Value) {
        let (before, after) = (members(old), members(new));
        for (name, schema) in &before {
            let (within, member) = placed(place, name, old);
            match after.get(name) {
                Some(now) => {
                    if is_required(old, name) && !is_required(new, name) {
                        let detail = "it is no longer always there";
                        self.add(&within, ChangeKind::AttributeRemoved, detail);
                    }
                    self.schemas(&within, schema, now);
                }
                None => self.add(&within, member.removed(), format!("{} is gone", member.noun())),
            }
        }
        for (name, schema) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            let (within, member) = placed(place, name, new);
            let detail = format!("{} is new: {}", member.noun(), named(&schema.clone().into()));
            self.add(&within, member.added(), detail);
        }
        match (old.get("additionalProperties"), new.get("additionalProperties")) {
            (Some(before), Some(after)) => self.schemas(&format!("{place}.*"), before, after),
            (None, None) => {}
            (None, Some(_)) => self.add(place, ChangeKind::TypeSpecified, "its values have a type"),
            (Some(_), None) => self.add(place, ChangeKind::TypeChanged, "its values have no type"),
        }
    }
}

impl Member {
    fn noun(self) -> &'static str {
        match self {
            Self::Attribute => "the attribute",
            Self::Link => "the link",
            Self::Part => "the part",
        }
    }

    fn added(self) -> ChangeKind {
        match self {
            Self::Attribute => ChangeKind::AttributeAdded,
            Self::Link => ChangeKind::LinkAdded,
            Self::Part => ChangeKind::PartAdded,
        }
    }

    fn removed(self) -> ChangeKind {
        match self {
            Self::Attribute => ChangeKind::AttributeRemoved,
            Self::Link => ChangeKind::LinkRemoved,
            Self::Part => ChangeKind::PartRemoved,
        }
    }
}

/// The place of a member, and what it is: of a snapshot, only parts may be missing.
fn placed(place: &str, name: &str, object: &Value) -> (String, Member) {
    if place.is_empty() {
        let member = if is_required(object, name) { Member::Attribute } else { Member::Part };
        return (name.to_owned(), member);
    }
    let is_link = place.rsplit('.').next() == Some("links");
    (format!("{place}.{name}"), if is_link { Member::Link } else { Member::Attribute })
}

fn members(object: &Value) -> Map<String, Value> {
    object["properties"].as_object().cloned().unwrap_or_default()
}

fn is_required(object: &Value, name: &str) -> bool {
    object["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name))
}

fn bound(schema: &Value, keyword: &str) -> Option<f64> {
    schema[keyword].as_f64()
}

/// What is compared by equality: whether there are labels, and every keyword that nobody else looks at.
fn rest(schema: &Value) -> (bool, Map<String, Value>) {
    let is_text = schema["type"] == "string";
    let keywords = schema.as_object().cloned().unwrap_or_default();
    let others = keywords.into_iter().filter(|(name, _)| {
        let name = name.as_str();
        let silent = ANNOTATIONS.contains(&name) || name.starts_with("x-");
        !silent && !COMPARED.contains(&name) && (name != "format" || is_text)
    });
    (is_text && schema.get("enum").is_some(), others.collect())
}

/// A type in words.
fn named(schema: &Schema) -> String {
    let null = if schema.allows_null() && !schema.is_any() { " or null" } else { "" };
    let schema = schema.clone().not_null();
    let value = schema.as_value();
    let name = match (value["type"].as_str(), value["format"].as_str()) {
        (Some("string"), Some(format)) => format!("a text ({format})"),
        (Some("string"), None) if value.get("enum").is_some() => "a label".into(),
        (Some("string"), None) if value.get("pattern").is_some() => "a text of a pattern".into(),
        (Some("string"), None) => "a text".into(),
        (Some("integer"), _) => "an integer".into(),
        (Some("number"), _) => "a number".into(),
        (Some("boolean"), _) => "a boolean".into(),
        (Some("array"), _) => "a list".into(),
        (Some("object"), _) => "an object".into(),
        _ if schema.is_any() => "any value".into(),
        _ => "a value of its own".into(),
    };
    name + null
}

fn span(schema: &Value) -> String {
    let kind = schema["format"].as_str().or(schema["type"].as_str()).unwrap_or_default();
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, Value::Null) => format!("{kind} of any size"),
        (low, Value::Null) => format!("{kind} from {low}"),
        (Value::Null, high) => format!("{kind} up to {high}"),
        (low, high) => format!("{kind} from {low} to {high}"),
    }
}

//! The gem's envelope: `{"message":[{"event":..,"model_name":..,"data":[..]}]}` (spec §3.2). Unknown members are ignored.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::canonical::Canonical;
use super::malformed::Malformed;
use super::object::{Name, Object, ObjectVisitor};

/// One event of a message.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// `rental_updated`.
    pub(crate) name: Cow<'a, str>,
    /// `Rental`.
    pub(crate) model: Cow<'a, str>,
    /// Its records, in their order.
    pub(crate) records: Vec<Canonical<'a>>,
}

/// The events of a message's value.
pub(super) fn events(payload: &[u8]) -> Result<Vec<Event<'_>>, Malformed> {
    if payload.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let envelope: Envelope<'_> = serde_json::from_slice(payload).map_err(Malformed::Json)?;
    envelope
        .0
        .into_iter()
        .map(|event| {
            let records = event.data.0.into_iter().map(Canonical::of).collect::<Result<_, _>>()?;
            Ok(Event { name: event.name, model: event.model, records })
        })
        .collect()
}

struct Envelope<'a>(Vec<Raw<'a>>);

struct Raw<'a> {
    name: Cow<'a, str>,
    model: Cow<'a, str>,
    data: Data<'a>,
}

#[derive(Default)]
struct Data<'a>(Vec<Object<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvelopeVisitor;
        impl<'de> Visitor<'de> for EnvelopeVisitor {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            /// The gem's tombstone.
            fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
                Ok(Envelope(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut events = None;
                while let Some(Name(name)) = map.next_key()? {
                    if name == "message" {
                        events = map.next_value::<Option<Vec<Raw<'de>>>>()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Envelope(events.unwrap_or_default()))
            }
        }
        deserializer.deserialize_any(EnvelopeVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventVisitor;
        impl<'de> Visitor<'de> for EventVisitor {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut event, mut model, mut data) = (None, None, Data::default());
                while let Some(Name(name)) = map.next_key()? {
                    match &*name {
                        "event" => event = Some(map.next_value::<Name<'de>>()?.0),
                        "model_name" => model = Some(map.next_value::<Name<'de>>()?.0),
                        "data" => data = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Raw {
                    name: event.ok_or_else(|| A::Error::missing_field("event"))?,
                    model: model.ok_or_else(|| A::Error::missing_field("model_name"))?,
                    data,
                })
            }
        }
        deserializer.deserialize_any(EventVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DataVisitor;
        impl<'de> Visitor<'de> for DataVisitor {
            type Value = Data<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("records")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
                Ok(Data::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut records = Vec::with_capacity(1);
                while let Some(record) = seq.next_element()? {
                    records.push(record);
                }
                Ok(Data(records))
            }

            /// A single record; one of a single member holds nothing (spec §3.8 rule 17).
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let record = ObjectVisitor.visit_map(map)?;
                Ok(Data(if record.0.len() == 1 { Vec::new() } else { vec![record] }))
            }
        }
        deserializer.deserialize_any(DataVisitor)
    }
}

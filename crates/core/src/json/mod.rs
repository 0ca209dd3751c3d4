//! The one encoder of Dionysus: JSON in exactly the bytes that the gem writes (spec §3.8).
//!
//! # Why an encoder of our own
//! A Ruby service may stand at either end of a topic, and a comparison of two messages must not depend on who wrote them. The gem's
//! bytes are those of ActiveSupport: `<`, `>`, `&` and the two Unicode line separators are escaped, floats are Ruby's text, times
//! have three digits, decimals are strings. No JSON library of Rust writes these, and a `Serialize` implementation decides some of
//! them (a `DateTime` would bring nine digits) before any library is asked.
//!
//! # The rules
//! - strings: `\u003c` `\u003e` `\u0026` `\u2028` `\u2029`, also in keys; `\b \t \n \f \r`, other controls `\u00xx`; the rest raw
//! - floats: `1.0`, `-0.0`; plain for `1e-4 <= |x| < 1e15`, else `1.0e+15`, `1.0e-05`; NaN and infinities are null
//! - times: cut to milliseconds, `Z`; the year has four digits or more, before year 1 it is `-0043`; a time of day is on `2000-01-01`
//! - decimals: strings with at least one fractional digit and no further trailing zeros; integers of any size are numbers
//! - JSON documents: the order of their keys is kept, their numbers and strings follow the rules above
//! - intervals: whole seconds, a month being 2,629,746; networks: the masked address; points: `{"x":1.5,"y":-2.0}`; `timetz`: Postgres's text;
//!   ranges: `1...5`, with `..` where the upper bound belongs to it
//! - bytes: their text, when it is UTF-8; else the message is refused

mod attribute;
mod column;
mod document;
mod error;
mod escape;
mod number;
mod time;
mod writer;

pub use attribute::Attribute;
pub use column::RangeBound;
pub use error::EncodeError;
pub use writer::JsonWriter;

pub(crate) use error::PART_NOT_LOADED;
pub(crate) use number::{decimal, is_integer};

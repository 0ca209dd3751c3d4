//! Types for columns that no other type holds as the wire needs them.
//!
//! | column | type |
//! | --- | --- |
//! | `numeric`, of any size and with NaN | [`Numeric`]; `rust_decimal::Decimal` and `bigdecimal::BigDecimal` with the features of these names |
//! | `numeric(p,0)`, a JSON integer | [`WholeNumeric`] |
//! | `date`, `timestamp`, `timestamptz` that may be infinite | [`OrInfinity`] |
//! | `int4range`, `daterange` and the like | [`Range`] |
//! | `inet`, `cidr` | [`Network`] |
//! | `macaddr` | [`MacAddress`] |
//! | `bit`, `varbit` | [`Bits`] |
//! | `xml` | [`Xml`] |
//! | `interval`, `money`, `timetz`, `point`, `json` | sqlx's `PgInterval`, `PgMoney`, `PgTimeTz`, `PgPoint`, `Json` with the feature `sqlx` |
//!
//! With the feature `sqlx` (the crate `dionysus` has it on) they are read from Postgres; all are written by the encoder's rules.

mod numeric;
mod plain;
mod range;
#[cfg(feature = "sqlx")]
mod sqlx;

pub use crate::json::RangeBound;
pub use numeric::{Numeric, ParseNumericError, WholeNumeric};
pub use plain::{Bits, MacAddress, Network, OrInfinity, Xml};
pub use range::Range;

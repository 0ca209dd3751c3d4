//! What a domain type says about itself to be published.

use crate::JsonWriter;

/// A model: a domain type whose instances are published. Implemented by `#[derive(Publishable)]`.
///
/// # Contract
/// All constants are names as in the database or on the wire, checked when the topology is built. The two `write_*` methods write
/// exactly one JSON object each. Nothing here does I/O; all of it may be called from any thread, any number of times.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model that can be published",
    note = "add `#[derive(Publishable)]` and `#[publishable(table = \"..\")]` to `{Self}`"
)]
pub trait Publishable {
    /// The model as on the wire: `Rental`, `Core::Booking`.
    const MODEL: &'static str;
    /// The table its instances live in: `rentals`, or `schema.rentals`.
    const TABLE: &'static str;
    /// The column of the primary key.
    const PRIMARY_KEY: &'static str;
    /// The attributes in the order they are written; hidden ones, which have a column but are not written, in their place.
    const ATTRIBUTES: &'static [AttributeInfo];
    /// The column that says since when an instance is soft-deleted; `None` when instances cannot be.
    const SOFT_DELETE: Option<&'static str>;
    /// The attribute whose value is the partition key; `None` when the topic or the topology decides.
    const PARTITION_KEY: Option<&'static str>;

    /// The primary key as in the Kafka key: `1`.
    fn id(&self) -> String;

    /// The text of an attribute as a partition key. `None` when there is no attribute of this name, `Some(None)` when it is null:
    /// then the message has no partition key.
    fn partition_key_of(&self, attribute: &str) -> Option<Option<String>>;

    /// Whether the soft-delete column has a value.
    fn soft_deleted(&self) -> bool;

    /// Writes the snapshot: the attributes as declared, then `links`.
    fn write_snapshot(&self, out: &mut JsonWriter);

    /// Writes what is left of an instance whose row is gone: `{"links":{},"id":1}`.
    fn write_destroyed(&self, out: &mut JsonWriter);
}

/// One attribute of a model.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AttributeInfo {
    /// The name on the wire.
    pub name: &'static str,
    /// The column it is read from.
    pub column: &'static str,
    /// Its Rust type, as written in the struct and without spaces: `Option<DateTime<Utc>>`.
    /// An alias stands as it is: decide nothing by it that the database could answer.
    pub type_name: &'static str,
    /// It is not written: it only serves as partition key or soft-delete column.
    pub hidden: bool,
}

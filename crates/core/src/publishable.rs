//! What a domain type says about itself to be published.

mod link;
mod part;

pub use link::{LinkId, LinkInfo, LinkKind, Polymorphic, ToMany, ToOne};
pub use part::{HasPart, Part, PartField, PartInfo, PartKey};
#[doc(hidden)]
pub use part::{has_column, is_same};

use crate::{JsonWriter, Schema, SchemaOf};

/// A model: a domain type whose instances are published. Implemented by `#[derive(Publishable)]`.
///
/// # Contract
/// All constants are names as in the database or on the wire, checked when the topology is built. The `write_*` methods write
/// exactly one JSON value each. Nothing here does I/O; all of it may be called from any thread, any number of times.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model that can be published",
    note = "add `#[derive(Publishable)]` and `#[publishable(table = \"..\")]` to `{Self}`"
)]
pub trait Publishable {
    /// The model as on the wire: `Rental`, `Core::Booking`.
    const MODEL: &'static str;
    /// The model under which a hard delete is published, when it is not [`MODEL`](Self::MODEL): the base of a single-table inheritance.
    /// `Car` with the base `Vehicle` ends as the event `car_destroyed` of the model `Vehicle`, key `Vehicle:4` (spec §3.8, rule 11).
    const BASE: Option<&'static str> = None;
    /// The table its instances live in: `rentals`, or `schema.rentals`.
    const TABLE: &'static str;
    /// The query whose rows are read as this type, when it is not `select * from TABLE`: with computed columns, say the ids of a to-many link
    /// (`select b.*, array(select ..) as fee_ids from bookings b`). It stands within other queries, which choose by the primary key, so it yields that
    /// column and one row for an instance.
    const SELECT: Option<&'static str> = None;
    /// The column of the primary key.
    const PRIMARY_KEY: &'static str;
    /// The attributes in the order they are written; hidden ones, which have a column but are not written, in their place.
    const ATTRIBUTES: &'static [AttributeInfo];
    /// The links in the order they are written: all to-one, then all to-many.
    const LINKS: &'static [LinkInfo] = &[];
    /// The parts that a snapshot can hold, as declared.
    const PARTS: &'static [PartInfo] = &[];
    /// The column that says since when an instance is soft-deleted; `None` when instances cannot be.
    const SOFT_DELETE: Option<&'static str>;
    /// The attribute whose value is the partition key; `None` when the topic or the topology decides.
    const PARTITION_KEY: Option<&'static str>;
    /// Whether a change of an instance that is and stays soft-deleted is published, as `updated`. The gem asks the instance:
    /// `dionysus_publish_updates_after_soft_delete?`.
    const UPDATES_AFTER_SOFT_DELETE: bool = false;

    /// The primary key as in the Kafka key: `1`.
    fn id(&self) -> String;

    /// The text of an attribute as a partition key. `None` when there is no attribute of this name, `Some(None)` when it is null:
    /// then the message has no partition key.
    fn partition_key_of(&self, attribute: &str) -> Option<Option<String>>;

    /// What [`write_id`](Self::write_id) writes. By default a text.
    fn id_schema() -> Schema {
        Schema::string()
    }

    /// Whether the soft-delete column has a value.
    fn soft_deleted(&self) -> bool;

    /// Writes the primary key as a JSON value, as it stands in the links of other models. By default the text of [`id`](Self::id).
    fn write_id(&self, out: &mut JsonWriter) {
        out.string(&self.id());
    }

    /// Writes the snapshot without parts: the attributes as declared, then `links`.
    fn write_snapshot(&self, out: &mut JsonWriter);

    /// Writes the snapshot with these of its [`PARTS`](Self::PARTS), by name and in this order, after `links`. Each part is written by its own
    /// `write_snapshot`, so parts go one level deep. Names that are no part are left out.
    fn write_snapshot_with(&self, parts: &[&str], out: &mut JsonWriter) {
        debug_assert!(Self::PARTS.is_empty(), "a model with parts writes them ({parts:?})");
        self.write_snapshot(out);
    }

    /// Writes what is left of an instance whose row is gone: `{"links":{},"id":1}`.
    fn write_destroyed(&self, out: &mut JsonWriter);
}

/// One attribute of a model.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AttributeInfo {
    /// The name on the wire.
    pub name: &'static str,
    /// The column it is read from; empty when the value is computed.
    pub column: &'static str,
    /// Its Rust type, as written in the struct and without spaces: `Option<DateTime<Utc>>`.
    /// An alias stands as it is: decide nothing by it that the database could answer.
    pub type_name: &'static str,
    /// It is not written: it only serves as partition key, soft-delete column or link.
    pub hidden: bool,
    /// What it is written as; [any value](Schema::any) when its type does not say.
    pub schema: SchemaOf,
}

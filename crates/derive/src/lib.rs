//! `#[derive(Publishable)]`, `#[derive(Attribute)]` and `#[derive(Replica)]`.
//!
//! Everything that can be wrong with a model's declaration and that a compiler can see is an error at the place that is wrong, and names
//! the fix; all faults of one struct come at once. Applications use the derives through the crate `dionysus`.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod attribute;
mod fault;
mod inflection;
mod options;
mod publishable;
mod replica;

/// Makes a struct a model whose instances can be published.
///
/// The fields are the attributes of the snapshot, in their order. Every type must implement `dionysus::Attribute`.
///
/// On the struct, `#[publishable(..)]`:
///
/// | option | means | default |
/// | --- | --- | --- |
/// | `table = "rentals"` | the table, or `schema.table` | required |
/// | `model = "Core::Rental"` | the model's name on the wire | the struct's name |
/// | `base = "Vehicle"` | the model under which a hard delete is published: the base of a single-table inheritance | none |
/// | `primary_key = "code"` | the column of the primary key | the field marked `id`, else the field `id` |
/// | `partition_key = "account_id"` | the attribute that decides the partition | what the topic or the topology says |
/// | `soft_delete = "canceled_at"` | the column that says since when an instance is soft-deleted, an `Option`; `false` for none | a field `canceled_at`, if there is one |
/// | `updates_after_soft_delete` | changes of an instance that stays soft-deleted are published | they are not |
/// | `select = "select .."` | the query whose rows are read as this struct; it yields the primary key's column and one row for an instance | `select *` from the table |
/// | `crate = "path"` | where `__private` is found | `::dionysus` |
///
/// On a field, `#[publishable(..)]`:
///
/// | option | means |
/// | --- | --- |
/// | `id` | the primary key |
/// | `rename = "title"` | the attribute's name on the wire; default the field's |
/// | `column = "title"` | the column it is read from; default the field's name |
/// | `hidden` | has a column but is not written: a partition key or soft-delete column that consumers do not need |
/// | `value = "Self::total"` | the attribute or link is what this function of `&Self` returns; the field has no column, its type may be `()` |
/// | `skip` | has nothing to do with the model |
///
/// Links name other instances and are written after the attributes, all to-one ones first:
///
/// | option | means |
/// | --- | --- |
/// | `link = "account"` | the id of one instance, or `None`; the field's column can be partition key or soft-delete column, but it is no attribute of the snapshot |
/// | `attribute` | beside `link`: it is an attribute as well |
/// | `type_from = "bookable_type"` | beside `link`: a polymorphic link, `{"type":..,"id":..}`, with the type from another field; null without id |
/// | `links = "bookings_fees"` | a list of ids, which is no column of the table: `array(select id ..) as fee_ids` |
///
/// Parts are models that are published inside this one, one level deep, when the topology says so:
///
/// | option | means | default |
/// | --- | --- | --- |
/// | `part` | `Part<Vec<T>>` or `Part<Option<T>>`, or `Vec<T>` and `Option<T>` when they are always read. Its link comes with it, unless a field with `link` or `links` has the same name | |
/// | `part = "fees"` | the part's name on the wire. The gem uses no other than the default | the model's: `bookings_fees`, or `bookings_fee` for one |
/// | `foreign_key = "booking_id"` | the column of the part's table that holds this model's primary key; the part needs a field for it | the model's name and `_id`; for a part whose link is read from a column, that column |
///
/// ```
/// # extern crate dionysus_core as dionysus;
/// # use dionysus_derive::Publishable;
/// use dionysus::Part;
///
/// #[derive(Publishable)]
/// #[publishable(table = "bookings", partition_key = "account_id")]
/// struct Booking {
///     id: i64,
///     #[publishable(link = "account")]
///     account_id: Option<i64>,
///     #[publishable(part)] // with sqlx also #[sqlx(skip)]
///     fees: Part<Vec<BookingsFee>>,
/// }
///
/// #[derive(Publishable)]
/// #[publishable(table = "bookings_fees")]
/// struct BookingsFee {
///     id: i64,
///     #[publishable(link = "booking")]
///     booking_id: Option<i64>,
/// }
///
/// # use dionysus::{JsonWriter, Publishable as _};
/// let fee = BookingsFee { id: 11, booking_id: Some(1) };
/// let booking = Booking { id: 1, account_id: Some(7), fees: vec![fee].into() };
/// let mut out = JsonWriter::new();
/// booking.write_snapshot_with(&["bookings_fees"], &mut out);
/// assert_eq!(
///     String::from_utf8(out.finish()?)?,
///     r#"{"id":1,"links":{"account":7,"bookings_fees":[11]},"bookings_fees":[{"id":11,"links":{"booking":1}}]}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[proc_macro_derive(Publishable, attributes(publishable))]
pub fn derive_publishable(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    publishable::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a type of one's own an attribute of snapshots.
///
/// An enum without fields is written as its label. What `#[derive(sqlx::Type)]` is told about names counts here too, so that a Postgres enum needs
/// nothing more: `#[sqlx(rename_all = "..")]` on the enum, `#[sqlx(rename = "..")]` on a variant. For an enum that is stored otherwise, for example
/// as a number, say the same with `#[publishable(..)]`, which goes before. A struct with one field without a name is written as that field.
///
/// | option | means | default |
/// | --- | --- | --- |
/// | `rename_all = "snake_case"` | how variants are called: `lowercase`, `UPPERCASE`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `camelCase`, `PascalCase` | as in Rust |
/// | `rename = "on_hold"` | on a variant: its label | |
/// | `crate = "path"` | on the type: where `__private` is found | `::dionysus` |
///
/// ```
/// # extern crate dionysus_core as dionysus;
/// # use dionysus_derive::Attribute;
/// #[derive(Attribute)]
/// #[publishable(rename_all = "snake_case")]
/// enum State { Draft, OnHold }
///
/// #[derive(Attribute)]
/// struct Reference(String);
///
/// # use dionysus::Attribute as _;
/// assert_eq!(State::OnHold.text().as_deref(), Some("on_hold"));
/// assert_eq!(Reference("a-1".into()).text().as_deref(), Some("a-1"));
/// ```
#[proc_macro_derive(Attribute, attributes(publishable))]
pub fn derive_attribute(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    attribute::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Maps a model to a local table, whose rows the struct mirrors.
///
/// Fields are columns. A field named like an attribute in its consumer form takes that attribute: `synced_id`, `synced_created_at`,
/// `synced_updated_at`, `synced_canceled_at`, `synced_account_id` (for `links.account`), `synced_data` (all attributes as `jsonb`), and every other
/// attribute by its own name. `id`, `created_at`, `updated_at` and `canceled_at` could mean the model's or this table's own, so they must say
/// which: `#[replica(from = "id")]` or `#[replica(skip)]`.
///
/// On the struct, `#[replica(..)]`:
///
/// | option | means | default |
/// | --- | --- | --- |
/// | `model = "Rental"` | the model as on the wire | required |
/// | `table = "rentals"` | the local table, or `schema.table` | required |
/// | `sideloaded_as = "bookings_fees"` | a name under which instances arrive inside another model; may be repeated | none |
/// | `crate = "path"` | where `__private` is found | `::dionysus` |
///
/// On a field, `#[replica(..)]`:
///
/// | option | means |
/// | --- | --- |
/// | `from = "price"` | the attribute: a name on the wire (`id`, `price`), a to-one link (`links.account`, `links.bookable.type`), or a consumer form (`synced_booking_ids`) |
/// | `column = "amount"` | the column; default the field's name |
/// | `synced_data` | takes all attributes as `jsonb` |
/// | `removal_flag` | a boolean that a removal sets, in place of deleting the row |
/// | `skip` | a column that is this table's own |
#[proc_macro_derive(Replica, attributes(replica))]
pub fn derive_replica(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    replica::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

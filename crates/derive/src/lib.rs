//! `#[derive(Publishable)]` and `#[derive(Replica)]`.
//!
//! Everything that can be wrong with a model's declaration and that a compiler can see is an error at the place that is wrong, and names
//! the fix; all faults of one struct come at once. Applications use the derives through the crate `dionysus`.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod fault;
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
/// | `primary_key = "code"` | the column of the primary key | the field marked `id`, else the field `id` |
/// | `partition_key = "account_id"` | the attribute that decides the partition | what the topic or the topology says |
/// | `soft_delete = "canceled_at"` | the column that says since when an instance is soft-deleted, an `Option`; `false` for none | a field `canceled_at`, if there is one |
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
/// | `skip` | has nothing to do with the model |
#[proc_macro_derive(Publishable, attributes(publishable))]
pub fn derive_publishable(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    publishable::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
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

//! What the fields and the struct's options must agree on.

use syn::ext::IdentExt;
use syn::{DeriveInput, LitStr};

use super::field::Attribute;
use super::model::{Model, SoftDelete};
use crate::fault::{Faults, suggestion};

/// Written after the attributes of every snapshot.
pub(super) const LINKS: &str = "links";

/// The gem's default soft-delete column.
const CANCELED_AT: &str = "canceled_at";

pub(super) fn check_names(attributes: &[Attribute<'_>], faults: &mut Faults) {
    for (i, attribute) in attributes.iter().enumerate() {
        let (name, column) = (attribute.name.value(), attribute.column.value());
        if name.is_empty() {
            faults.on(&attribute.name, "an attribute needs a name: remove `rename`");
        }
        if name == LINKS {
            let fix = "rename it with `#[publishable(rename = \"..\")]`";
            faults.on(
                &attribute.name,
                format!("`{LINKS}` is written after the attributes of every snapshot: {fix}"),
            );
        }
        if attributes[..i].iter().any(|earlier| earlier.name.value() == name) {
            faults.on(
                &attribute.name,
                format!("another field already has the name `{name}` on the wire: rename one"),
            );
        } else if attribute.value.is_none()
            && attributes[..i].iter().any(|earlier| earlier.column.value() == column)
        {
            faults.on(
                &attribute.column,
                format!("another field already reads the column `{column}`: change one"),
            );
        }
    }
}

pub(super) fn find_id<'a>(
    input: &DeriveInput,
    model: &Model,
    attributes: &'a [Attribute<'a>],
    faults: &mut Faults,
) -> Option<&'a Attribute<'a>> {
    let marked: Vec<_> = attributes.iter().filter(|attribute| attribute.id.is_some()).collect();
    for span in marked.iter().skip(1).filter_map(|attribute| attribute.id) {
        faults.at(span, "another field is already marked `id`: a model has one primary key");
    }
    let id = match (marked.first(), &model.primary_key) {
        (Some(marked), Some(column)) if marked.column.value() != column.value() => {
            let marked = marked.column.value();
            faults.on(
                column,
                format!("the field marked `id` reads the column `{marked}`: remove one of the two"),
            );
            return None;
        }
        (Some(marked), _) => *marked,
        (None, Some(column)) => {
            let found =
                attributes.iter().find(|attribute| attribute.column.value() == column.value());
            if found.is_none() {
                no_column("primary_key", column, attributes, faults);
            }
            found?
        }
        (None, None) => {
            let found = attributes.iter().find(|attribute| attribute.ident.unraw() == "id");
            if found.is_none() {
                let ident = &input.ident;
                faults.on(ident, format!(
                    "`{ident}` has no primary key: name a field `id`, or mark one with `#[publishable(id)]`"
                ));
            }
            found?
        }
    };
    if id.hidden && id.id.is_none() {
        faults.on(id.ident, "consumers find an instance by its primary key: remove `hidden`");
    }
    if id.is_optional() {
        faults.on(id.ty, "the primary key is part of every Kafka key: it cannot be an `Option`");
    }
    Some(id)
}

pub(super) fn check_partition_key(
    key: &LitStr,
    attributes: &[Attribute<'_>],
    skipped: &[String],
    faults: &mut Faults,
) {
    let name = key.value();
    if attributes.iter().any(|attribute| attribute.name.value() == name) {
        return;
    }
    let message = if skipped.contains(&name) {
        format!(
            "`{name}` is skipped, so it has no value for a partition key: use `hidden` in place of `skip`"
        )
    } else if let Some(renamed) =
        attributes.iter().find(|attribute| attribute.ident.unraw() == name)
    {
        format!(
            "`{name}` is called `{0}` on the wire: write `partition_key = \"{0}\"`",
            renamed.name.value()
        )
    } else {
        let names: Vec<String> =
            attributes.iter().map(|attribute| attribute.name.value()).collect();
        let hint = suggestion(&name, names.iter().map(String::as_str), "the attributes are");
        format!("`partition_key` names no attribute: there is no `{name}`{hint}")
    };
    faults.on(key, message);
}

pub(super) fn find_soft_delete<'a>(
    model: &Model,
    attributes: &'a [Attribute<'a>],
    skipped: &[String],
    faults: &mut Faults,
) -> Option<&'a Attribute<'a>> {
    let by_column =
        |column: &str| attributes.iter().find(|attribute| attribute.column.value() == column);
    let found = match &model.soft_delete {
        SoftDelete::Never => None,
        SoftDelete::Default => by_column(CANCELED_AT),
        SoftDelete::Column(column) => {
            let found = by_column(&column.value());
            if found.is_none() && skipped.contains(&column.value()) {
                let name = column.value();
                faults.on(column, format!("`{name}` is skipped, so nothing can read it: use `hidden` in place of `skip`"));
            } else if found.is_none() {
                no_column("soft_delete", column, attributes, faults);
            }
            found
        }
    }?;
    if !found.is_optional() {
        faults.on(found.ty, format!(
            "the soft-delete column `{}` is null while an instance lives: make it an `Option`, or write `soft_delete = false` on the struct",
            found.column.value()
        ));
    }
    Some(found)
}

/// Without a soft delete the flag would promise what never happens.
pub(super) fn check_updates_after_soft_delete(
    model: &Model,
    soft_delete: Option<&Attribute<'_>>,
    faults: &mut Faults,
) {
    let Some(span) = model.updates_after_soft_delete else { return };
    let is_told = matches!(model.soft_delete, SoftDelete::Column(_));
    if soft_delete.is_none() && !is_told {
        faults.at(span, "instances of this model are never soft-deleted: add `soft_delete = \"..\"`, or remove the flag");
    }
}

fn no_column(option: &str, column: &LitStr, attributes: &[Attribute<'_>], faults: &mut Faults) {
    let name = column.value();
    let with_columns = attributes.iter().filter(|attribute| attribute.value.is_none());
    let columns: Vec<String> = with_columns.map(|attribute| attribute.column.value()).collect();
    let hint = suggestion(&name, columns.iter().map(String::as_str), "the columns are");
    faults.on(column, format!("`{option}` names no field's column: there is no `{name}`{hint}"));
}

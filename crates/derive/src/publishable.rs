//! `#[derive(Publishable)]`.

mod check;
mod field;
mod link;
mod model;
mod part;
mod render;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::fault::{Faults, named_fields};
use field::Fields;
use model::Model;
use render::Output;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let named = named_fields(input, "Publishable")?;
    let mut faults = Faults::default();
    let model = Model::read(input, &mut faults);
    let mut fields = Fields::default();
    for field in &named.named {
        fields.read(&model.name, field, &mut faults);
    }
    let Fields { attributes, mut links, parts, skipped } = fields;
    check::check_names(&attributes, &mut faults);
    link::check(&links, named, &mut faults);
    part::check(&parts, &links, &attributes, &mut faults);
    let implied: Vec<_> = parts
        .iter()
        .filter(|part| !links.iter().any(|link| link.name.value() == part.name.value()))
        .map(part::Part::link)
        .collect();
    links.extend(implied);
    let id = check::find_id(input, &model, &attributes, &mut faults);
    if let Some(key) = &model.partition_key {
        check::check_partition_key(key, &attributes, &skipped, &mut faults);
    }
    let soft_delete = check::find_soft_delete(&model, &attributes, &skipped, &mut faults);
    check::check_updates_after_soft_delete(&model, soft_delete, &mut faults);
    faults.finish()?;
    let (Some(id), Some(table)) = (id, &model.table) else {
        return Err(syn::Error::new_spanned(
            &input.ident,
            "the primary key or the table is missing",
        ));
    };
    Ok(Output {
        name: &input.ident,
        model: &model,
        table,
        attributes: &attributes,
        links: &links,
        parts: &parts,
        id,
        soft_delete,
    }
    .render())
}

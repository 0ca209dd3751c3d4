//! What the struct's own `#[publishable(..)]` says.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{DeriveInput, LitStr, Path};

use crate::fault::Faults;
use crate::options::{check_model, check_query, check_table, default_crate, settings};

const OPTIONS: [&str; 9] = [
    "table",
    "model",
    "base",
    "primary_key",
    "partition_key",
    "soft_delete",
    "updates_after_soft_delete",
    "select",
    "crate",
];

/// What the struct's own attributes say.
pub(super) struct Model {
    pub(super) name: LitStr,
    pub(super) base: Option<LitStr>,
    pub(super) table: Option<LitStr>,
    pub(super) primary_key: Option<LitStr>,
    pub(super) partition_key: Option<LitStr>,
    pub(super) soft_delete: SoftDelete,
    /// Where it is asked for.
    pub(super) updates_after_soft_delete: Option<Span>,
    pub(super) select: Option<LitStr>,
    pub(super) krate: Path,
}

pub(super) enum SoftDelete {
    Default,
    Never,
    Column(LitStr),
}

impl Model {
    pub(super) fn read(input: &DeriveInput, faults: &mut Faults) -> Self {
        let mut model = Self {
            name: LitStr::new(&input.ident.unraw().to_string(), input.ident.span()),
            base: None,
            table: None,
            primary_key: None,
            partition_key: None,
            soft_delete: SoftDelete::Default,
            updates_after_soft_delete: None,
            select: None,
            krate: default_crate(),
        };
        let mut table_given = false;
        for setting in settings(&input.attrs, "publishable", &OPTIONS, &[], faults) {
            match setting.name.as_str() {
                "table" => {
                    table_given = true;
                    model.table = setting.string(faults);
                }
                "model" => model.name = setting.string(faults).unwrap_or(model.name),
                "base" => model.base = setting.string(faults),
                "primary_key" => model.primary_key = setting.string(faults),
                "partition_key" => model.partition_key = setting.string(faults),
                "soft_delete" if setting.is_false() => model.soft_delete = SoftDelete::Never,
                "soft_delete" => {
                    model.soft_delete =
                        setting.string(faults).map_or(SoftDelete::Never, SoftDelete::Column);
                }
                "updates_after_soft_delete" => {
                    model.updates_after_soft_delete = Some(setting.flag(faults));
                }
                "select" => model.select = setting.string(faults),
                _ => model.krate = setting.path(faults).unwrap_or(model.krate),
            }
        }
        check_model(&model.name, faults);
        if let Some(base) = &model.base {
            check_model(base, faults);
        }
        if let Some(query) = &model.select {
            check_query(query, faults);
        }
        if let Some(table) = &model.table {
            check_table(table, faults);
        } else if !table_given {
            let ident = &input.ident;
            faults.on(
                ident,
                format!("`{ident}` needs its table: add `#[publishable(table = \"..\")]`"),
            );
        }
        model
    }
}

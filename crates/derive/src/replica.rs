//! `#[derive(Replica)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{DeriveInput, Field, LitStr, Path};

use crate::fault::{Faults, named_fields};
use crate::options::{check_column, check_model, check_table, default_crate, settings};

/// Attributes that the consumer keeps apart from a table's own columns of these names.
const RESERVED: [&str; 4] = ["id", "created_at", "updated_at", "canceled_at"];

/// The gem's name of the column that takes all attributes.
const SYNCED_DATA: &str = "synced_data";

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = named_fields(input, "Replica")?;
    let mut faults = Faults::default();
    let declaration = Declaration::read(input, &mut faults);
    let columns: Vec<Column> =
        fields.named.iter().filter_map(|field| Column::read(field, &mut faults)).collect();
    check(&columns, &mut faults);
    if !columns.iter().any(|column| column.takes.is("synced_id")) {
        let ident = &input.ident;
        faults.on(ident, format!(
            "`{ident}` has no column for the model's id: name a field `synced_id`, or mark one with `#[replica(from = \"id\")]`"
        ));
    }
    faults.finish()?;
    Ok(declaration.render(input, &columns))
}

/// What the struct's own attributes say.
struct Declaration {
    model: LitStr,
    table: LitStr,
    sideloaded_as: Vec<LitStr>,
    krate: Path,
}

impl Declaration {
    fn read(input: &DeriveInput, faults: &mut Faults) -> Self {
        let known = ["model", "table", "sideloaded_as", "crate"];
        let (mut model, mut table, mut sideloaded_as, mut krate) =
            (None, None, Vec::new(), default_crate());
        for setting in settings(&input.attrs, "replica", &known, &["sideloaded_as"], faults) {
            match setting.name.as_str() {
                "crate" => krate = setting.path(faults).unwrap_or(krate),
                name => {
                    // The fault is told; an empty text keeps the option from being missed.
                    let text = setting.string(faults);
                    let checked = text.is_some();
                    let text = text.unwrap_or_else(|| LitStr::new("", setting.span));
                    match name {
                        "model" => {
                            if checked {
                                check_model(&text, faults);
                            }
                            model = Some(text);
                        }
                        "table" => {
                            if checked {
                                check_table(&text, faults);
                            }
                            table = Some(text);
                        }
                        _ => sideloaded_as.push(text),
                    }
                }
            }
        }
        let mut required = |value: Option<LitStr>, option: &str| {
            value.unwrap_or_else(|| {
                let ident = &input.ident;
                faults.on(
                    ident,
                    format!("`{ident}` needs its {option}: add `#[replica({option} = \"..\")]`"),
                );
                LitStr::new("", ident.span())
            })
        };
        Self {
            model: required(model, "model"),
            table: required(table, "table"),
            sideloaded_as,
            krate,
        }
    }

    fn render(&self, input: &DeriveInput, columns: &[Column]) -> TokenStream {
        let Self { model, table, sideloaded_as, krate } = self;
        let private = quote!(#krate::__private);
        let name = &input.ident;
        let assignments = columns.iter().map(|column| column.assignment(&private));
        quote! {
            #[automatically_derived]
            impl #private::Replica for #name {
                const MODEL: &'static str = #model;
                const TABLE: &'static str = #table;

                fn mapping() -> #private::ReplicaMapping {
                    let mut mapping = #private::ReplicaMapping::new(#model, #table);
                    mapping.sideloaded_as = #private::vec![#(#private::String::from(#sideloaded_as)),*];
                    #(#assignments)*
                    mapping
                }
            }
        }
    }
}

/// A field that a message can change.
struct Column {
    takes: Takes,
    column: LitStr,
}

enum Takes {
    /// An attribute by its canonical name.
    Attribute(LitStr),
    SyncedData,
    RemovalFlag,
}

impl Takes {
    fn is(&self, canonical: &str) -> bool {
        matches!(self, Self::Attribute(name) if name.value() == canonical)
    }
}

impl Column {
    /// `None` for a skipped field, and for one that is not understood.
    fn read(field: &Field, faults: &mut Faults) -> Option<Self> {
        let ident = field.ident.as_ref()?;
        let own_name = LitStr::new(&ident.unraw().to_string(), ident.span());
        let (mut from, mut column, mut takes, mut skip) = (None, None, Vec::new(), None);
        let known = ["from", "column", "synced_data", "removal_flag", "skip"];
        for setting in settings(&field.attrs, "replica", &known, &[], faults) {
            match setting.name.as_str() {
                "from" => from = Some((setting.span, setting.string(faults)?)),
                "column" => column = setting.string(faults),
                "synced_data" => takes.push((setting.flag(faults), Takes::SyncedData)),
                "removal_flag" => takes.push((setting.flag(faults), Takes::RemovalFlag)),
                _ => skip = Some(setting.flag(faults)),
            }
        }
        if let Some(span) = skip {
            if from.is_some() || column.is_some() || !takes.is_empty() {
                faults.at(
                    span,
                    "no message changes a skipped field: remove `skip` or the other options",
                );
            }
            return None;
        }
        if let Some(column) = &column {
            check_column(column, faults);
        }
        if let Some((span, name)) = from {
            takes.push((span, Takes::Attribute(canonical(&name))));
        }
        for (span, _) in takes.iter().skip(1) {
            faults
                .at(*span, "`from`, `synced_data` and `removal_flag` exclude each other: keep one");
        }
        let takes = match takes.into_iter().next() {
            Some((_, takes)) => takes,
            None => Takes::by_name(&own_name, faults)?,
        };
        Some(Self { takes, column: column.unwrap_or(own_name) })
    }

    fn assignment(&self, private: &TokenStream) -> TokenStream {
        let column = &self.column;
        let column = quote!(#private::String::from(#column));
        let some = quote!(#private::Option::Some(#column));
        match &self.takes {
            Takes::SyncedData => quote!(mapping.synced_data = #some;),
            Takes::RemovalFlag => quote!(mapping.removal = #private::Removal::Flag(#column);),
            Takes::Attribute(name) => match name.value().as_str() {
                "synced_id" => quote!(mapping.id = #column;),
                "synced_created_at" => quote!(mapping.created_at = #some;),
                "synced_updated_at" => quote!(mapping.updated_at = #some;),
                "synced_canceled_at" => quote!(mapping.canceled_at = #some;),
                _ => quote! {
                    mapping.columns.push(#private::ColumnMapping {
                        attribute: #private::String::from(#name),
                        column: #column,
                    });
                },
            },
        }
    }
}

impl Takes {
    fn by_name(name: &LitStr, faults: &mut Faults) -> Option<Self> {
        let text = name.value();
        if RESERVED.contains(&text.as_str()) {
            faults.on(name, format!(
                "`{text}` could be the model's or this table's own: write `#[replica(from = \"{text}\")]` for the model's, `#[replica(skip)]` for its own"
            ));
            None
        } else if text == SYNCED_DATA {
            Some(Self::SyncedData)
        } else {
            Some(Self::Attribute(name.clone()))
        }
    }
}

/// The consumer form of a name on the wire (spec §7.7).
fn canonical(name: &LitStr) -> LitStr {
    let text = name.value();
    let text = match text.strip_prefix("links.") {
        Some(link) => match link.strip_suffix(".type") {
            Some(link) => format!("synced_{link}_type"),
            None => format!("synced_{}_id", link.strip_suffix(".id").unwrap_or(link)),
        },
        None if RESERVED.contains(&text.as_str()) => format!("synced_{text}"),
        None => text,
    };
    LitStr::new(&text, name.span())
}

fn check(columns: &[Column], faults: &mut Faults) {
    for (i, column) in columns.iter().enumerate() {
        let earlier = &columns[..i];
        let taken = match &column.takes {
            Takes::Attribute(name) if name.value().is_empty() => {
                faults.on(name, "an attribute has a name: remove `from`, or name it");
                continue;
            }
            Takes::Attribute(name) if earlier.iter().any(|other| other.takes.is(&name.value())) => {
                Some((name, format!("the attribute `{}`", name.value())))
            }
            Takes::SyncedData
                if earlier.iter().any(|other| matches!(other.takes, Takes::SyncedData)) =>
            {
                Some((&column.column, "`synced_data`".into()))
            }
            Takes::RemovalFlag
                if earlier.iter().any(|other| matches!(other.takes, Takes::RemovalFlag)) =>
            {
                Some((&column.column, "`removal_flag`".into()))
            }
            _ => None,
        };
        if let Some((span, what)) = taken {
            faults.on(span, format!("another field already takes {what}: remove one"));
        } else if earlier.iter().any(|other| other.column.value() == column.column.value()) {
            let name = column.column.value();
            faults.on(
                &column.column,
                format!("another field already is the column `{name}`: change one"),
            );
        }
    }
}

//! `#[derive(Publishable)]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{DeriveInput, Field, Ident, LitStr, Path, Type};

use crate::fault::{Faults, named_fields, suggestion};
use crate::options::{check_column, check_model, check_table, default_crate, settings};

/// Written after the attributes of every snapshot.
const LINKS: &str = "links";

/// The gem's default soft-delete column.
const CANCELED_AT: &str = "canceled_at";

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = named_fields(input, "Publishable")?;
    let mut faults = Faults::default();
    let model = Model::read(input, &mut faults);
    let mut attributes = Vec::new();
    let mut skipped = Vec::new();
    for field in &fields.named {
        match Attribute::read(field, &mut faults) {
            Some(attribute) => attributes.push(attribute),
            None => skipped.extend(field.ident.as_ref().map(|ident| ident.unraw().to_string())),
        }
    }
    check_names(&attributes, &mut faults);
    let id = find_id(input, &model, &attributes, &mut faults);
    let partition_key = model.partition_key.as_ref();
    if let Some(key) = partition_key {
        check_partition_key(key, &attributes, &skipped, &mut faults);
    }
    let soft_delete = find_soft_delete(&model, &attributes, &skipped, &mut faults);
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
        id,
        soft_delete,
    }
    .render())
}

/// What the struct's own attributes say.
struct Model {
    name: LitStr,
    table: Option<LitStr>,
    primary_key: Option<LitStr>,
    partition_key: Option<LitStr>,
    soft_delete: SoftDelete,
    krate: Path,
}

enum SoftDelete {
    Default,
    Never,
    Column(LitStr),
}

impl Model {
    fn read(input: &DeriveInput, faults: &mut Faults) -> Self {
        let known = ["table", "model", "primary_key", "partition_key", "soft_delete", "crate"];
        let mut model = Self {
            name: LitStr::new(&input.ident.unraw().to_string(), input.ident.span()),
            table: None,
            primary_key: None,
            partition_key: None,
            soft_delete: SoftDelete::Default,
            krate: default_crate(),
        };
        let mut table_given = false;
        for setting in settings(&input.attrs, "publishable", &known, &[], faults) {
            match setting.name.as_str() {
                "table" => {
                    table_given = true;
                    model.table = setting.string(faults);
                }
                "model" => model.name = setting.string(faults).unwrap_or(model.name),
                "primary_key" => model.primary_key = setting.string(faults),
                "partition_key" => model.partition_key = setting.string(faults),
                "soft_delete" if setting.is_false() => model.soft_delete = SoftDelete::Never,
                "soft_delete" => {
                    model.soft_delete =
                        setting.string(faults).map_or(SoftDelete::Never, SoftDelete::Column);
                }
                _ => model.krate = setting.path(faults).unwrap_or(model.krate),
            }
        }
        check_model(&model.name, faults);
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

/// A field that has a column.
struct Attribute<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: LitStr,
    column: LitStr,
    id: Option<Span>,
    hidden: bool,
}

impl<'a> Attribute<'a> {
    /// `None` for a skipped field.
    fn read(field: &'a Field, faults: &mut Faults) -> Option<Self> {
        let ident = field.ident.as_ref()?;
        let own_name = LitStr::new(&ident.unraw().to_string(), ident.span());
        let (mut rename, mut column, mut id, mut hidden, mut skip) = (None, None, None, None, None);
        let known = ["id", "rename", "column", "hidden", "skip"];
        for setting in settings(&field.attrs, "publishable", &known, &[], faults) {
            match setting.name.as_str() {
                "rename" => rename = setting.string(faults),
                "column" => column = setting.string(faults),
                "id" => id = Some(setting.flag(faults)),
                "hidden" => hidden = Some(setting.flag(faults)),
                _ => skip = Some(setting.flag(faults)),
            }
        }
        if let Some(span) = skip {
            if rename.is_some() || column.is_some() || id.is_some() || hidden.is_some() {
                faults.at(span, "a skipped field has no attribute and no column: remove `skip` or the other options");
            }
            return None;
        }
        if let (Some(span), Some(_)) = (hidden, id) {
            faults.at(span, "consumers find an instance by its primary key: remove `hidden`");
        }
        if let (Some(span), Some(_)) = (hidden, &rename) {
            faults.at(
                span,
                "a hidden attribute has no name on the wire: remove `hidden` or `rename`",
            );
        }
        if let Some(column) = &column {
            check_column(column, faults);
        }
        Some(Self {
            ident,
            ty: &field.ty,
            name: rename.unwrap_or_else(|| own_name.clone()),
            column: column.unwrap_or(own_name),
            id,
            hidden: hidden.is_some(),
        })
    }

    fn is_optional(&self) -> bool {
        matches!(self.ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
    }
}

fn check_names(attributes: &[Attribute<'_>], faults: &mut Faults) {
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
        } else if attributes[..i].iter().any(|earlier| earlier.column.value() == column) {
            faults.on(
                &attribute.column,
                format!("another field already reads the column `{column}`: change one"),
            );
        }
    }
}

fn find_id<'a>(
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

fn check_partition_key(
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

fn find_soft_delete<'a>(
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

fn no_column(option: &str, column: &LitStr, attributes: &[Attribute<'_>], faults: &mut Faults) {
    let name = column.value();
    let columns: Vec<String> =
        attributes.iter().map(|attribute| attribute.column.value()).collect();
    let hint = suggestion(&name, columns.iter().map(String::as_str), "the columns are");
    faults.on(column, format!("`{option}` names no field's column: there is no `{name}`{hint}"));
}

/// Everything that is known to be right.
struct Output<'a> {
    name: &'a Ident,
    model: &'a Model,
    table: &'a LitStr,
    attributes: &'a [Attribute<'a>],
    id: &'a Attribute<'a>,
    soft_delete: Option<&'a Attribute<'a>>,
}

impl Output<'_> {
    fn render(&self) -> TokenStream {
        let krate = &self.model.krate;
        let private = quote!(#krate::__private);
        let optional = |value: Option<&LitStr>| {
            value.map_or_else(
                || quote!(#private::Option::None),
                |value| quote!(#private::Option::Some(#value)),
            )
        };
        let (name, table, model) = (self.name, self.table, &self.model.name);
        let primary_key = &self.id.column;
        let infos = self.attributes.iter().map(|attribute| attribute.info(&private));
        let soft_delete = optional(self.soft_delete.map(|attribute| &attribute.column));
        let partition_key = optional(self.model.partition_key.as_ref());
        let methods = self.methods(&private);
        quote! {
            #[automatically_derived]
            impl #private::Publishable for #name {
                const MODEL: &'static str = #model;
                const TABLE: &'static str = #table;
                const PRIMARY_KEY: &'static str = #primary_key;
                const ATTRIBUTES: &'static [#private::AttributeInfo] = &[#(#infos),*];
                const SOFT_DELETE: #private::Option<&'static str> = #soft_delete;
                const PARTITION_KEY: #private::Option<&'static str> = #partition_key;
                #methods
            }
        }
    }

    fn methods(&self, private: &TokenStream) -> TokenStream {
        let (id, id_type, id_name) = (self.id.ident, self.id.ty, &self.id.name);
        let names = self.attributes.iter().map(|attribute| &attribute.name);
        let texts = self.attributes.iter().map(
            |Attribute { ident, ty, .. }| quote!(<#ty as #private::Attribute>::text(&self.#ident)),
        );
        let writes = self
            .attributes
            .iter()
            .filter(|attribute| !attribute.hidden)
            .map(
                |Attribute {
                     ident, ty, name, ..
                 }| {
                    quote!(#private::JsonWriter::attribute::<#ty>(out, #name, &self.#ident);)
                },
            );
        let soft_deleted = self.soft_delete.map_or_else(
            || quote!(false),
            |Attribute { ident, .. }| quote!(#private::Option::is_some(&self.#ident)),
        );
        quote! {
            fn id(&self) -> #private::String {
                #private::Option::unwrap_or_default(<#id_type as #private::Attribute>::text(&self.#id))
            }

            fn partition_key_of(&self, attribute: &str) -> #private::Option<#private::Option<#private::String>> {
                match attribute {
                    #(#names => #private::Option::Some(#texts),)*
                    _ => #private::Option::None,
                }
            }

            fn soft_deleted(&self) -> bool {
                #soft_deleted
            }

            fn write_snapshot(&self, out: &mut #private::JsonWriter) {
                #private::JsonWriter::begin_object(out);
                #(#writes)*
                #private::JsonWriter::key(out, #LINKS);
                #private::JsonWriter::begin_object(out);
                #private::JsonWriter::end_object(out);
                #private::JsonWriter::end_object(out);
            }

            fn write_destroyed(&self, out: &mut #private::JsonWriter) {
                #private::JsonWriter::begin_object(out);
                #private::JsonWriter::key(out, #LINKS);
                #private::JsonWriter::begin_object(out);
                #private::JsonWriter::end_object(out);
                #private::JsonWriter::attribute::<#id_type>(out, #id_name, &self.#id);
                #private::JsonWriter::end_object(out);
            }
        }
    }
}

impl Attribute<'_> {
    fn info(&self, private: &TokenStream) -> TokenStream {
        let Self { name, column, hidden, .. } = self;
        let type_name = self.ty.to_token_stream().to_string().replace(' ', "");
        quote! {
            #private::AttributeInfo { name: #name, column: #column, type_name: #type_name, hidden: #hidden }
        }
    }
}

//! Links, as fields say them.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{FieldsNamed, Ident, LitStr, Path, Type};

use super::field::Attribute;
use crate::fault::{Faults, suggestion};

/// One member of `links`.
pub(super) struct Link<'a> {
    pub(super) name: LitStr,
    pub(super) many: bool,
    pub(super) source: Source<'a>,
}

/// Where its value comes from.
pub(super) enum Source<'a> {
    Field {
        ident: &'a Ident,
        ty: &'a Type,
        column: Option<LitStr>,
    },
    /// The type stands in another field.
    Typed {
        ident: &'a Ident,
        ty: &'a Type,
        column: LitStr,
        type_from: LitStr,
    },
    /// A function of the instance.
    Value {
        ident: &'a Ident,
        value: Path,
    },
    /// The ids of the parts of the same name.
    Part {
        ident: &'a Ident,
        ty: &'a Type,
    },
}

impl Link<'_> {
    pub(super) fn info(&self, private: &TokenStream, attributes: &[Attribute<'_>]) -> TokenStream {
        let name = &self.name;
        let kind = match (&self.source, self.many) {
            (_, true) => quote!(ToMany),
            (Source::Typed { .. } | Source::Value { .. }, false) => quote!(Polymorphic),
            _ => quote!(ToOne),
        };
        let column = match &self.source {
            Source::Field { column: Some(column), .. } | Source::Typed { column, .. } => {
                quote!(#private::Option::Some(#column))
            }
            _ => quote!(#private::Option::None),
        };
        let type_column = self.type_column(attributes).map_or_else(
            || quote!(#private::Option::None),
            |column| quote!(#private::Option::Some(#column)),
        );
        let schema = self.schema(private);
        quote! {
            #private::LinkInfo {
                name: #name,
                kind: #private::LinkKind::#kind,
                column: #column,
                type_column: #type_column,
                schema: #private::SchemaOf(#schema),
            }
        }
    }

    /// `type_from` names a field, which may be read from a column of another name, or from none.
    fn type_column<'t>(&self, attributes: &'t [Attribute<'_>]) -> Option<&'t LitStr> {
        let Source::Typed { type_from, .. } = &self.source else { return None };
        let attribute = attributes.iter().find(|it| it.ident.unraw() == *type_from.value())?;
        attribute.value.is_none().then_some(&attribute.column)
    }

    fn schema(&self, private: &TokenStream) -> TokenStream {
        match &self.source {
            Source::Field { ty, .. } if self.many => {
                quote!(<#ty as #private::ToMany>::links_schema)
            }
            Source::Field { ty, .. } => quote!(<#ty as #private::ToOne>::link_schema),
            Source::Typed { ty, type_from, .. } => {
                let type_field = raw_ident(type_from);
                quote!(|| #private::polymorphic_schema(
                    #private::returned_schema::<Self, _, _>(|of| &of.#type_field),
                    <#ty as #private::ToOne>::link_schema(),
                ))
            }
            Source::Value { value, .. } if self.many => {
                quote!(|| #private::returned_links_schema::<Self, _, _>(|of| #value(of)))
            }
            Source::Value { value, .. } => {
                quote!(|| #private::returned_link_schema::<Self, _, _>(|of| #value(of)))
            }
            Source::Part { ty, .. } => quote!(<#ty as #private::PartField>::ids_schema),
        }
    }

    pub(super) fn write(&self, private: &TokenStream) -> TokenStream {
        let name = &self.name;
        let value = match &self.source {
            Source::Field { ident, ty, .. } if self.many => {
                quote!(<#ty as #private::ToMany>::write_links(&self.#ident, out))
            }
            Source::Field { ident, ty, .. } => {
                quote!(<#ty as #private::ToOne>::write_link(&self.#ident, out))
            }
            Source::Typed { ident, ty, type_from, .. } => typed(private, ident, ty, type_from),
            Source::Value { value, .. } if self.many => {
                quote!(#private::ToMany::write_links(&#value(self), out))
            }
            Source::Value { value, .. } => quote!(#private::ToOne::write_link(&#value(self), out)),
            Source::Part { ident, ty } => {
                quote!(<#ty as #private::PartField>::write_ids(&self.#ident, out))
            }
        };
        quote!(#private::JsonWriter::member(out, #name, |out| #value);)
    }
}

/// Without an id there is no link, whatever the type says.
fn typed(private: &TokenStream, ident: &Ident, ty: &Type, type_from: &LitStr) -> TokenStream {
    let type_field = raw_ident(type_from);
    quote! {{
        if #private::Option::is_none(&<#ty as #private::Attribute>::text(&self.#ident)) {
            #private::JsonWriter::null(out);
        } else {
            #private::JsonWriter::begin_object(out);
            #private::JsonWriter::attribute(out, "type", &self.#type_field);
            #private::JsonWriter::member(out, "id", |out| <#ty as #private::ToOne>::write_link(&self.#ident, out));
            #private::JsonWriter::end_object(out);
        }
    }}
}

/// A field may be called `r#type`.
fn raw_ident(name: &LitStr) -> Ident {
    name.parse().unwrap_or_else(|_| Ident::new_raw(&name.value(), name.span()))
}

pub(super) fn check(links: &[Link<'_>], fields: &FieldsNamed, faults: &mut Faults) {
    let names: Vec<String> = fields
        .named
        .iter()
        .filter_map(|field| Some(field.ident.as_ref()?.unraw().to_string()))
        .collect();
    for (i, link) in links.iter().enumerate() {
        let name = link.name.value();
        if name.is_empty() {
            faults.on(&link.name, "a link needs a name: `link = \"account\"`");
        }
        if links[..i].iter().any(|earlier| earlier.name.value() == name) {
            faults
                .on(&link.name, format!("another field is already the link `{name}`: rename one"));
        }
        if let Source::Typed { type_from, .. } = &link.source
            && !names.contains(&type_from.value())
        {
            let type_from_name = type_from.value();
            let hint =
                suggestion(&type_from_name, names.iter().map(String::as_str), "the fields are");
            faults.on(
                type_from,
                format!("`type_from` names no field: there is no `{type_from_name}`{hint}"),
            );
        }
    }
}

//! The implementation that a sound declaration becomes.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Ident, LitStr};

use super::check::LINKS;
use super::field::Attribute;
use super::link::{Link, Source};
use super::model::Model;
use super::part::{self, Part};

/// Everything that is known to be right.
pub(super) struct Output<'a> {
    pub(super) name: &'a Ident,
    pub(super) model: &'a Model,
    pub(super) table: &'a LitStr,
    pub(super) attributes: &'a [Attribute<'a>],
    pub(super) links: &'a [Link<'a>],
    pub(super) parts: &'a [Part<'a>],
    pub(super) id: &'a Attribute<'a>,
    pub(super) soft_delete: Option<&'a Attribute<'a>>,
}

impl Output<'_> {
    pub(super) fn render(&self) -> TokenStream {
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
        let base = optional(self.model.base.as_ref());
        let select = optional(self.model.select.as_ref());
        let updates_after_soft_delete = self.model.updates_after_soft_delete.is_some();
        let links = self.ordered_links().map(|link| link.info(&private, self.attributes));
        let part_infos = self.parts.iter().map(|part| part.info(&private, self.links));
        let (accessors, writers) = (self.accessors(&private), self.writers(&private));
        let has_part = part::implementations(name, self.parts, &private);
        let assertions = self.parts.iter().map(|part| part.assertions(&private, self.links));
        quote! {
            #[automatically_derived]
            impl #private::Publishable for #name {
                const MODEL: &'static str = #model;
                const BASE: #private::Option<&'static str> = #base;
                const TABLE: &'static str = #table;
                const SELECT: #private::Option<&'static str> = #select;
                const PRIMARY_KEY: &'static str = #primary_key;
                const ATTRIBUTES: &'static [#private::AttributeInfo] = &[#(#infos),*];
                const LINKS: &'static [#private::LinkInfo] = &[#(#links),*];
                const PARTS: &'static [#private::PartInfo] = &[#(#part_infos),*];
                const SOFT_DELETE: #private::Option<&'static str> = #soft_delete;
                const PARTITION_KEY: #private::Option<&'static str> = #partition_key;
                const UPDATES_AFTER_SOFT_DELETE: bool = #updates_after_soft_delete;
                #accessors
                #writers
            }
            #has_part
            #(#assertions)*
        }
    }

    /// All to-one, then all to-many: the gem's order.
    fn ordered_links(&self) -> impl Iterator<Item = &Link<'_>> {
        let links = self.links;
        links.iter().filter(|link| !link.many).chain(links.iter().filter(|link| link.many))
    }

    fn accessors(&self, private: &TokenStream) -> TokenStream {
        let (id, id_type) = (self.id.ident, self.id.ty);
        let names = self.attributes.iter().map(|attribute| &attribute.name);
        let texts = self.attributes.iter().map(|attribute| attribute.text(private));
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
        }
    }

    fn writers(&self, private: &TokenStream) -> TokenStream {
        let (id, id_type, primary_key) = (self.id.ident, self.id.ty, &self.id.column);
        let visible = self.attributes.iter().filter(|attribute| !attribute.hidden);
        let writes = visible.map(|attribute| attribute.write(private));
        let links = self.ordered_links().map(|link| link.write(private));
        let with_parts = self.with_parts(private);
        let computed = self.computed();
        quote! {
            fn write_id(&self, out: &mut #private::JsonWriter) {
                <#id_type as #private::Attribute>::write(&self.#id, out);
            }

            fn id_schema() -> #private::Schema {
                <#id_type as #private::Attribute>::schema()
            }

            fn write_snapshot(&self, out: &mut #private::JsonWriter) {
                #private::Publishable::write_snapshot_with(self, &[], out);
            }

            fn write_snapshot_with(&self, parts: &[&str], out: &mut #private::JsonWriter) {
                // The fields of computed values only keep their places; nothing else would read them.
                let _ = (#(&self.#computed,)*);
                #private::JsonWriter::begin_object(out);
                #(#writes)*
                #private::JsonWriter::key(out, #LINKS);
                #private::JsonWriter::begin_object(out);
                #(#links)*
                #private::JsonWriter::end_object(out);
                #with_parts
                #private::JsonWriter::end_object(out);
            }

            fn write_destroyed(&self, out: &mut #private::JsonWriter) {
                #private::JsonWriter::begin_object(out);
                #private::JsonWriter::key(out, #LINKS);
                #private::JsonWriter::begin_object(out);
                #private::JsonWriter::end_object(out);
                #private::JsonWriter::attribute::<#id_type>(out, #primary_key, &self.#id);
                #private::JsonWriter::end_object(out);
            }
        }
    }

    fn computed(&self) -> Vec<&Ident> {
        let attributes = self.attributes.iter().filter(|attribute| attribute.value.is_some());
        let links = self.links.iter().filter_map(|link| match &link.source {
            Source::Value { ident, .. } => Some(*ident),
            _ => None,
        });
        attributes.map(|attribute| attribute.ident).chain(links).collect()
    }

    fn with_parts(&self, private: &TokenStream) -> TokenStream {
        if self.parts.is_empty() {
            return quote!(let _ = parts;);
        }
        let arms = self.parts.iter().map(|part| part.write_arm(private));
        quote! {
            for part in parts {
                match *part {
                    #(#arms)*
                    _ => {}
                }
            }
        }
    }
}

impl Attribute<'_> {
    fn info(&self, private: &TokenStream) -> TokenStream {
        let Self { name, column, hidden, .. } = self;
        let type_name = self.ty.to_token_stream().to_string().replace(' ', "");
        let schema = match (&self.value, self.ty) {
            (Some(value), _) => quote!(|| #private::returned_schema::<Self, _, _>(|of| #value(of))),
            (None, ty) => quote!(<#ty as #private::Attribute>::schema),
        };
        quote! {
            #private::AttributeInfo {
                name: #name,
                column: #column,
                type_name: #type_name,
                hidden: #hidden,
                schema: #private::SchemaOf(#schema),
            }
        }
    }

    fn text(&self, private: &TokenStream) -> TokenStream {
        let Self { ident, ty, .. } = self;
        if let Some(value) = &self.value {
            quote!(#private::Attribute::text(&#value(self)))
        } else {
            quote!(<#ty as #private::Attribute>::text(&self.#ident))
        }
    }

    fn write(&self, private: &TokenStream) -> TokenStream {
        let Self { ident, ty, name, .. } = self;
        if let Some(value) = &self.value {
            quote!(#private::JsonWriter::attribute(out, #name, &#value(self));)
        } else {
            quote!(#private::JsonWriter::attribute::<#ty>(out, #name, &self.#ident);)
        }
    }
}

//! Parts, as fields say them.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Field, GenericArgument, Ident, LitStr, PathArguments, Type};

use super::check::LINKS;
use super::field::Attribute;
use super::link::{Link, Source};
use crate::fault::Faults;
use crate::inflection::{plural, underscore};

/// A field that holds instances of another model.
pub(super) struct Part<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    model: &'a Type,
    pub(super) name: LitStr,
    pub(super) many: bool,
    /// The name comes from this name of a type, which must then be the model's.
    derived_from: Option<LitStr>,
    foreign_key: Option<LitStr>,
    default_foreign_key: LitStr,
}

impl<'a> Part<'a> {
    pub(super) fn read(
        root: &LitStr,
        field: &'a Field,
        span: Span,
        name: Option<LitStr>,
        foreign_key: Option<LitStr>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let ident = field.ident.as_ref()?;
        let Some((many, model)) = shape(&field.ty) else {
            faults.on(
                &field.ty,
                "a part is a `Vec<T>` or `Option<T>` of a model, or a `Part` of these: `Part<Vec<T>>`",
            );
            return None;
        };
        let type_name = last_segment(model)?.ident.unraw().to_string();
        let derived = if many { plural(&underscore(&type_name)) } else { underscore(&type_name) };
        let derived_from = name.is_none().then(|| LitStr::new(&type_name, span));
        // Rails: the last part of the root's name.
        let root = root.value();
        let root = underscore(root.rsplit("::").next().unwrap_or(&root));
        Some(Self {
            ident,
            ty: &field.ty,
            model,
            name: name.unwrap_or_else(|| LitStr::new(&derived, span)),
            many,
            derived_from,
            foreign_key,
            default_foreign_key: LitStr::new(&format!("{root}_id"), span),
        })
    }

    /// The link of the part's name, unless a field says it.
    pub(super) fn link(&self) -> Link<'a> {
        let source = Source::Part { ident: self.ident, ty: self.ty };
        Link { name: self.name.clone(), many: self.many, source }
    }

    /// The column of the root that holds the part's id, when the link of the part's name is read from one.
    fn column_of_root<'l>(&self, links: &'l [Link<'_>]) -> Option<&'l LitStr> {
        let link = links.iter().find(|link| link.name.value() == self.name.value())?;
        match &link.source {
            Source::Field { column: Some(column), .. } if self.foreign_key.is_none() => {
                Some(column)
            }
            _ => None,
        }
    }

    pub(super) fn info(&self, private: &TokenStream, links: &[Link<'_>]) -> TokenStream {
        let (name, many, ty) = (&self.name, self.many, self.ty);
        let model = self.model;
        let key = if let Some(column) = self.column_of_root(links) {
            quote!(InRoot(#column))
        } else {
            let column = self.foreign_key.as_ref().unwrap_or(&self.default_foreign_key);
            quote!(InPart(#column))
        };
        quote! {
            #private::PartInfo {
                name: #name,
                model: <#model as #private::Publishable>::MODEL,
                table: <#model as #private::Publishable>::TABLE,
                primary_key: <#model as #private::Publishable>::PRIMARY_KEY,
                to_many: #many,
                key: #private::PartKey::#key,
                schema: #private::SchemaOf(<#ty as #private::PartField>::parts_schema),
            }
        }
    }

    pub(super) fn write_arm(&self, private: &TokenStream) -> TokenStream {
        let (name, ident, ty) = (&self.name, self.ident, self.ty);
        quote! {
            #name => #private::JsonWriter::member(out, #name, |out| {
                <#ty as #private::PartField>::write_parts(&self.#ident, out)
            }),
        }
    }

    fn attach_arm(&self, private: &TokenStream) -> TokenStream {
        let (name, ident, ty) = (&self.name, self.ident, self.ty);
        quote!(#name => <#ty as #private::PartField>::attach(&mut self.#ident, loaded),)
    }

    /// What only the part's own constants can say is asked when both are compiled.
    pub(super) fn assertions(&self, private: &TokenStream, links: &[Link<'_>]) -> TokenStream {
        let model = self.model;
        let mut asserted = TokenStream::new();
        if let Some(type_name) = &self.derived_from {
            let message = format!(
                "the part's model is not called `{}` on the wire: name the part, `part = \"..\"`",
                type_name.value()
            );
            asserted.extend(quote_spanned! {model.span()=>
                const _: () = ::core::assert!(
                    #private::is_same(<#model as #private::Publishable>::MODEL, #type_name), #message
                );
            });
        }
        if self.column_of_root(links).is_none() {
            let column = self.foreign_key.as_ref().unwrap_or(&self.default_foreign_key);
            let message = format!(
                "the part has no field for the column `{}`, which names its root: add the field, or name its column with `foreign_key = \"..\"`",
                column.value()
            );
            asserted.extend(quote_spanned! {model.span()=>
                const _: () = ::core::assert!(
                    #private::has_column(<#model as #private::Publishable>::ATTRIBUTES, #column), #message
                );
            });
        }
        asserted
    }
}

/// Whether it is a list, and of what.
fn shape(ty: &Type) -> Option<(bool, &Type)> {
    let segment = last_segment(ty)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    let inner = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    })?;
    match segment.ident.to_string().as_str() {
        "Vec" => Some((true, inner)),
        "Option" => Some((false, inner)),
        "Part" => shape(inner),
        _ => None,
    }
    .filter(|(_, model)| last_segment(model).is_some())
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        _ => None,
    }
}

pub(super) fn check(
    parts: &[Part<'_>],
    links: &[Link<'_>],
    attributes: &[Attribute<'_>],
    faults: &mut Faults,
) {
    for (i, part) in parts.iter().enumerate() {
        let name = part.name.value();
        if name.is_empty() || name == LINKS {
            faults.on(
                &part.name,
                format!("a part cannot be called `{name}`: name it `part = \"..\"`"),
            );
        }
        if parts[..i].iter().any(|earlier| earlier.name.value() == name) {
            faults
                .on(&part.name, format!("another field is already the part `{name}`: rename one"));
        }
        if attributes.iter().any(|attribute| !attribute.hidden && attribute.name.value() == name) {
            faults.on(
                &part.name,
                format!("an attribute already has the name `{name}` on the wire: rename one"),
            );
        }
        let link = links.iter().find(|link| link.name.value() == name);
        if let Some(link) = link.filter(|link| link.many != part.many) {
            let fix = if part.many {
                "write `links` in place of `link`"
            } else {
                "write `link` in place of `links`"
            };
            faults.on(
                &link.name,
                format!(
                    "the part `{name}` and this link hold different numbers of instances: {fix}"
                ),
            );
        }
    }
}

/// One `impl HasPart<..>` for each model that is a part.
pub(super) fn implementations(
    root: &Ident,
    parts: &[Part<'_>],
    private: &TokenStream,
) -> TokenStream {
    let mut groups: Vec<(String, Vec<&Part<'_>>)> = Vec::new();
    for part in parts {
        let model = part.model.to_token_stream().to_string();
        match groups.iter_mut().find(|(known, _)| *known == model) {
            Some((_, group)) => group.push(part),
            None => groups.push((model, vec![part])),
        }
    }
    let implementations = groups.iter().map(|(_, group)| {
        let model = group[0].model;
        let lists = group.iter().filter(|part| part.many);
        let singles = group.iter().filter(|part| !part.many);
        let names = lists.chain(singles).map(|part| &part.name);
        let arms = group.iter().map(|part| part.attach_arm(private));
        let loaded = format_ident!("loaded");
        quote! {
            #[automatically_derived]
            impl #private::HasPart<#model> for #root {
                const NAMES: &'static [&'static str] = &[#(#names),*];

                fn attach(&mut self, name: &str, #loaded: #private::Vec<#model>) {
                    match name {
                        #(#arms)*
                        _ => {}
                    }
                }
            }
        }
    });
    quote!(#(#implementations)*)
}

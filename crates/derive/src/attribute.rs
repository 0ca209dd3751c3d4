//! `#[derive(Attribute)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Data, DataEnum, DeriveInput, Expr, Fields, LitStr, Token, Variant};

use crate::fault::{Faults, suggestion};
use crate::inflection::underscore;
use crate::options::{default_crate, settings};

const CASES: [&str; 7] = [
    "lowercase",
    "UPPERCASE",
    "snake_case",
    "SCREAMING_SNAKE_CASE",
    "kebab-case",
    "camelCase",
    "PascalCase",
];

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &input.generics,
            "`Attribute` needs a concrete type: remove the parameters, or write `impl Attribute` by hand",
        ));
    }
    let mut faults = Faults::default();
    let (mut rename_all, mut krate) = (None, default_crate());
    for setting in settings(&input.attrs, "publishable", &["rename_all", "crate"], &[], &mut faults)
    {
        match setting.name.as_str() {
            "rename_all" => rename_all = setting.string(&mut faults),
            _ => krate = setting.path(&mut faults).unwrap_or(krate),
        }
    }
    let private = quote!(#krate::__private);
    let name = &input.ident;
    let body = match &input.data {
        Data::Enum(data) => {
            let case = rename_all.or_else(|| of_sqlx(&input.attrs, "rename_all"));
            labels(data, case.as_ref(), &private, &mut faults)
        }
        Data::Struct(data) if matches!(&data.fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1) =>
        {
            if let Some(case) = &rename_all {
                faults.on(case, "only an enum has labels: remove `rename_all`");
            }
            let ty = &data.fields.iter().next().map(|field| &field.ty);
            quote! {
                fn write(&self, out: &mut #private::JsonWriter) {
                    <#ty as #private::Attribute>::write(&self.0, out);
                }

                fn text(&self) -> #private::Option<#private::String> {
                    <#ty as #private::Attribute>::text(&self.0)
                }

                fn schema() -> #private::Schema {
                    <#ty as #private::Attribute>::schema()
                }
            }
        }
        _ => {
            faults.on(name, "`Attribute` needs an enum, whose variants are labels, or a struct with one field without a name; write `impl Attribute` by hand");
            TokenStream::new()
        }
    };
    faults.finish()?;
    Ok(quote! {
        #[automatically_derived]
        impl #private::Attribute for #name {
            #body
        }
    })
}

fn labels(
    data: &DataEnum,
    case: Option<&LitStr>,
    private: &TokenStream,
    faults: &mut Faults,
) -> TokenStream {
    if let Some(case) = case.filter(|case| !CASES.contains(&case.value().as_str())) {
        let hint = suggestion(&case.value(), CASES, "the cases are");
        faults.on(case, format!("unknown case `{}`{hint}", case.value()));
    }
    let mut arms = Vec::new();
    let mut taken = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            faults.on(
                &variant.fields,
                "a label has no fields: remove them, or write `impl Attribute` by hand",
            );
        }
        let (ident, label) = (&variant.ident, label(variant, case, faults));
        if taken.contains(&label) {
            faults
                .on(ident, format!("another variant already has the label `{label}`: rename one"));
        }
        arms.push(quote!(Self::#ident => #label));
        taken.push(label);
    }
    if arms.is_empty() {
        faults.on(data.enum_token, "an enum without variants has no labels");
    }
    quote! {
        fn write(&self, out: &mut #private::JsonWriter) {
            #private::JsonWriter::string(out, match self { #(#arms),* });
        }

        fn schema() -> #private::Schema {
            #private::Schema::labels([#(#taken),*])
        }
    }
}

fn label(variant: &Variant, case: Option<&LitStr>, faults: &mut Faults) -> String {
    let mut rename = None;
    for setting in settings(&variant.attrs, "publishable", &["rename"], &[], faults) {
        rename = setting.string(faults);
    }
    if let Some(label) = rename.or_else(|| of_sqlx(&variant.attrs, "rename")) {
        return label.value();
    }
    let name = variant.ident.unraw().to_string();
    let snake = || underscore(&name);
    match case.map(LitStr::value).as_deref() {
        Some("lowercase") => name.to_lowercase(),
        Some("UPPERCASE") => name.to_uppercase(),
        Some("snake_case") => snake(),
        Some("SCREAMING_SNAKE_CASE") => snake().to_uppercase(),
        Some("kebab-case") => snake().replace('_', "-"),
        Some("camelCase") => {
            let mut letters = name.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
        }
        _ => name,
    }
}

/// A string that `#[sqlx(..)]` gives. What is wrong with that attribute, sqlx says.
fn of_sqlx(attributes: &[Attribute], option: &str) -> Option<LitStr> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("sqlx")) {
        let parsed = attribute.parse_nested_meta(|meta| {
            if meta.input.peek(Token![=]) {
                let value: Expr = meta.value()?.parse()?;
                if meta.path.is_ident(option) {
                    found = syn::parse2(value.to_token_stream()).ok();
                }
            }
            Ok(())
        });
        if parsed.is_err() {
            return None;
        }
    }
    found
}

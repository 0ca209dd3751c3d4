//! Reading `#[publishable(..)]` and `#[replica(..)]`.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Path, Token};

use crate::fault::{Faults, suggestion};

/// Postgres cuts longer identifiers.
const IDENTIFIER_LEN_MAX: usize = 63;

/// One option of an attribute: its name, and the value behind `=` if there is one.
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) span: Span,
    value: Option<Expr>,
}

impl Setting {
    /// The string behind `=`.
    pub(crate) fn string(&self, faults: &mut Faults) -> Option<LitStr> {
        if let Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) = &self.value {
            return Some(text.clone());
        }
        let message = format!("`{name}` needs a string: `{name} = \"..\"`", name = self.name);
        match &self.value {
            Some(value) => faults.on(value, message),
            None => faults.at(self.span, message),
        }
        None
    }

    /// Whether it reads `= false`.
    pub(crate) fn is_false(&self) -> bool {
        matches!(&self.value, Some(Expr::Lit(ExprLit { lit: Lit::Bool(value), .. })) if !value.value)
    }

    /// The place of an option that takes no value.
    pub(crate) fn flag(&self, faults: &mut Faults) -> Span {
        if let Some(value) = &self.value {
            faults.on(value, format!("`{}` takes no value", self.name));
        }
        self.span
    }

    /// Whether something stands behind `=`.
    pub(crate) fn has_value(&self) -> bool {
        self.value.is_some()
    }

    /// The string behind `=` as the path of a function.
    pub(crate) fn function(&self, faults: &mut Faults) -> Option<Path> {
        let text = self.string(faults)?;
        let path = text.parse_with(Path::parse_mod_style).ok();
        if path.is_none() {
            faults.on(&text, "this is not the path of a function such as `Self::total`");
        }
        path
    }

    /// The string behind `=` as a path.
    pub(crate) fn path(&self, faults: &mut Faults) -> Option<Path> {
        let text = self.string(faults)?;
        let path = text.parse_with(Path::parse_mod_style).ok();
        if path.is_none() {
            faults.on(&text, "this is not a path such as `dionysus` or `crate::reexports`");
        }
        path
    }
}

/// All options of the attributes named `attribute`. Unknown and repeated ones are faults; `repeatable` ones may come again.
pub(crate) fn settings(
    attributes: &[Attribute],
    attribute: &str,
    known: &[&str],
    repeatable: &[&str],
    faults: &mut Faults,
) -> Vec<Setting> {
    let mut found: Vec<Setting> = Vec::new();
    for own in attributes.iter().filter(|own| own.path().is_ident(attribute)) {
        let parsed = own.parse_nested_meta(|meta| {
            let setting = setting(&meta)?;
            if !known.contains(&setting.name.as_str()) {
                let hint = suggestion(&setting.name, known.iter().copied(), "the options here are");
                faults.at(setting.span, format!("unknown option `{}`{hint}", setting.name));
            } else if !repeatable.contains(&setting.name.as_str())
                && found.iter().any(|earlier| earlier.name == setting.name)
            {
                faults.at(setting.span, format!("`{}` is given twice: remove one", setting.name));
            } else {
                found.push(setting);
            }
            Ok(())
        });
        if let Err(fault) = parsed {
            faults.push(fault);
        }
    }
    found
}

fn setting(meta: &ParseNestedMeta<'_>) -> syn::Result<Setting> {
    let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
    let span = meta.path.segments.first().map_or_else(Span::call_site, |first| first.ident.span());
    let value = if meta.input.peek(Token![=]) {
        let mut value: Expr = meta.value()?.parse()?;
        // A literal that a `macro_rules!` passes on comes wrapped.
        while let Expr::Group(group) = value {
            value = *group.expr;
        }
        Some(value)
    } else {
        None
    };
    Ok(Setting { name, span, value })
}

/// Checks a table, `table` or `schema.table`.
pub(crate) fn check_table(table: &LitStr, faults: &mut Faults) {
    let text = table.value();
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 2 || !parts.iter().all(|part| is_identifier(part)) {
        faults.on(table, format!("`{text}` is not a table: write `table` or `schema.table`"));
    }
}

/// Checks a column name.
pub(crate) fn check_column(column: &LitStr, faults: &mut Faults) {
    let text = column.value();
    if !is_identifier(&text) {
        faults.on(
            column,
            format!("`{text}` is not a column name of 1 to {IDENTIFIER_LEN_MAX} bytes"),
        );
    }
}

/// Checks what can be seen of a query that is used within others.
pub(crate) fn check_query(query: &LitStr, faults: &mut Faults) {
    let text = query.value();
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    if !matches!(first.as_str(), "select" | "with") {
        faults.on(query, "this is not a query: write `select .. from ..`");
    } else if text.trim_end().ends_with(';') {
        faults.on(query, "the query is used within others: remove the semicolon at its end");
    }
}

/// Checks a model's name: identifiers joined by `::`.
pub(crate) fn check_model(model: &LitStr, faults: &mut Faults) {
    let text = model.value();
    let identifier = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if !text.split("::").all(identifier) {
        faults
            .on(model, format!("`{text}` is not a model name: write `Rental` or `Core::Booking`"));
    }
}

fn is_identifier(name: &str) -> bool {
    (1..=IDENTIFIER_LEN_MAX).contains(&name.len()) && !name.contains(['\0', '"'])
}

/// `syn::parse_quote!(::dionysus)`, the default of `crate = ".."`.
pub(crate) fn default_crate() -> Path {
    syn::parse_quote!(::dionysus)
}

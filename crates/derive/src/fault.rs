//! Faults are collected, so that one build shows all of them, and name the fix.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Data, DeriveInput, Fields, FieldsNamed};

/// Typing errors further away than this are no longer a guess.
const TYPING_ERRORS_MAX: usize = 2;

/// The faults of one struct.
#[derive(Default)]
pub(crate) struct Faults(Option<syn::Error>);

impl Faults {
    pub(crate) fn push(&mut self, fault: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(fault),
            none => *none = Some(fault),
        }
    }

    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// The fields of a concrete struct; everything else is refused.
pub(crate) fn named_fields<'a>(
    input: &'a DeriveInput,
    derive: &str,
) -> syn::Result<&'a FieldsNamed> {
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &input.generics,
            format!(
                "`{derive}` needs a concrete struct, because a model has one form on the wire: remove the parameters"
            ),
        ));
    }
    let (span, found) = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Ok(fields),
            Fields::Unnamed(fields) => (fields.to_token_stream(), "fields without names"),
            Fields::Unit => (input.ident.to_token_stream(), "no fields"),
        },
        Data::Enum(data) => (data.enum_token.to_token_stream(), "an enum"),
        Data::Union(data) => (data.union_token.to_token_stream(), "a union"),
    };
    Err(syn::Error::new_spanned(
        span,
        format!(
            "`{derive}` needs a struct with named fields, because their names are attributes; this is {found}"
        ),
    ))
}

/// `; did you mean ..?` or the list of what there is.
pub(crate) fn suggestion<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known.iter().map(|name| (distance(given, name), *name)).min();
    match nearest {
        Some((errors, name)) if errors <= TYPING_ERRORS_MAX && 2 * errors < name.len() => {
            format!("; did you mean `{name}`?")
        }
        Some(_) => format!("; {what} `{}`", known.join("`, `")),
        None => String::new(),
    }
}

/// Letters to insert, delete, replace or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_listed() {
        let known = ["column", "rename"];
        assert_eq!(suggestion("colum", known, "the options are"), "; did you mean `column`?");
        assert_eq!(suggestion("cole", ["code", "id"], "x"), "; did you mean `code`?");
        assert_eq!(suggestion("gone", ["code"], "the columns are"), "; the columns are `code`");
        assert_eq!(
            suggestion("x", known, "the options are"),
            "; the options are `column`, `rename`"
        );
        assert_eq!(suggestion("x", [], "the options are"), "");
    }

    #[test]
    fn distance_counts_insertions_deletions_replacements_and_swaps() {
        assert_eq!(distance("form", "from"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(distance("same", "same"), 0);
    }
}

//! What a field is: an attribute, a link, a part, some of these, or none of the model's business.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Field, Ident, LitStr, Path, Type};

use super::link::{Link, Source};
use super::part::Part;
use crate::fault::Faults;
use crate::options::{check_column, settings};

const OPTIONS: [&str; 12] = [
    "id",
    "rename",
    "column",
    "hidden",
    "skip",
    "value",
    "link",
    "type_from",
    "attribute",
    "links",
    "part",
    "foreign_key",
];

/// The fields of a struct, sorted by what they are.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) links: Vec<Link<'a>>,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) skipped: Vec<String>,
}

/// A field that has a column or a computed value.
pub(super) struct Attribute<'a> {
    pub(super) ident: &'a Ident,
    pub(super) ty: &'a Type,
    pub(super) name: LitStr,
    /// Empty for a computed one.
    pub(super) column: LitStr,
    pub(super) id: Option<Span>,
    pub(super) hidden: bool,
    /// What computes it.
    pub(super) value: Option<Path>,
}

impl Attribute<'_> {
    pub(super) fn is_optional(&self) -> bool {
        matches!(self.ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
    }
}

impl<'a> Fields<'a> {
    pub(super) fn read(&mut self, model: &LitStr, field: &'a Field, faults: &mut Faults) {
        let Some(ident) = field.ident.as_ref() else { return };
        let options = Options::read(field, faults);
        if !options.agree(faults) {
            return;
        }
        let own_name = LitStr::new(&ident.unraw().to_string(), ident.span());
        if options.skip.is_some() {
            self.skipped.push(own_name.value());
            return;
        }
        if let Some((span, name)) = options.part {
            let foreign_key = options.foreign_key;
            self.parts.extend(Part::read(model, field, span, name, foreign_key, faults));
            return;
        }
        if let Some(name) = options.links {
            let source = match options.value {
                Some(value) => Source::Value { ident, value },
                None => Source::Field { ident, ty: &field.ty, column: None },
            };
            self.links.push(Link { name, many: true, source });
            return;
        }
        let is_link = options.link.is_some();
        let column = match &options.value {
            Some(_) => LitStr::new("", ident.span()),
            None => options.column.unwrap_or_else(|| own_name.clone()),
        };
        if let Some(name) = options.link {
            let source = match (&options.value, options.type_from) {
                (Some(value), _) => Source::Value { ident, value: value.clone() },
                (None, Some(type_from)) => {
                    Source::Typed { ident, ty: &field.ty, column: column.clone(), type_from }
                }
                (None, None) => {
                    Source::Field { ident, ty: &field.ty, column: Some(column.clone()) }
                }
            };
            self.links.push(Link { name, many: false, source });
            if options.value.is_some() {
                return;
            }
        }
        self.attributes.push(Attribute {
            ident,
            ty: &field.ty,
            name: options.rename.unwrap_or(own_name),
            column,
            id: options.id,
            hidden: options.hidden.is_some()
                || is_link && options.attribute.is_none() && options.id.is_none(),
            value: options.value,
        });
    }
}

/// What `#[publishable(..)]` on a field says.
#[derive(Default)]
struct Options {
    id: Option<Span>,
    rename: Option<LitStr>,
    column: Option<LitStr>,
    hidden: Option<Span>,
    skip: Option<Span>,
    value: Option<Path>,
    link: Option<LitStr>,
    type_from: Option<LitStr>,
    attribute: Option<Span>,
    links: Option<LitStr>,
    part: Option<(Span, Option<LitStr>)>,
    foreign_key: Option<LitStr>,
    given: Vec<(&'static str, Span)>,
}

impl Options {
    fn read(field: &Field, faults: &mut Faults) -> Self {
        let mut options = Self::default();
        for setting in settings(&field.attrs, "publishable", &OPTIONS, &[], faults) {
            let known = OPTIONS.iter().find(|known| **known == setting.name);
            options.given.extend(known.map(|known| (*known, setting.span)));
            match setting.name.as_str() {
                "id" => options.id = Some(setting.flag(faults)),
                "rename" => options.rename = setting.string(faults),
                "column" => options.column = setting.string(faults),
                "hidden" => options.hidden = Some(setting.flag(faults)),
                "skip" => options.skip = Some(setting.flag(faults)),
                "value" => options.value = setting.function(faults),
                "link" => options.link = setting.string(faults),
                "type_from" => options.type_from = setting.string(faults),
                "attribute" => options.attribute = Some(setting.flag(faults)),
                "links" => options.links = setting.string(faults),
                "part" if setting.has_value() => {
                    options.part = Some((setting.span, setting.string(faults)));
                }
                "part" => options.part = Some((setting.span, None)),
                _ => options.foreign_key = setting.string(faults),
            }
        }
        for column in [&options.column, &options.foreign_key].into_iter().flatten() {
            check_column(column, faults);
        }
        options
    }

    fn span_of(&self, option: &str) -> Option<Span> {
        self.given.iter().find(|(given, _)| *given == option).map(|(_, span)| *span)
    }

    /// Whether the options can stand together; what cannot is a fault.
    fn agree(&self, faults: &mut Faults) -> bool {
        if let Some(span) = self.span_of("skip") {
            if self.given.len() > 1 {
                faults.at(span, "a skipped field has no attribute and no column: remove `skip` or the other options");
            }
            return true;
        }
        let mut agree = self.allow("links", &["value"], "a to-many link is only a link", faults);
        agree &= self.allow("part", &["foreign_key"], "a part is a model of its own", faults);
        for (option, owner) in
            [("type_from", "link"), ("attribute", "link"), ("foreign_key", "part")]
        {
            if let (Some(span), None) = (self.span_of(option), self.span_of(owner)) {
                faults.at(
                    span,
                    format!(
                        "`{option}` belongs to a field with `{owner}`: add `{owner}` or remove it"
                    ),
                );
                agree = false;
            }
        }
        if self.span_of("value").is_some() {
            for option in ["id", "column", "hidden", "attribute", "type_from"] {
                if let Some(span) = self.span_of(option) {
                    faults.at(
                        span,
                        format!("a value that is computed has no `{option}`: remove it or `value`"),
                    );
                    agree = false;
                }
            }
        }
        self.check_hidden(faults);
        agree
    }

    fn allow(&self, option: &str, others: &[&str], why: &str, faults: &mut Faults) -> bool {
        if self.span_of(option).is_none() {
            return true;
        }
        let mut agree = true;
        for (given, span) in &self.given {
            if *given != option && !others.contains(given) {
                faults.at(*span, format!("{why}: remove `{given}` or `{option}`"));
                agree = false;
            }
        }
        agree
    }

    fn check_hidden(&self, faults: &mut Faults) {
        let Some(span) = self.hidden else { return };
        if self.id.is_some() {
            faults.at(span, "consumers find an instance by its primary key: remove `hidden`");
        }
        if self.rename.is_some() {
            faults.at(
                span,
                "a hidden attribute has no name on the wire: remove `hidden` or `rename`",
            );
        }
        if self.span_of("link").is_some() {
            faults.at(span, "a link is not written among the attributes: remove `hidden`");
        }
    }
}

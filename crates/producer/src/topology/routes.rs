//! Whom a change concerns besides the changed instance itself: the roots it is a part of, and those that observe it.

use std::any::TypeId;
use std::collections::HashMap;

use dionysus_core::{PartInfo, PartKey};
use dionysus_postgres::instances::{ColumnName, Path as Chain, Source};
use serde_json::{Value, json};

use super::{Path, Place};
use crate::instance::Instance;
use crate::read::attribute_of;
use crate::{AttributeInfo, Publishable};

/// The routes of all types.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    by_type: HashMap<TypeId, Vec<Route>>,
    lookups: Vec<Lookup>,
}

/// What leads from one type to the instances of one place.
#[derive(Clone, Debug)]
struct Route {
    /// The attributes whose change concerns it; `None` for any change that is published.
    attributes: Option<Vec<&'static str>>,
    /// The attribute with the value it begins with; `None` for the primary key.
    from: Option<&'static str>,
    to: Target,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    /// The value is the id.
    Id(Place),
    /// The value is looked up at commit.
    Lookup(usize),
}

/// Instances that must be looked up at commit.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(crate) place: Place,
    pub(crate) source: Source,
    pub(crate) path: Chain,
    /// The model whose change leads there.
    pub(crate) cause: &'static str,
}

/// What a change concerns: [`Routes::concerned`] calls back with each.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Concern {
    Id(Place, String),
    Lookup(usize, String),
}

/// A part of a root, declared by `with`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartRoute {
    pub(super) part_type: TypeId,
    pub(super) part_attributes: &'static [AttributeInfo],
    pub(super) info: &'static PartInfo,
}

/// An observed model, declared by `observe`.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) of_type: TypeId,
    pub(super) model: &'static str,
    pub(super) table: &'static str,
    pub(super) known: &'static [AttributeInfo],
    pub(super) attributes: Vec<String>,
    pub(super) path: Path,
}

impl Observed {
    pub(super) fn of<O: Publishable + 'static>(attributes: Vec<String>, path: Path) -> Self {
        Self {
            of_type: TypeId::of::<O>(),
            model: O::MODEL,
            table: O::TABLE,
            known: O::ATTRIBUTES,
            attributes,
            path,
        }
    }

    /// The attribute of this name, or that is read from the column of this name.
    pub(super) fn attribute(&self, name: &str) -> Option<&'static str> {
        let named = self.known.iter().find(|attribute| attribute.name == name);
        named.map(|attribute| attribute.name).or_else(|| attribute_of(self.known, name))
    }

    pub(super) fn registration(&self) -> Value {
        json!({
            "model": self.model,
            "table": self.table,
            "attributes": self.attributes,
            "from": self.path.from,
            "path": self.path.chain.to_json(),
        })
    }
}

impl Routes {
    pub(super) fn add_part(&mut self, place: Place, source: Source, part: &PartRoute) {
        let (from, to) = match part.info.key {
            PartKey::InPart(column) => {
                (attribute_of(part.part_attributes, column), Target::Id(place))
            }
            PartKey::InRoot(column) => {
                let path = Chain { hops: Vec::new(), column: Some(column) };
                (None, self.lookup(Lookup { place, source, path, cause: part.info.model }))
            }
        };
        self.add(part.part_type, Route { attributes: None, from, to });
    }

    pub(super) fn add_observed(&mut self, place: Place, source: Source, observed: &Observed) {
        let path = observed.path.chain.clone();
        let to = if path.hops.is_empty() && path.column.is_none() {
            Target::Id(place)
        } else {
            self.lookup(Lookup { place, source, path, cause: observed.model })
        };
        let attributes =
            observed.attributes.iter().filter_map(|name| observed.attribute(name)).collect();
        let from = observed.path.from.and_then(|name| observed.attribute(name));
        self.add(observed.of_type, Route { attributes: Some(attributes), from, to });
    }

    fn lookup(&mut self, lookup: Lookup) -> Target {
        self.lookups.push(lookup);
        Target::Lookup(self.lookups.len() - 1)
    }

    fn add(&mut self, of_type: TypeId, route: Route) {
        self.by_type.entry(of_type).or_default().push(route);
    }

    /// Whether changes of this type concern others.
    pub(crate) fn has(&self, of_type: TypeId) -> bool {
        self.by_type.contains_key(&of_type)
    }

    pub(crate) fn at(&self, lookup: usize) -> &Lookup {
        &self.lookups[lookup]
    }

    /// The columns by which lookups begin.
    pub(super) fn columns(&self) -> impl Iterator<Item = ColumnName> {
        self.lookups.iter().map(|lookup| lookup.path.first(lookup.source))
    }

    /// Calls back with each concern of a change. `published` says whether it is one that is published at all: parts concern their root then.
    pub(crate) fn concerned(
        &self,
        change: &Change<'_>,
        published: bool,
        mut concern: impl FnMut(Concern),
    ) {
        let Some(any) = change.after.or(change.before) else { return };
        for route in self.by_type.get(&any.of_type()).into_iter().flatten() {
            let value = |instance: &dyn Instance| match route.from {
                Some(attribute) => instance.text_of(attribute).flatten(),
                None => Some(instance.id()),
            };
            let (old, new) = (change.before.and_then(value), change.after.and_then(value));
            let moved = !change.before_is_unknown && old != new;
            let concerns = match &route.attributes {
                None => published || moved,
                Some(names) => moved || names.iter().any(|name| change.differs_in(name)),
            };
            if concerns {
                let new = new.filter(|new| old.as_ref() != Some(new));
                for value in [old, new].into_iter().flatten() {
                    concern(match route.to {
                        Target::Id(place) => Concern::Id(place, value),
                        Target::Lookup(lookup) => Concern::Lookup(lookup, value),
                    });
                }
            }
        }
    }
}

/// Two states of one instance.
pub(crate) struct Change<'a> {
    pub(crate) before: Option<&'a dyn Instance>,
    pub(crate) after: Option<&'a dyn Instance>,
    /// There was a state before, but nobody has told it: every attribute counts as changed.
    pub(crate) before_is_unknown: bool,
}

impl Change<'_> {
    fn differs_in(&self, attribute: &str) -> bool {
        let text = |instance: Option<&dyn Instance>| {
            instance.and_then(|instance| instance.text_of(attribute)).flatten()
        };
        self.before_is_unknown || text(self.before) != text(self.after)
    }
}

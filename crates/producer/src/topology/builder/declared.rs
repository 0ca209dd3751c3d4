//! What a topic's closure declares, with the types erased to what the checks and the topology need.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use dionysus_core::{LinkInfo, PartInfo};
use dionysus_postgres::instances::Source;

use super::super::partition_key::{Compute, IntegerOf};
use super::super::routes::{Observed, PartRoute};
use super::super::{Mistake, View};
use crate::read::Read;
use crate::{AttributeInfo, Publishable};

/// A topic as declared.
pub(in super::super) struct Declaration {
    pub(super) name: String,
    pub(super) genesis_replica: bool,
    pub(super) tombstones: bool,
    pub(super) max_message_bytes: usize,
    pub(super) partition_key: Option<String>,
    pub(super) computed: Vec<ComputedKey>,
    pub(super) models: Vec<Declared>,
}

pub(super) struct ComputedKey {
    pub(super) type_id: TypeId,
    pub(super) type_name: &'static str,
    pub(super) compute: Compute,
}

/// A model of a topic.
pub(in super::super) struct Declared {
    /// The type that the application stages.
    pub(in super::super) of_type: TypeId,
    pub(in super::super) source: Source,
    /// What the messages look like: the type itself, or its view.
    pub(in super::super) shape: Shape,
    pub(in super::super) view: Option<View>,
    pub(in super::super) parts: Vec<DeclaredPart>,
    pub(in super::super) observed: Vec<Observed>,
    /// Makes the reader of the type from loaders of its parts; missing where nothing is ever read.
    pub(in super::super) reader: Option<MakeReader>,
}

/// A part with its loader.
#[derive(Clone)]
pub(in super::super) struct DeclaredPart {
    pub(in super::super) route: PartRoute,
    pub(in super::super) loader: Loader,
}

/// Makes a reader from loaders of parts.
pub(in super::super) type MakeReader = fn(&[Loader]) -> Arc<dyn Read>;

/// A loader of a kind of part, erased; see [`Reader::with_parts`](crate::read::Reader::with_parts).
pub(in super::super) type Loader = Arc<dyn Any + Send + Sync>;

/// The constants of a model's type.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Shape {
    pub(in super::super) of_type: TypeId,
    pub(in super::super) name: &'static str,
    pub(in super::super) base: Option<&'static str>,
    pub(in super::super) table: &'static str,
    pub(in super::super) primary_key: &'static str,
    pub(in super::super) attributes: &'static [AttributeInfo],
    pub(in super::super) links: &'static [LinkInfo],
    pub(in super::super) parts: &'static [PartInfo],
    pub(in super::super) soft_delete: Option<&'static str>,
    pub(in super::super) partition_key: Option<&'static str>,
    pub(in super::super) updates_after_soft_delete: bool,
}

impl Shape {
    pub(super) const fn of<M: Publishable + 'static>() -> Self {
        Self {
            of_type: TypeId::of::<M>(),
            name: M::MODEL,
            base: M::BASE,
            table: M::TABLE,
            primary_key: M::PRIMARY_KEY,
            attributes: M::ATTRIBUTES,
            links: M::LINKS,
            parts: M::PARTS,
            soft_delete: M::SOFT_DELETE,
            partition_key: M::PARTITION_KEY,
            updates_after_soft_delete: M::UPDATES_AFTER_SOFT_DELETE,
        }
    }

    /// How an attribute becomes an integer; `None` if there is none of this name.
    pub(super) fn integer_of(&self, name: &str) -> Option<IntegerOf> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(IntegerOf::of)
    }
}

impl Declared {
    /// The names of the parts that its messages hold, in the order declared.
    pub(in super::super) fn part_names(&self) -> Vec<&'static str> {
        self.parts.iter().map(|part| part.route.info.name).collect()
    }

    /// Checks what it observes.
    pub(super) fn check(&self, topic: &str, mistakes: &mut Vec<Mistake>) {
        for observed in &self.observed {
            let place = || (topic.to_owned(), self.shape.name.to_owned());
            if observed.attributes.is_empty() {
                let (topic, model) = place();
                let observed = observed.model.to_owned();
                mistakes.push(Mistake::NothingObserved { topic, model, observed });
            }
            let names = observed.attributes.iter().map(String::as_str).chain(observed.path.from);
            for attribute in names.filter(|name| observed.attribute(name).is_none()) {
                let (topic, model) = place();
                mistakes.push(Mistake::UnknownObservedAttribute {
                    topic,
                    model,
                    observed: observed.model.to_owned(),
                    attribute: attribute.to_owned(),
                });
            }
        }
    }
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicBuilder")
            .field("name", &self.name)
            .field("models", &self.models.iter().map(|model| model.shape.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

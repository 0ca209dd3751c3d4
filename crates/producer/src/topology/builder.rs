//! Declaring a topology, and checking it whole.

mod declared;
mod topic;

use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dionysus_core::{Model, Topic};

pub(super) use declared::{Declared, Shape};
pub use topic::TopicBuilder;

use self::declared::Declaration;
use super::partition_key::{Compute, PartitionKey};
use super::{Mistake, PublishedModel, PublishedTopic, Topology};
use crate::Error;

/// Declares the namespaces of a [`Topology`].
#[derive(Debug)]
#[must_use = "a declaration does nothing before `build`"]
pub struct TopologyBuilder {
    default_partition_key: Option<String>,
    integer_partition_keys: bool,
    inline_dependants: usize,
    namespaces: Vec<NamespaceBuilder>,
}

/// Declares the topics of a namespace.
#[derive(Debug)]
#[must_use = "return it from the closure"]
pub struct NamespaceBuilder {
    name: String,
    topics: Vec<Declaration>,
}

impl TopologyBuilder {
    /// The partition key of topics and models that declare none.
    pub const DEFAULT_PARTITION_KEY: &'static str = "account_id";

    /// How many dependants of one observed model a transaction publishes itself, if nothing else is declared.
    pub const DEFAULT_INLINE_DEPENDANTS: usize = 1_000;

    pub(super) fn new() -> Self {
        Self {
            default_partition_key: Some(Self::DEFAULT_PARTITION_KEY.to_owned()),
            integer_partition_keys: false,
            inline_dependants: Self::DEFAULT_INLINE_DEPENDANTS,
            namespaces: Vec::new(),
        }
    }

    /// Adds a namespace. It versions the format of its topics: `v3` gives `v3_rentals`.
    pub fn namespace(
        mut self,
        name: impl Into<String>,
        declare: impl FnOnce(NamespaceBuilder) -> NamespaceBuilder,
    ) -> Self {
        self.namespaces.push(declare(NamespaceBuilder { name: name.into(), topics: Vec::new() }));
        self
    }

    /// The attribute that partitions the models that neither their topic nor they themselves give one; models without the attribute
    /// go without partition key, and are partitioned by the message's key. Default:
    /// [`account_id`](Self::DEFAULT_PARTITION_KEY).
    pub fn default_partition_key(mut self, attribute: impl Into<String>) -> Self {
        self.default_partition_key = Some(attribute.into());
        self
    }

    /// Partitions by the message's key where nothing else is declared.
    pub fn no_default_partition_key(mut self) -> Self {
        self.default_partition_key = None;
        self
    }

    /// Finds partition keys exactly as the gem does, for topics that Ruby writes too: the value of an attribute becomes an integer
    /// (`12.7` is `12`, a UUID or null is `0`, a time its seconds since 1970), and an attribute that a model does not have means
    /// no partition key instead of a mistake. Computed keys stay as they are. Default: off, values are taken verbatim.
    pub fn integer_partition_keys(mut self) -> Self {
        self.integer_partition_keys = true;
        self
    }

    /// How many dependants of an observed model one transaction publishes itself, for each `observe`. With more it requests a genesis run, which publishes
    /// them after it has committed, at its own pace. Default: [`DEFAULT_INLINE_DEPENDANTS`](Self::DEFAULT_INLINE_DEPENDANTS).
    pub fn inline_dependants(mut self, at_most: usize) -> Self {
        self.inline_dependants = at_most;
        self
    }

    /// Checks the declaration.
    ///
    /// # Errors
    /// [`Error::Topology`] with every mistake, each with its place.
    pub fn build(self) -> Result<Topology, Error> {
        let mut mistakes = Vec::new();
        let (mut topics, mut declared): (Vec<PublishedTopic>, Vec<Vec<&Declared>>) =
            (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for namespace in &self.namespaces {
            if !seen.insert(namespace.name.as_str()) {
                mistakes.push(Mistake::DuplicateNamespace { namespace: namespace.name.clone() });
            }
            if namespace.topics.is_empty() {
                mistakes.push(Mistake::EmptyNamespace { namespace: namespace.name.clone() });
            }
            for topic in &namespace.topics {
                let Ok(name) = Topic::in_namespace(&namespace.name, &topic.name) else {
                    mistakes.push(Mistake::TopicName {
                        namespace: namespace.name.clone(),
                        name: topic.name.clone(),
                    });
                    continue;
                };
                let (topic, models) = self.topic(&namespace.name, name, topic, &mut mistakes);
                topics.push(topic);
                declared.push(models);
            }
        }
        check_names(&topics, &mut mistakes);
        if mistakes.is_empty() {
            Ok(Topology::new(topics, &declared, self.inline_dependants))
        } else {
            Err(Error::Topology { mistakes })
        }
    }

    /// A checked topic, and the declarations of its models in the same order.
    fn topic<'a>(
        &self,
        namespace: &str,
        name: Topic,
        declared: &'a Declaration,
        mistakes: &mut Vec<Mistake>,
    ) -> (PublishedTopic, Vec<&'a Declared>) {
        let topic = name.as_str();
        if declared.models.is_empty() {
            mistakes.push(Mistake::EmptyTopic { topic: topic.to_owned() });
        }
        let computed = computed_keys(topic, declared, mistakes);
        let (mut models, mut kept): (Vec<PublishedModel>, Vec<&Declared>) = Default::default();
        for model in &declared.models {
            let Ok(valid) = Model::new(model.shape.name) else {
                mistakes.push(Mistake::ModelName {
                    topic: topic.to_owned(),
                    model: model.shape.name.to_owned(),
                });
                continue;
            };
            if models.iter().any(|known| *known.name() == valid) {
                mistakes.push(Mistake::DuplicateModel {
                    topic: topic.to_owned(),
                    model: model.shape.name.to_owned(),
                });
                continue;
            }
            model.check(topic, mistakes);
            let key = match computed.get(&model.shape.of_type) {
                Some(&compute) => PartitionKey::Computed(Arc::clone(compute)),
                None => self.attribute_key(topic, declared, model, mistakes),
            };
            models.push(PublishedModel::new(valid, key, model));
            kept.push(model);
        }
        PublishedModel::find_bases(&mut models);
        let smallest =
            models.iter().map(|model| model.envelope_bytes() + "{}".len()).max().unwrap_or(1);
        if declared.max_message_bytes < smallest {
            mistakes.push(Mistake::MaxMessageBytes {
                topic: topic.to_owned(),
                limit: declared.max_message_bytes,
                smallest,
            });
        }
        let topic = PublishedTopic {
            name,
            namespace: namespace.to_owned(),
            genesis_replica: declared.genesis_replica,
            tombstones: declared.tombstones,
            max_message_bytes: declared.max_message_bytes,
            models,
        };
        (topic, kept)
    }

    fn attribute_key(
        &self,
        topic: &str,
        declared: &Declaration,
        model: &Declared,
        mistakes: &mut Vec<Mistake>,
    ) -> PartitionKey {
        let own = declared.partition_key.as_deref().or(model.shape.partition_key);
        let Some(attribute) = own.or(self.default_partition_key.as_deref()) else {
            return PartitionKey::Absent;
        };
        match model.shape.integer_of(attribute) {
            Some(of) if self.integer_partition_keys => {
                PartitionKey::Integer(attribute.to_owned(), of)
            }
            Some(_) => PartitionKey::Attribute(attribute.to_owned()),
            None => {
                if own.is_some() && !self.integer_partition_keys {
                    mistakes.push(Mistake::UnknownPartitionKey {
                        topic: topic.to_owned(),
                        model: model.shape.name.to_owned(),
                        attribute: attribute.to_owned(),
                    });
                }
                PartitionKey::Absent
            }
        }
    }
}

impl NamespaceBuilder {
    /// Adds a topic, `<namespace>_<name>`.
    pub fn topic<M>(
        mut self,
        name: impl Into<String>,
        declare: impl FnOnce(TopicBuilder) -> TopicBuilder<M>,
    ) -> Self {
        self.topics.push(declare(TopicBuilder::new(name.into())).into_declaration());
        self
    }
}

/// The closures of a topic, by type.
fn computed_keys<'a>(
    topic: &str,
    declared: &'a Declaration,
    mistakes: &mut Vec<Mistake>,
) -> HashMap<TypeId, &'a Compute> {
    let mut computed = HashMap::new();
    for key in &declared.computed {
        let published = declared.models.iter().any(|model| model.shape.of_type == key.type_id);
        if computed.insert(key.type_id, &key.compute).is_some() || !published {
            mistakes.push(Mistake::ComputedPartitionKey {
                topic: topic.to_owned(),
                type_name: key.type_name,
                published,
            });
        }
    }
    computed
}

/// Names must be unique across namespaces, twins included.
fn check_names(topics: &[PublishedTopic], mistakes: &mut Vec<Mistake>) {
    let mut seen = HashSet::new();
    for topic in topics {
        if !seen.insert(topic.name().as_str()) {
            mistakes.push(Mistake::DuplicateTopic { topic: topic.name().to_string() });
        }
    }
    for primary in topics {
        let Some(twin) = primary.genesis() else {
            continue;
        };
        if seen.contains(twin.as_str()) {
            mistakes.push(Mistake::GenesisTwinTaken {
                topic: twin,
                primary: primary.name().to_string(),
            });
        }
    }
}

#[cfg(test)]
mod tests;

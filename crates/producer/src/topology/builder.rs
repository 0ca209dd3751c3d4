//! Declaring a topology, and checking it whole.

use std::any::{TypeId, type_name};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dionysus_core::{Model, Topic};

use super::partition_key::{Compute, IntegerOf, PartitionKey};
use super::{Mistake, PublishedModel, PublishedTopic, Topology};
use crate::{Error, Publishable};

/// Declares the namespaces of a [`Topology`].
#[derive(Debug)]
#[must_use = "a declaration does nothing before `build`"]
pub struct TopologyBuilder {
    default_partition_key: Option<String>,
    integer_partition_keys: bool,
    namespaces: Vec<NamespaceBuilder>,
}

/// Declares the topics of a namespace.
#[derive(Debug)]
#[must_use = "return it from the closure"]
pub struct NamespaceBuilder {
    name: String,
    topics: Vec<TopicBuilder>,
}

/// Declares what a topic publishes, and how.
#[must_use = "return it from the closure"]
pub struct TopicBuilder {
    name: String,
    genesis_replica: bool,
    max_message_bytes: usize,
    partition_key: Option<String>,
    computed: Vec<ComputedKey>,
    models: Vec<Declared>,
}

struct ComputedKey {
    type_id: TypeId,
    type_name: &'static str,
    compute: Compute,
}

/// A model's type, erased to what the checks need.
struct Declared {
    type_id: TypeId,
    name: &'static str,
    partition_key: Option<&'static str>,
    attribute: fn(&str) -> Option<IntegerOf>,
    published: fn(Model, PartitionKey) -> PublishedModel,
}

impl TopologyBuilder {
    /// The partition key of topics and models that declare none.
    pub const DEFAULT_PARTITION_KEY: &'static str = "account_id";

    pub(super) fn new() -> Self {
        Self {
            default_partition_key: Some(Self::DEFAULT_PARTITION_KEY.to_owned()),
            integer_partition_keys: false,
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

    /// Checks the declaration.
    ///
    /// # Errors
    /// [`Error::Topology`] with every mistake, each with its place.
    pub fn build(self) -> Result<Topology, Error> {
        let mut mistakes = Vec::new();
        let mut topics: Vec<PublishedTopic> = Vec::new();
        let mut seen = HashSet::new();
        for namespace in &self.namespaces {
            if !seen.insert(namespace.name.as_str()) {
                mistakes.push(Mistake::DuplicateNamespace { namespace: namespace.name.clone() });
            }
            if namespace.topics.is_empty() {
                mistakes.push(Mistake::EmptyNamespace { namespace: namespace.name.clone() });
            }
            for topic in &namespace.topics {
                match Topic::in_namespace(&namespace.name, &topic.name) {
                    Ok(name) => {
                        topics.push(self.topic(&namespace.name, name, topic, &mut mistakes));
                    }
                    Err(_) => mistakes.push(Mistake::TopicName {
                        namespace: namespace.name.clone(),
                        name: topic.name.clone(),
                    }),
                }
            }
        }
        check_names(&topics, &mut mistakes);
        if mistakes.is_empty() {
            Ok(Topology::new(topics))
        } else {
            Err(Error::Topology { mistakes })
        }
    }

    fn topic(
        &self,
        namespace: &str,
        name: Topic,
        declared: &TopicBuilder,
        mistakes: &mut Vec<Mistake>,
    ) -> PublishedTopic {
        let topic = name.as_str();
        if declared.models.is_empty() {
            mistakes.push(Mistake::EmptyTopic { topic: topic.to_owned() });
        }
        let computed = computed_keys(topic, declared, mistakes);
        let mut models: Vec<PublishedModel> = Vec::new();
        for model in &declared.models {
            let Ok(valid) = Model::new(model.name) else {
                mistakes.push(Mistake::ModelName {
                    topic: topic.to_owned(),
                    model: model.name.to_owned(),
                });
                continue;
            };
            if models.iter().any(|known| *known.name() == valid) {
                mistakes.push(Mistake::DuplicateModel {
                    topic: topic.to_owned(),
                    model: model.name.to_owned(),
                });
                continue;
            }
            let key = match computed.get(&model.type_id) {
                Some(&compute) => PartitionKey::Computed(Arc::clone(compute)),
                None => self.attribute_key(topic, declared, model, mistakes),
            };
            models.push((model.published)(valid, key));
        }
        let smallest =
            models.iter().map(|model| model.envelope_bytes() + "{}".len()).max().unwrap_or(1);
        if declared.max_message_bytes < smallest {
            mistakes.push(Mistake::MaxMessageBytes {
                topic: topic.to_owned(),
                limit: declared.max_message_bytes,
                smallest,
            });
        }
        PublishedTopic {
            name,
            namespace: namespace.to_owned(),
            genesis_replica: declared.genesis_replica,
            max_message_bytes: declared.max_message_bytes,
            models,
        }
    }

    fn attribute_key(
        &self,
        topic: &str,
        declared: &TopicBuilder,
        model: &Declared,
        mistakes: &mut Vec<Mistake>,
    ) -> PartitionKey {
        let own = declared.partition_key.as_deref().or(model.partition_key);
        let Some(attribute) = own.or(self.default_partition_key.as_deref()) else {
            return PartitionKey::Absent;
        };
        match (model.attribute)(attribute) {
            Some(of) if self.integer_partition_keys => {
                PartitionKey::Integer(attribute.to_owned(), of)
            }
            Some(_) => PartitionKey::Attribute(attribute.to_owned()),
            None => {
                if own.is_some() && !self.integer_partition_keys {
                    mistakes.push(Mistake::UnknownPartitionKey {
                        topic: topic.to_owned(),
                        model: model.name.to_owned(),
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
    pub fn topic(
        mut self,
        name: impl Into<String>,
        declare: impl FnOnce(TopicBuilder) -> TopicBuilder,
    ) -> Self {
        self.topics.push(declare(TopicBuilder::new(name.into())));
        self
    }
}

impl TopicBuilder {
    /// Bytes of key and value that a topic takes if it declares nothing else.
    ///
    /// The stock relay's client and the gem's refuse records above `message.max.bytes` = 1,000,000, counted with headers and framing; this
    /// leaves 1,024 bytes for those. A broker's own default, 1,048,588 for a batch, lies above.
    pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_000_000 - 1_024;

    fn new(name: String) -> Self {
        Self {
            name,
            genesis_replica: false,
            max_message_bytes: Self::DEFAULT_MAX_MESSAGE_BYTES,
            partition_key: None,
            computed: Vec::new(),
            models: Vec::new(),
        }
    }

    /// Publishes a model. A topic takes several, and a model may be published by several topics.
    pub fn publish<M: Publishable + 'static>(mut self) -> Self {
        self.models.push(Declared {
            type_id: TypeId::of::<M>(),
            name: M::MODEL,
            partition_key: M::PARTITION_KEY,
            attribute: |name| {
                M::ATTRIBUTES.iter().find(|attribute| attribute.name == name).map(IntegerOf::of)
            },
            published: PublishedModel::of::<M>,
        });
        self
    }

    /// Copies each message to `<topic>_genesis` too, the twin that genesis runs fill and that Kafka compacts. Default: no twin.
    pub fn genesis_replica(mut self) -> Self {
        self.genesis_replica = true;
        self
    }

    /// Partitions by an attribute, before the models' own and the topology's default. Each model of the topic must have it.
    pub fn partition_key(mut self, attribute: impl Into<String>) -> Self {
        self.partition_key = Some(attribute.into());
        self
    }

    /// Computes the partition key of one model of the topic. `None` means none: the partition then follows from the message's key.
    ///
    /// # Examples
    /// ```
    /// # mod app {
    /// # #[derive(dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub region: Option<String> }
    /// # }
    /// # use app::Rental;
    /// # use dionysus_producer::Topology;
    /// let topology = Topology::builder()
    ///     .namespace("v3", |ns| {
    ///         ns.topic("rentals", |t| {
    ///             t.publish::<Rental>().partition_key_with(|rental: &Rental| rental.region.clone())
    ///         })
    ///     })
    ///     .build()?;
    /// # Ok::<(), dionysus_producer::Error>(())
    /// ```
    pub fn partition_key_with<M, F>(mut self, compute: F) -> Self
    where
        M: Publishable + 'static,
        F: Fn(&M) -> Option<String> + Send + Sync + 'static,
    {
        self.computed.push(ComputedKey {
            type_id: TypeId::of::<M>(),
            type_name: type_name::<M>(),
            compute: PartitionKey::computed(compute),
        });
        self
    }

    /// The largest message, in bytes of key and value; a larger one is refused when it is staged, while the application can still
    /// do something about it. Default: [`DEFAULT_MAX_MESSAGE_BYTES`](Self::DEFAULT_MAX_MESSAGE_BYTES). The relay's client and the
    /// topic in Kafka must take it as well.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }
}

impl std::fmt::Debug for TopicBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicBuilder")
            .field("name", &self.name)
            .field("models", &self.models.iter().map(|model| model.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The closures of a topic, by type.
fn computed_keys<'a>(
    topic: &str,
    declared: &'a TopicBuilder,
    mistakes: &mut Vec<Mistake>,
) -> HashMap<TypeId, &'a Compute> {
    let mut computed = HashMap::new();
    for key in &declared.computed {
        let published = declared.models.iter().any(|model| model.type_id == key.type_id);
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

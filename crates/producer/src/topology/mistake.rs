//! Mistakes in a declaration, each with its place.

/// One mistake in the declaration of a [`Topology`](crate::Topology).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// A namespace is declared twice. The gem keeps the last one and loses the topics of the first.
    #[error("namespace `{namespace}` is declared twice")]
    DuplicateNamespace {
        /// The namespace.
        namespace: String,
    },
    /// A namespace without topics.
    #[error("namespace `{namespace}` declares no topic")]
    EmptyNamespace {
        /// The namespace.
        namespace: String,
    },
    /// Namespace and name together are not a name that Kafka takes.
    #[error("topic `{name}` of namespace `{namespace}` has no valid name")]
    TopicName {
        /// The namespace.
        namespace: String,
        /// The topic's name within it.
        name: String,
    },
    /// Two declarations come to the same topic: `a_b` + `c` and `a` + `b_c` too.
    #[error("topic `{topic}` is declared twice")]
    DuplicateTopic {
        /// The full name.
        topic: String,
    },
    /// A topic has the name of another's genesis twin.
    #[error("topic `{topic}` has the name of the genesis twin of `{primary}`")]
    GenesisTwinTaken {
        /// The full name.
        topic: String,
        /// The topic with the replica.
        primary: String,
    },
    /// A topic without models.
    #[error("topic `{topic}` publishes no model")]
    EmptyTopic {
        /// The full name.
        topic: String,
    },
    /// A topic that takes no message.
    #[error("topic `{topic}` has a limit of {limit} bytes, the smallest is {smallest}")]
    MaxMessageBytes {
        /// The full name.
        topic: String,
        /// What was declared.
        limit: usize,
        /// What is needed at least.
        smallest: usize,
    },
    /// The derive's `model` is not a type name.
    #[error("topic `{topic}`: `{model}` is not a model name")]
    ModelName {
        /// The full name of the topic.
        topic: String,
        /// What was given.
        model: String,
    },
    /// A model is published twice by one topic, by one type or by two.
    #[error("topic `{topic}` publishes model `{model}` twice")]
    DuplicateModel {
        /// The full name of the topic.
        topic: String,
        /// The model.
        model: String,
    },
    /// A model has no attribute of the name by which its topic is partitioned.
    #[error(
        "topic `{topic}`: model `{model}` has no attribute `{attribute}` to be its partition key"
    )]
    UnknownPartitionKey {
        /// The full name of the topic.
        topic: String,
        /// The model.
        model: String,
        /// The attribute.
        attribute: String,
    },
    /// A partition key is computed twice for one model, or for one that the topic does not publish.
    #[error("topic `{topic}` computes a partition key for `{type_name}`, which it {}", if *published { "does twice" } else { "does not publish" })]
    ComputedPartitionKey {
        /// The full name of the topic.
        topic: String,
        /// The Rust type.
        type_name: &'static str,
        /// Whether the topic publishes the type.
        published: bool,
    },
    /// A model observes no attribute of another, so nothing would ever publish it.
    #[error("topic `{topic}`: model `{model}` observes `{observed}` without naming an attribute")]
    NothingObserved {
        /// The full name of the topic.
        topic: String,
        /// The model that observes.
        model: String,
        /// The observed model.
        observed: String,
    },
    /// The observed model has no such attribute or column.
    #[error(
        "topic `{topic}`: model `{model}` observes attribute `{attribute}`, which `{observed}` does not have"
    )]
    UnknownObservedAttribute {
        /// The full name of the topic.
        topic: String,
        /// The model that observes.
        model: String,
        /// The observed model.
        observed: String,
        /// The attribute.
        attribute: String,
    },
}

impl Mistake {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::DuplicateNamespace { .. } => "declare all topics of a namespace in one place".into(),
            Self::EmptyNamespace { .. } => "declare a topic in each namespace, or leave the namespace out".into(),
            Self::TopicName { .. } => {
                "use the characters a-z, A-Z, 0-9, `.`, `_` and `-`, at most 241 for namespace and name together".into()
            }
            Self::DuplicateTopic { .. } => "declare a topic once, with all its models".into(),
            Self::GenesisTwinTaken { .. } => "give one of the two topics another name".into(),
            Self::EmptyTopic { .. } => "add `.publish::<Model>()` to each topic, or leave the topic out".into(),
            Self::MaxMessageBytes { .. } => "raise `max_message_bytes`".into(),
            Self::ModelName { .. } => {
                "name models like types, `Rental` or `Core::Booking`: `#[publishable(model = \"..\")]`".into()
            }
            Self::DuplicateModel { .. } => "publish a model once per topic".into(),
            Self::UnknownPartitionKey { .. } => {
                "partition by an attribute that each model of the topic has, or compute the key: `partition_key_with`".into()
            }
            Self::ComputedPartitionKey { .. } => {
                "give `partition_key_with` once for a model that the topic publishes".into()
            }
            Self::NothingObserved { .. } => {
                "name the attributes: `.observe::<Account>([\"name\"], \"account_id\")`".into()
            }
            Self::UnknownObservedAttribute { observed, .. } => {
                format!("name an attribute of `{observed}`; a column that is not published can be one with `#[publishable(hidden)]`")
            }
        }
    }
}

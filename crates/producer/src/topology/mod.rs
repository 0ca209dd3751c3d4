//! What is published where: namespaces, topics, models.
//!
//! A topology is a value, built once and shared: two of them can live in one process, and nothing is looked up by name at run time that
//! could have been refused when it was built. It is also registered in the database ([`Topology::registrations`]), so that relay
//! and command line know topics and models without a file of the application's.

mod builder;
mod envelope;
mod mistake;
mod partition_key;
mod published;

use std::any::TypeId;
use std::collections::HashMap;

use dionysus_postgres::topics::Registration;

pub use builder::{NamespaceBuilder, TopicBuilder, TopologyBuilder};
pub use mistake::Mistake;
pub use published::{PublishedModel, PublishedTopic};

use crate::Publishable;

/// The declared namespaces, topics and models of an application.
///
/// Cheap enough to clone at start; an [`Outbox`](crate::Outbox) shares one.
///
/// # Examples
/// ```
/// # mod app {
/// # #[derive(dionysus_derive::Publishable)]
/// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
/// # pub struct Rental { pub id: i64, pub account_id: i64 }
/// # #[derive(dionysus_derive::Publishable)]
/// # #[publishable(crate = "dionysus_core", model = "Booking", table = "bookings")]
/// # pub struct Booking { pub id: i64, pub account_id: i64 }
/// # }
/// # use app::{Booking, Rental};
/// use dionysus_producer::Topology;
///
/// let topology = Topology::builder()
///     .namespace("v3", |ns| {
///         ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>())
///             .topic("bookings", |t| t.partition_key("id").publish::<Booking>())
///     })
///     .build()?;
///
/// let topics: Vec<_> = topology.topics().map(|topic| topic.name().as_str()).collect();
/// assert_eq!(topics, ["v3_rentals", "v3_bookings"]);
/// # Ok::<(), dionysus_producer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Topology {
    topics: Vec<PublishedTopic>,
    places: HashMap<TypeId, Vec<Place>>,
}

/// One model in one topic.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    pub(crate) topic: usize,
    pub(crate) model: usize,
}

impl Topology {
    /// Begins a declaration.
    pub fn builder() -> TopologyBuilder {
        TopologyBuilder::new()
    }

    pub(crate) fn new(topics: Vec<PublishedTopic>) -> Self {
        let mut places: HashMap<TypeId, Vec<Place>> = HashMap::new();
        for (i, topic) in topics.iter().enumerate() {
            for (j, model) in topic.models.iter().enumerate() {
                places.entry(model.type_id).or_default().push(Place { topic: i, model: j });
            }
        }
        Self { topics, places }
    }

    /// All topics, in the order of their declaration.
    pub fn topics(&self) -> impl Iterator<Item = &PublishedTopic> {
        self.topics.iter()
    }

    /// A topic by its full name or that of its genesis twin: `v3_rentals`, `v3_rentals_genesis`.
    pub fn topic(&self, name: &str) -> Option<&PublishedTopic> {
        self.topics
            .iter()
            .find(|topic| topic.name().as_str() == name || topic.genesis().as_deref() == Some(name))
    }

    /// The topics that publish a model of this name, in the order of their declaration.
    pub fn topics_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a PublishedTopic> {
        self.topics.iter().filter(move |topic| topic.model(model).is_some())
    }

    /// The topics that publish this type, in the order of their declaration. Two types may carry the name of one model in
    /// different topics; this tells them apart.
    pub fn topics_of_type<M: Publishable + 'static>(
        &self,
    ) -> impl Iterator<Item = &PublishedTopic> {
        self.places::<M>().iter().map(|place| &self.topics[place.topic])
    }

    /// What is stored in the database about each topic.
    pub fn registrations(&self) -> Vec<Registration> {
        self.topics.iter().map(PublishedTopic::registration).collect()
    }

    pub(crate) fn places<M: Publishable + 'static>(&self) -> &[Place] {
        self.places.get(&TypeId::of::<M>()).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn at(&self, place: Place) -> (&PublishedTopic, &PublishedModel) {
        let topic = &self.topics[place.topic];
        (topic, &topic.models[place.model])
    }
}

//! What is published where: namespaces, topics, models.
//!
//! A topology is a value, built once and shared: two of them can live in one process, and nothing is looked up by name at run time that
//! could have been refused when it was built. It is also registered in the database ([`Topology::registrations`]), so that relay
//! and command line know topics and models without a file of the application's.

mod builder;
mod envelope;
mod mistake;
mod partition_key;
mod path;
mod published;
mod routes;
mod view;

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;

use dionysus_postgres::instances::{ColumnTypes, Source};
use dionysus_postgres::topics::Registration;

pub use builder::{NamespaceBuilder, TopicBuilder, TopologyBuilder};
pub use mistake::Mistake;
pub use path::{Path, PathThrough};
pub use published::{PublishedModel, PublishedTopic};
pub(crate) use routes::{Change, Concern, Routes};
pub(crate) use view::View;

use self::builder::Declared;
use crate::Publishable;
use crate::read::Read;

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
    routes: Routes,
    readers: HashMap<TypeId, Arc<dyn Read>>,
    types: Arc<ColumnTypes>,
    inline_dependants: usize,
}

/// One model in one topic.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) topic: usize,
    pub(crate) model: usize,
}

impl Topology {
    /// Begins a declaration.
    pub fn builder() -> TopologyBuilder {
        TopologyBuilder::new()
    }

    /// `declared` holds the declarations of each topic's models, in their order.
    fn new(
        topics: Vec<PublishedTopic>,
        declared: &[Vec<&Declared>],
        inline_dependants: usize,
    ) -> Self {
        let mut places: HashMap<TypeId, Vec<Place>> = HashMap::new();
        let mut routes = Routes::default();
        for (topic, models) in declared.iter().enumerate() {
            for (model, declared) in models.iter().enumerate() {
                let place = Place { topic, model };
                places.entry(declared.of_type).or_default().push(place);
                for part in &declared.parts {
                    routes.add_part(place, declared.source, &part.route);
                }
                for observed in &declared.observed {
                    routes.add_observed(place, declared.source, observed);
                }
            }
        }
        let readers = readers(declared);
        let columns = readers.values().flat_map(|reader| reader.columns()).chain(routes.columns());
        let types = Arc::new(ColumnTypes::new(columns.collect()));
        Self { topics, places, routes, readers, types, inline_dependants }
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
        self.places_of(TypeId::of::<M>()).iter().map(|place| &self.topics[place.topic])
    }

    /// The topics and models in which a model of this name is a part.
    pub fn roots_of<'a>(
        &'a self,
        part: &'a str,
    ) -> impl Iterator<Item = (&'a PublishedTopic, &'a PublishedModel)> {
        let models = self.topics.iter().flat_map(|topic| topic.models().map(move |m| (topic, m)));
        models.filter(move |(_, model)| model.parts().any(|found| found.model == part))
    }

    /// What is stored in the database about each topic.
    pub fn registrations(&self) -> Vec<Registration> {
        self.topics.iter().map(PublishedTopic::registration).collect()
    }

    pub(crate) fn places_of(&self, of_type: TypeId) -> &[Place] {
        self.places.get(&of_type).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn at(&self, place: Place) -> (&PublishedTopic, &PublishedModel) {
        let topic = &self.topics[place.topic];
        (topic, &topic.models[place.model])
    }

    /// The model of a topic to which a key belongs, and the id in it.
    pub(crate) fn place_of_key<'a>(&self, topic: &str, key: &'a str) -> Option<(Place, &'a str)> {
        let at = self.topics.iter().position(|found| found.name().as_str() == topic)?;
        let (model, id) =
            self.topics[at].models.iter().enumerate().find_map(|(model, found)| {
                let rest = key.strip_prefix(found.name().as_str())?;
                // `Core` is no prefix of `Core::Booking:1`.
                let id = rest.strip_prefix(':')?;
                (!id.starts_with(':')).then_some((model, id))
            })?;
        Some((Place { topic: at, model }, id))
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// What reads instances of a type with all parts that any topic needs.
    pub(crate) fn reader(&self, of_type: TypeId) -> Option<&Arc<dyn Read>> {
        self.readers.get(&of_type)
    }

    /// The type that is staged for a place.
    pub(crate) fn type_at(&self, place: Place) -> (TypeId, Source) {
        let (_, model) = self.at(place);
        (model.of_type, model.source)
    }

    pub(crate) fn types(&self) -> &ColumnTypes {
        &self.types
    }

    pub(crate) fn inline_dependants(&self) -> usize {
        self.inline_dependants
    }
}

/// One reader a type, for the parts of all its declarations.
fn readers(declared: &[Vec<&Declared>]) -> HashMap<TypeId, Arc<dyn Read>> {
    let mut readers = HashMap::new();
    for one in declared.iter().flatten() {
        let Some(reader) = one.reader else { continue };
        let of_type = declared.iter().flatten().filter(|other| other.of_type == one.of_type);
        let (mut names, mut loaders) = (Vec::new(), Vec::new());
        for part in of_type.flat_map(|other| &other.parts) {
            if !names.contains(&part.route.part_type) {
                names.push(part.route.part_type);
                loaders.push(Arc::clone(&part.loader));
            }
        }
        readers.entry(one.of_type).or_insert_with(|| reader(&loaders));
    }
    readers
}

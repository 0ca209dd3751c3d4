//! Declaring a topic: which models, with which parts, observing what.

use std::any::{TypeId, type_name};
use std::marker::PhantomData;
use std::sync::Arc;

use dionysus_core::HasPart;

use super::super::partition_key::PartitionKey;
use super::super::routes::{Observed, PartRoute};
use super::super::{Path, View};
use super::declared::{ComputedKey, Declaration, Declared, DeclaredPart, Loader, Shape};
use crate::Publishable;
use crate::read::{PartsOf, Readable, Reader, source};

/// Declares what a topic publishes, and how. `M` is the model declared last, which [`with`](Self::with) and [`observe`](Self::observe) go on about.
#[derive(Debug)]
#[must_use = "return it from the closure"]
pub struct TopicBuilder<M = ()> {
    declaration: Declaration,
    last: PhantomData<fn() -> M>,
}

impl TopicBuilder {
    pub(super) fn new(name: String) -> Self {
        Self::from_declaration(Declaration {
            name,
            genesis_replica: false,
            tombstones: false,
            max_message_bytes: Self::DEFAULT_MAX_MESSAGE_BYTES,
            partition_key: None,
            computed: Vec::new(),
            models: Vec::new(),
        })
    }

    /// Bytes of key and value that a topic takes if it declares nothing else.
    ///
    /// The stock relay's client and the gem's refuse records above `message.max.bytes` = 1,000,000, counted with headers and framing; this
    /// leaves 1,024 bytes for those. A broker's own default, 1,048,588 for a batch, lies above.
    pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_000_000 - 1_024;
}

impl<M> TopicBuilder<M> {
    fn from_declaration(declaration: Declaration) -> Self {
        Self { declaration, last: PhantomData }
    }

    pub(super) fn into_declaration(self) -> Declaration {
        self.declaration
    }

    /// Publishes a model. A topic takes several, and a model may be published by several topics.
    pub fn publish<N: Publishable + 'static>(self) -> TopicBuilder<N> {
        self.declare(Shape::of::<N>(), None)
    }

    /// Publishes a model in the form of another type, made from each instance: the format of one namespace beside that of another, or another name on
    /// the wire. The application stages `N`; the messages, their keys and partition keys are those of `V`.
    ///
    /// # Examples
    /// ```
    /// # mod app {
    /// # use dionysus_derive::Publishable;
    /// #[derive(Publishable)]
    /// # #[publishable(crate = "dionysus_core")]
    /// #[publishable(table = "rentals")]
    /// pub struct Rental { pub id: i64, pub account_id: i64, pub first_name: String, pub last_name: String }
    ///
    /// #[derive(Publishable)]
    /// # #[publishable(crate = "dionysus_core")]
    /// #[publishable(model = "Rental", table = "rentals")]
    /// pub struct RentalV3 { pub id: i64, pub account_id: i64, pub name: String }
    ///
    /// impl From<&Rental> for RentalV3 {
    ///     fn from(rental: &Rental) -> Self {
    ///         let name = format!("{} {}", rental.first_name, rental.last_name);
    ///         Self { id: rental.id, account_id: rental.account_id, name }
    ///     }
    /// }
    /// # }
    /// # use app::{Rental, RentalV3};
    /// # use dionysus_producer::Topology;
    /// let topology = Topology::builder()
    ///     .namespace("v3", |ns| ns.topic("rentals", |t| t.publish_as::<Rental, RentalV3>()))
    ///     .namespace("v4", |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
    ///     .build()?;
    /// # Ok::<(), dionysus_producer::Error>(())
    /// ```
    pub fn publish_as<N, V>(self) -> TopicBuilder<N>
    where
        N: Publishable + 'static,
        V: Publishable + for<'a> From<&'a N> + Send + 'static,
    {
        self.declare(Shape::of::<V>(), Some(View::of::<N, V>()))
    }

    fn declare<N: Publishable + 'static>(
        mut self,
        shape: Shape,
        view: Option<View>,
    ) -> TopicBuilder<N> {
        self.declaration.models.push(Declared {
            of_type: TypeId::of::<N>(),
            source: source::<N>(),
            shape,
            view,
            parts: Vec::new(),
            observed: Vec::new(),
            reader: None,
        });
        TopicBuilder::from_declaration(self.declaration)
    }

    /// Copies each message to `<topic>_genesis` too, the twin that genesis runs fill and that Kafka compacts. Default: no twin.
    pub fn genesis_replica(mut self) -> Self {
        self.declaration.genesis_replica = true;
        self
    }

    /// Follows the `destroyed` of each hard delete with a tombstone, a message without value, so that compaction forgets the key. Default: off; single
    /// ones are written by [`tombstone`](crate::OutboxTransaction::tombstone).
    pub fn tombstones(mut self) -> Self {
        self.declaration.tombstones = true;
        self
    }

    /// Partitions by an attribute, before the models' own and the topology's default. Each model of the topic must have it.
    pub fn partition_key(mut self, attribute: impl Into<String>) -> Self {
        self.declaration.partition_key = Some(attribute.into());
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
    pub fn partition_key_with<N, F>(mut self, compute: F) -> Self
    where
        N: Publishable + 'static,
        F: Fn(&N) -> Option<String> + Send + Sync + 'static,
    {
        self.declaration.computed.push(ComputedKey {
            type_id: TypeId::of::<N>(),
            type_name: type_name::<N>(),
            compute: PartitionKey::computed(compute),
        });
        self
    }

    /// The largest message, in bytes of key and value; a larger one is refused when it is staged, while the application can still
    /// do something about it. Default: [`DEFAULT_MAX_MESSAGE_BYTES`](TopicBuilder::DEFAULT_MAX_MESSAGE_BYTES). The relay's client and the
    /// topic in Kafka must take it as well.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.declaration.max_message_bytes = bytes;
        self
    }
}

impl<M: Readable> TopicBuilder<M> {
    /// Publishes parts inside the model declared last, its aggregate root: each change of a part publishes the root, and each message holds all parts.
    /// Roots are then read when the transaction commits, under a lock; see [`OutboxTransaction`](crate::OutboxTransaction).
    ///
    /// # Examples
    /// ```
    /// # mod app {
    /// use dionysus_core::Part;
    /// # use dionysus_derive::Publishable;
    ///
    /// #[derive(sqlx::FromRow, Publishable)]
    /// # #[publishable(crate = "dionysus_core")]
    /// #[publishable(table = "bookings")]
    /// pub struct Booking {
    ///     pub id: i64,
    ///     pub account_id: i64,
    ///     #[sqlx(skip)]
    ///     #[publishable(part)]
    ///     pub fees: Part<Vec<Fee>>,
    /// }
    ///
    /// #[derive(sqlx::FromRow, Publishable)]
    /// # #[publishable(crate = "dionysus_core")]
    /// #[publishable(table = "fees")]
    /// pub struct Fee {
    ///     pub id: i64,
    ///     #[publishable(link = "booking")]
    ///     pub booking_id: i64,
    /// }
    /// # }
    /// # use app::{Booking, Fee};
    /// # use dionysus_producer::Topology;
    /// let topology = Topology::builder()
    ///     .namespace("v3", |ns| ns.topic("bookings", |t| t.publish::<Booking>().with::<Fee>()))
    ///     .build()?;
    /// # Ok::<(), dionysus_producer::Error>(())
    /// ```
    pub fn with<P: Readable>(mut self) -> Self
    where
        M: HasPart<P>,
    {
        let loader: Loader = Arc::new(PartsOf::<M, P>::loader());
        if let Some(model) = self.last() {
            for info in M::PARTS.iter().filter(|part| M::NAMES.contains(&part.name)) {
                let route = PartRoute {
                    part_type: TypeId::of::<P>(),
                    part_attributes: P::ATTRIBUTES,
                    info,
                };
                if !model.parts.iter().any(|known| known.route.info.name == info.name) {
                    model.parts.push(DeclaredPart { route, loader: Arc::clone(&loader) });
                }
            }
        }
        self
    }

    /// Publishes instances of the model declared last when attributes of another model change, because values of theirs are computed from those. `path` leads from an
    /// observed instance to them; a column alone is the column of theirs that holds the observed instance's key.
    ///
    /// State changes of the observed model as those of any other; it need not be published itself. What counts is which of the attributes
    /// differ between the states; where the state before is not told (`updated`), all count as changed. A created instance has changed what is not
    /// null, a destroyed one what was not. Give attributes by their names, or by their columns.
    ///
    /// An instance that is made while another transaction changes what it will observe is seen by neither: lock the observed row (`for share`) before you insert
    /// a dependant, as a foreign key does only for the key.
    ///
    /// Dependants are found, locked and read when the transaction commits; with more than
    /// [`inline_dependants`](super::TopologyBuilder::inline_dependants) a genesis run is requested in their place.
    pub fn observe<O: Publishable + 'static>(
        mut self,
        attributes: impl IntoIterator<Item = impl Into<String>>,
        path: impl Into<Path>,
    ) -> Self {
        let attributes = attributes.into_iter().map(Into::into).collect();
        if let Some(model) = self.last() {
            model.observed.push(Observed::of::<O>(attributes, path.into()));
        }
        self
    }

    /// The model declared last, which is going to be read.
    fn last(&mut self) -> Option<&mut Declared> {
        let model = self.declaration.models.last_mut()?;
        model.reader = Some(Reader::<M>::with_parts);
        Some(model)
    }
}

//! What one staging call comes to: all of it is staged, or nothing. A refusal by one topic, or of one instance of thousands, stages nothing.

use std::any::TypeId;
use std::sync::Arc;

use crate::derived::Derived;
use crate::instance::Instance;
use crate::read::{Readable, Reader};
use crate::staged::{Encoder, Headers, Shown, StagedEvent, differs};
use crate::topology::{Change, Topology};
use crate::transition::Transition;
use crate::{Error, Publishable};

/// The events of one call on their way to the stage, and whom they concern besides.
pub(crate) struct Draft<'a> {
    topology: &'a Topology,
    encoder: Encoder<'a>,
    events: Vec<StagedEvent>,
    derived: Derived,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(topology: &'a Topology, headers: Headers) -> Self {
        Self {
            topology,
            encoder: Encoder::new(topology, headers),
            events: Vec::new(),
            derived: Derived::default(),
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<StagedEvent>, Derived) {
        (self.events, self.derived)
    }

    pub(crate) fn reserve(&mut self, instances: usize) {
        self.events.reserve(instances);
    }

    pub(crate) fn created<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.add(Transition::Created, instance)?;
        self.concern(None, Some(instance), false, true);
        Ok(())
    }

    pub(crate) fn updated<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.add(Transition::Updated, instance)?;
        self.concern(None, Some(instance), true, true);
        Ok(())
    }

    pub(crate) fn destroyed<M: Publishable + 'static>(
        &mut self,
        instance: &M,
    ) -> Result<(), Error> {
        let transition = Transition::destruction(instance);
        self.add(transition, instance)?;
        if transition == Transition::Deleted {
            self.concern(Some(instance), None, false, true);
        } else {
            self.concern(None, Some(instance), true, true);
        }
        Ok(())
    }

    /// What two states come to.
    pub(crate) fn changed<M: Publishable + 'static>(
        &mut self,
        before: Option<&M>,
        after: Option<&M>,
    ) -> Result<(), Error> {
        match (before, after) {
            (None, None) => Ok(()),
            (None, Some(after)) => self.created(after),
            (Some(before), None) => self.deleted(before),
            (Some(before), Some(after)) if before.id() != after.id() => {
                self.deleted(before)?;
                self.created(after)
            }
            (Some(before), Some(after)) => {
                let differs = || differs(self.topology, before, after);
                let transition = Transition::between(before, after, differs);
                if let Some(transition) = transition {
                    self.add(transition, after)?;
                }
                let published = transition.is_some_and(|found| found != Transition::Unseen);
                self.concern(Some(before), Some(after), false, published);
                Ok(())
            }
        }
    }

    fn deleted<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.add(Transition::Deleted, instance)?;
        self.concern(Some(instance), None, false, true);
        Ok(())
    }

    pub(crate) fn created_by_id<M: Readable>(&mut self, id: &str) -> Result<(), Error> {
        self.by_id::<M>(id)?;
        for &place in self.topology.places_of(TypeId::of::<M>()) {
            self.events.push(self.encoder.event_by_id(place, Transition::Created, id)?);
        }
        Ok(())
    }

    pub(crate) fn updated_by_id<M: Readable>(&mut self, id: &str) -> Result<(), Error> {
        self.by_id::<M>(id)?;
        for &place in self.topology.places_of(TypeId::of::<M>()) {
            // Only to refuse what has no key, while the transaction can go on.
            self.encoder.event_by_id(place, Transition::Updated, id)?;
            self.derived.add_root(place, id.to_owned(), &self.encoder.headers);
        }
        Ok(())
    }

    fn by_id<M: Readable>(&mut self, id: &str) -> Result<(), Error> {
        let of_type = TypeId::of::<M>();
        if self.topology.places_of(of_type).is_empty() && !self.topology.routes().has(of_type) {
            return Err(not_published::<M>());
        }
        let reader = self.topology.reader(of_type).map_or_else(Reader::<M>::plain, Arc::clone);
        self.derived.add_reader(of_type, reader);
        if self.topology.routes().has(of_type) {
            self.derived.add_unread(of_type, id.to_owned(), &self.encoder.headers);
        }
        Ok(())
    }

    pub(crate) fn tombstone<M: Publishable + 'static>(
        &mut self,
        instance: &M,
    ) -> Result<(), Error> {
        let from = self.events.len();
        self.add(Transition::Deleted, instance)?;
        for event in &mut self.events[from..] {
            (event.shown, event.tombstone, event.data) = (Shown::No, true, None);
        }
        Ok(())
    }

    pub(crate) fn tombstone_of_key(
        &mut self,
        topic: &str,
        key: &str,
        partition_key: Option<&str>,
    ) -> Result<(), Error> {
        let Some((place, id)) = self.topology.place_of_key(topic, key) else {
            return Err(Error::KeyNotPublished {
                topic: topic.to_owned(),
                key: key.to_owned().into(),
            });
        };
        let event = self.encoder.event_by_id(place, Transition::Deleted, id)?;
        let partition_key = partition_key.filter(|key| !key.is_empty()).map(str::to_owned);
        let (shown, tombstone) = (Shown::No, true);
        self.events.push(StagedEvent { shown, tombstone, partition_key, ..event });
        Ok(())
    }

    /// One event for each topic that publishes the type.
    fn add<M: Publishable + 'static>(
        &mut self,
        transition: Transition,
        instance: &M,
    ) -> Result<(), Error> {
        let places = self.topology.places_of(TypeId::of::<M>());
        if places.is_empty() && !self.topology.routes().has(TypeId::of::<M>()) {
            return Err(not_published::<M>());
        }
        let mut own = None;
        for &place in places {
            let event = self.encoder.event(place, transition, instance, false, &mut own)?;
            if event.as_base {
                self.events.push(self.end_of_own_key(&event, instance)?);
            }
            self.events.push(event);
        }
        Ok(())
    }

    /// An instance that ends under its base's key must not be left as created or updated under its own by the same transaction.
    fn end_of_own_key<M: Publishable + 'static>(
        &self,
        event: &StagedEvent,
        instance: &M,
    ) -> Result<StagedEvent, Error> {
        let end = self.encoder.event_by_id(event.place, Transition::Deleted, &instance.id())?;
        Ok(StagedEvent {
            shown: Shown::Unseen,
            partition_key: event.partition_key.clone(),
            data: event.data.clone(),
            ..end
        })
    }

    fn concern(
        &mut self,
        before: Option<&dyn Instance>,
        after: Option<&dyn Instance>,
        before_is_unknown: bool,
        published: bool,
    ) {
        let change = Change { before, after, before_is_unknown };
        let (derived, headers) = (&mut self.derived, &self.encoder.headers);
        self.topology
            .routes()
            .concerned(&change, published, |concern| derived.add(concern, headers));
    }
}

fn not_published<M: Publishable>() -> Error {
    Error::ModelNotPublished { model: M::MODEL.to_owned() }
}

//! What a transaction is to publish besides what it stages: roots whose parts changed, dependants of observed models, and instances that were named by
//! their ids. Collected in memory, without a statement; [`settle`](crate::settle) reads them at commit.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::read::Read;
use crate::staged::Headers;
use crate::topology::{Concern, Place};

/// Each instance once, however often it is concerned.
#[derive(Default)]
pub(crate) struct Derived {
    /// To be published as updated, if they are there.
    pub(crate) roots: BTreeMap<(Place, String), Headers>,
    /// Values to be looked up, by lookup.
    pub(crate) lookups: BTreeMap<usize, (BTreeSet<String>, Headers)>,
    /// Instances known by id whose own concerns are told by their rows.
    pub(crate) unread: BTreeMap<TypeId, (BTreeSet<String>, Headers)>,
    /// Readers of types that the topology has none for.
    pub(crate) readers: HashMap<TypeId, Arc<dyn Read>>,
}

impl Derived {
    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.lookups.is_empty() && self.unread.is_empty()
    }

    pub(crate) fn add(&mut self, concern: Concern, headers: &Headers) {
        match concern {
            Concern::Id(place, id) => self.add_root(place, id, headers),
            Concern::Lookup(lookup, value) => {
                let (values, last) = self.lookups.entry(lookup).or_default();
                values.insert(value);
                last.clone_from(headers);
            }
        }
    }

    pub(crate) fn add_root(&mut self, place: Place, id: String, headers: &Headers) {
        self.roots.insert((place, id), headers.clone());
    }

    pub(crate) fn add_unread(&mut self, of_type: TypeId, id: String, headers: &Headers) {
        let (ids, last) = self.unread.entry(of_type).or_default();
        ids.insert(id);
        last.clone_from(headers);
    }

    pub(crate) fn add_reader(&mut self, of_type: TypeId, reader: Arc<dyn Read>) {
        self.readers.insert(of_type, reader);
    }

    /// Adds what a call or a savepoint came to.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.roots.extend(later.roots);
        self.readers.extend(later.readers);
        merge(&mut self.lookups, later.lookups);
        merge(&mut self.unread, later.unread);
    }
}

fn merge<K: Ord>(
    into: &mut BTreeMap<K, (BTreeSet<String>, Headers)>,
    later: BTreeMap<K, (BTreeSet<String>, Headers)>,
) {
    for (key, (values, headers)) in later {
        let (known, last) = into.entry(key).or_default();
        known.extend(values);
        *last = headers;
    }
}

/// Never shows an id.
impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived")
            .field("roots", &self.roots.len())
            .field("lookups", &self.lookups.len())
            .finish_non_exhaustive()
    }
}

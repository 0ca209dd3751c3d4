//! A second lock in front of a lane: Redis's, for those who publish to its topics and know nothing of our leases.
//!
//! # What it adds
//! Mutual exclusion with the Ruby gem's outbox worker. That one takes the Redis lock `dionysus_<topic>_lock` around each pass over a topic; a relay
//! with `[redlock]` takes the same lock for as long as it owns the lane. While an application moves from one to the other, whichever
//! holds the lock publishes and the other waits.
//!
//! # What it does not add
//! Correctness. A lock that runs out by a clock excludes nobody who was asleep meanwhile, and Redis gives no number that could fence. Which relay may publish
//! is decided by the lease, and whose place counts by the epoch that every checkpoint carries (`lease.rs`), with or without Redis: so whatever goes
//! wrong here costs at most repeated rows or waiting ones. That is why the client is thin, off by default, and built by a feature.
//!
//! # The order
//! Which lanes are free only Postgres knows, so they are claimed there first; then their locks are asked for, once. A lane whose lock
//! is somebody else's is given back at once (its epoch has gone up, which harms nobody) and rests for about a heartbeat: giving it back wakes all
//! relays, who would else claim it in turns as fast as they can. Giving up goes the other way, when nothing of the lane is in flight: the lock, then the lane, so that
//! who is told of the free lane finds the lock free.
//!
//! # When Redis is away
//! Lanes that are ours go on by their lease; none is claimed; the log and the detail of `/readyz` say so. Away is also who answers too late, or refuses to
//! write: a lane is given up only for a lock that holds another's value.

#[cfg(test)]
mod conformance;
#[cfg(feature = "redlock")]
mod redlock;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dionysus_service::Secret;
use tokio::time::Instant;

use crate::observe::Observer;
use crate::{OptionsError, RelayOptions};

/// Locks of lanes beside the leases. Every call is bounded by a small part of the lease's TTL, since the pump waits for it.
#[async_trait]
pub(crate) trait LaneLocks: Debug + Send + Sync {
    /// Whether locks could be taken now.
    async fn answers(&self) -> bool;

    /// Takes the locks of these lanes, or extends those that are ours, each for a TTL; the answers are in the same order.
    async fn hold(&self, topics: &[String]) -> Vec<Hold>;

    /// Lets go of those that are ours; one that can't be reached runs out by itself.
    async fn release(&self, topics: &[String]);
}

/// What became of a lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hold {
    /// Ours for a TTL.
    Held,
    /// Somebody else's.
    Refused,
    /// Nobody can say.
    Away,
}

/// No second lock: the lease alone decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostgresAlone;

#[async_trait]
impl LaneLocks for PostgresAlone {
    async fn answers(&self) -> bool {
        true
    }

    async fn hold(&self, topics: &[String]) -> Vec<Hold> {
        vec![Hold::Held; topics.len()]
    }

    async fn release(&self, _topics: &[String]) {}
}

/// What is wrong with these servers; nothing with none.
pub(crate) fn faults(servers: &[Secret]) -> Vec<String> {
    faults_of_build(servers, cfg!(feature = "redlock"))
}

fn faults_of_build(servers: &[Secret], has_redlock: bool) -> Vec<String> {
    if servers.is_empty() {
        return Vec::new();
    }
    if !has_redlock {
        let fault = "this build has no locks in Redis; build it with `--features redlock`, or name no servers";
        return vec![fault.to_owned()];
    }
    let mut faults = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        // By number: the URL may hold a password.
        let number = index + 1;
        if let Some(fault) = fault(server.expose()) {
            faults.push(format!("server {number} {fault}"));
        }
        if servers[..index].contains(server) {
            faults.push(format!("server {number} is named twice, and would count twice"));
        }
    }
    faults
}

/// What is wrong with a URL.
#[cfg(feature = "redlock")]
fn fault(url: &str) -> Option<&'static str> {
    redlock::fault(url)
}

#[cfg(not(feature = "redlock"))]
fn fault(_url: &str) -> Option<&'static str> {
    None
}

#[cfg(feature = "redlock")]
fn backend(options: &RelayOptions) -> Option<Box<dyn LaneLocks>> {
    if options.redlock.is_empty() {
        return Some(Box::new(PostgresAlone));
    }
    Some(Box::new(redlock::Redlock::new(&options.redlock, options.lease_ttl)?))
}

#[cfg(not(feature = "redlock"))]
fn backend(options: &RelayOptions) -> Option<Box<dyn LaneLocks>> {
    options.redlock.is_empty().then(|| Box::new(PostgresAlone) as Box<dyn LaneLocks>)
}

/// The locks of a relay, as the pump uses them; they outlive its sessions.
#[derive(Debug)]
pub(crate) struct Locks {
    backend: Box<dyn LaneLocks>,
    observer: Arc<Observer>,
    /// Lanes whose lock was somebody else's, and until when they are left alone.
    resting: Mutex<HashMap<String, Instant>>,
    rest: Duration,
    is_away: AtomicBool,
}

impl Locks {
    /// No I/O.
    ///
    /// # Errors
    /// What [`RelayOptions::validate`] says of the servers.
    pub(crate) fn new(
        options: &RelayOptions,
        observer: Arc<Observer>,
    ) -> Result<Self, OptionsError> {
        let backend =
            backend(options).ok_or_else(|| OptionsError { faults: faults(&options.redlock) })?;
        Ok(Self {
            backend,
            observer,
            resting: Mutex::default(),
            // Over before the next regular heartbeat, or every second one would be missed.
            rest: options.heartbeat_interval().mul_f64(0.9),
            is_away: AtomicBool::new(false),
        })
    }

    /// Extends the locks of our lanes; returns the lanes whose lock is somebody else's now.
    pub(crate) async fn lost(&self, ours: &[String]) -> Vec<String> {
        let lost = self.ask(ours, |hold| hold == Hold::Refused).await;
        for topic in &lost {
            tracing::warn!(topic, "the lane's lock in redis is somebody else's, giving it up");
        }
        lost
    }

    /// Takes the locks of lanes just claimed; returns the lanes that are to be given back.
    pub(crate) async fn refused(&self, claimed: &[String]) -> Vec<String> {
        let refused = self.ask(claimed, |hold| hold != Hold::Held).await;
        for topic in &refused {
            tracing::info!(topic, "lane not taken, its lock in redis is not free");
        }
        refused
    }

    /// Whether lanes may be claimed: a lock that can't be taken would only be given back.
    pub(crate) async fn may_claim(&self) -> bool {
        let answers = self.backend.answers().await;
        self.note(!answers);
        answers
    }

    /// Lanes that should not be claimed now.
    pub(crate) fn resting(&self) -> Vec<String> {
        let now = Instant::now();
        let mut resting = self.resting_lanes();
        resting.retain(|_, until| *until > now);
        resting.keys().cloned().collect()
    }

    /// Lets go of the locks of these lanes.
    pub(crate) async fn release(&self, topics: &[String]) {
        self.backend.release(topics).await;
    }

    /// The lanes whose answer is one of those; they rest from now on.
    async fn ask(&self, topics: &[String], is_out: impl Fn(Hold) -> bool) -> Vec<String> {
        if topics.is_empty() {
            return Vec::new();
        }
        let answers = self.backend.hold(topics).await;
        self.note(answers.contains(&Hold::Away));
        let until = Instant::now() + self.rest;
        let mut resting = self.resting_lanes();
        let out = topics.iter().zip(answers).filter(|(_, answer)| is_out(*answer));
        out.map(|(topic, _)| {
            resting.insert(topic.clone(), until);
            topic.clone()
        })
        .collect()
    }

    /// Said when it changes: an outage is one line, not one a heartbeat.
    fn note(&self, is_away: bool) {
        if self.is_away.swap(is_away, Ordering::Relaxed) == is_away {
            return;
        }
        self.observer.locks(is_away.then_some("redis is away: no lane is claimed"));
        if is_away {
            tracing::warn!("redis is away, lanes go on by their lease and none is claimed");
        } else {
            tracing::info!("redis answers again");
        }
    }

    /// A poisoned lock hides nothing: the worst is a lane that is asked for again.
    fn resting_lanes(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dionysus_service::{Health as _, HealthLimits};

    use crate::RelayHealth;

    /// Answers the same for every lane; `None`: away.
    #[derive(Debug, Default)]
    struct Scripted(Mutex<Option<Hold>>);

    impl Scripted {
        fn answer(&self) -> Option<Hold> {
            *self.0.lock().unwrap()
        }
    }

    #[async_trait]
    impl LaneLocks for Arc<Scripted> {
        async fn answers(&self) -> bool {
            self.answer().is_some()
        }

        async fn hold(&self, topics: &[String]) -> Vec<Hold> {
            vec![self.answer().unwrap_or(Hold::Away); topics.len()]
        }

        async fn release(&self, _topics: &[String]) {}
    }

    #[tokio::test]
    async fn away_keeps_lanes_and_takes_none_and_is_shown_while_it_lasts() {
        let (redis, observer) = (Arc::new(Scripted::default()), Arc::new(Observer::new()));
        let options = RelayOptions::default();
        let mut locks = Locks::new(&options, Arc::clone(&observer)).unwrap();
        locks.backend = Box::new(Arc::clone(&redis));
        let limits =
            HealthLimits { unready_after: Duration::MAX, dead_after: Duration::from_mins(2) };
        let health = RelayHealth::new(observer, limits);
        let shown = || health.ready().detail["locks"].clone();
        let lanes = ["v3_rentals".to_owned()];

        assert!(!locks.may_claim().await);
        assert!(shown().as_str().is_some_and(|text| text.contains("away")));
        assert_eq!(locks.lost(&lanes).await, [""; 0]);
        assert_eq!(locks.resting(), [""; 0]);
        assert_eq!(locks.refused(&lanes).await, lanes);
        assert_eq!(locks.resting(), lanes);

        *redis.0.lock().unwrap() = Some(Hold::Refused);
        assert!(locks.may_claim().await);
        assert!(shown().is_null());
        assert_eq!(locks.lost(&lanes).await, lanes);
        let next_heartbeat = Instant::now() + options.heartbeat_interval();
        assert!(locks.resting_lanes()["v3_rentals"] < next_heartbeat, "it may not try again");
        locks.rest = Duration::ZERO;
        assert_eq!(locks.lost(&lanes).await, lanes);
        assert_eq!(locks.resting(), [""; 0]);
        *redis.0.lock().unwrap() = Some(Hold::Held);
        assert_eq!(locks.refused(&lanes).await, [""; 0]);
        assert_eq!(locks.resting(), [""; 0]);
    }

    #[test]
    fn servers_without_the_feature_are_a_fault_that_names_the_build() {
        let servers = [Secret::new("redis://localhost")];
        assert!(faults_of_build(&servers, false)[0].contains("--features redlock"));
        assert_eq!(faults_of_build(&[], false), [""; 0]);
    }

    #[cfg(feature = "redlock")]
    #[test]
    fn faults_of_servers_are_told_by_number_without_their_urls() {
        let urls =
            ["redis://:hunter2@a", "hunter2", "rediss://:hunter2@b", "redis://:hunter2@a", ""];
        let faults = faults(&urls.map(Secret::new));
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[0].starts_with("server 2 is no URL"), "{faults:?}");
        assert!(faults[1].starts_with("server 3 asks for TLS"), "{faults:?}");
        assert!(faults[2].starts_with("server 4 is named twice"), "{faults:?}");
        assert!(faults.iter().all(|fault| !fault.contains("hunter2")), "{faults:?}");
    }
}

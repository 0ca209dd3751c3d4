//! The algorithm Redlock, by the crate `rslock`: a lock is held where a majority of independent servers has our value under its name.
//!
//! The crate answers *unavailable* alike for a lock that is held and for servers that are away; the difference is read from the servers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dionysus_service::Secret;
use futures_util::future::join_all;
use redis::Client;
use redlock::{Lock, LockManager};
use tokio::time::{Instant, timeout};

use super::{Hold, LaneLocks};

/// Our lock runs out that much before our lease would, or the successor would find it and wait for another heartbeat.
const OF_LEASE: f64 = 0.95;

/// The part of a lease that one call may take: an eighth of the pause between two heartbeats. The pump makes three calls in it at most, one while Redis
/// is away, and so works for most of the time whatever Redis does; all three are a sixth of its patience with Kafka (`stall_timeout`), which it must not
/// run out of here.
const CALLS_IN_A_LEASE: u32 = 40;

/// One failure is not enough: after an outage it is what tells the crate to connect again.
const TRIES: u32 = 2;
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// A try that takes longer may have timed out (the client waits for 500 ms), and a server may do later what it asked for.
const PROMPT: Duration = Duration::from_millis(250);

/// What is wrong with a URL; never its text.
pub(super) fn fault(url: &str) -> Option<&'static str> {
    if url.starts_with("rediss:") {
        return Some("asks for TLS, which is not offered to Redis; lead it through a tunnel");
    }
    Client::open(url).err().map(|_| "is no URL such as `redis://:password@host:6379`")
}

/// Locks with the name that the gem's worker uses.
pub(super) struct Redlock {
    servers: Arc<Servers>,
    limit: Duration,
    /// One call at a time: a call that was not waited for may have a lock already that `held` does not name yet, and another would take it for somebody
    /// else's.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Shared with calls that were not waited for.
struct Servers {
    manager: LockManager,
    clients: Vec<Client>,
    ttl: Duration,
    /// By topic. One that has run out stays until somebody else's is seen, or until it is released.
    held: Mutex<HashMap<String, Arc<Lock>>>,
    /// Until when a value that we don't know may be ours: of a try that was not answered, whose value the crate keeps to itself.
    doubtful: Mutex<HashMap<String, Instant>>,
}

impl fmt::Debug for Redlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A client's own form could show its password.
        f.debug_struct("Redlock")
            .field("servers", &self.servers.clients.len())
            .finish_non_exhaustive()
    }
}

impl Redlock {
    /// No I/O; `None` if a URL is none.
    pub(super) fn new(servers: &[Secret], lease_ttl: Duration) -> Option<Self> {
        let clients: Result<Vec<_>, _> =
            servers.iter().map(|server| Client::open(server.expose())).collect();
        let clients = clients.ok()?;
        let mut manager = LockManager::from_clients(clients.clone());
        manager.set_retry(TRIES, RETRY_DELAY);
        let servers = Servers {
            manager,
            clients,
            ttl: lease_ttl.mul_f64(OF_LEASE),
            held: Mutex::default(),
            doubtful: Mutex::default(),
        };
        Some(Self {
            servers: Arc::new(servers),
            limit: lease_ttl / CALLS_IN_A_LEASE,
            turn: Arc::default(),
        })
    }
}

#[async_trait]
impl LaneLocks for Redlock {
    async fn answers(&self) -> bool {
        let pings = join_all(self.servers.clients.iter().map(ping));
        let answers = timeout(self.limit, pings).await.unwrap_or_default();
        answers.iter().filter(|answers| **answers).count() > self.servers.clients.len() / 2
    }

    async fn hold(&self, topics: &[String]) -> Vec<Hold> {
        let asked = async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let (servers, wanted) = (Arc::clone(&self.servers), topics.to_vec());
            // Not cancelled when it is late: a lock that it takes must be known as ours, or we would refuse ourselves.
            let late = tokio::spawn(async move {
                let answers = servers.hold(&wanted).await;
                drop(turn);
                answers
            });
            late.await.ok()
        };
        let answers = timeout(self.limit, asked).await;
        answers.ok().flatten().unwrap_or_else(|| vec![Hold::Away; topics.len()])
    }

    async fn release(&self, topics: &[String]) {
        let ours: Vec<_> = {
            let mut held = self.servers.held();
            topics.iter().filter_map(|topic| held.remove(topic)).collect()
        };
        let manager = &self.servers.manager;
        let released = join_all(ours.iter().map(|lock| manager.unlock(lock)));
        if timeout(self.limit, released).await.is_err() {
            tracing::debug!("locks not released in time, they run out");
        }
    }
}

impl Servers {
    async fn hold(&self, topics: &[String]) -> Vec<Hold> {
        let held = join_all(topics.iter().map(|topic| self.hold_one(topic))).await;
        let failed: Vec<&String> =
            topics.iter().zip(&held).filter(|(_, held)| !**held).map(|(topic, _)| topic).collect();
        let mut are_others = self.others(&failed).await.into_iter();
        let answer = |held| match held {
            true => Hold::Held,
            false if are_others.next() == Some(true) => Hold::Refused,
            false => Hold::Away,
        };
        held.into_iter().map(answer).collect()
    }

    async fn hold_one(&self, topic: &str) -> bool {
        let known = self.held().get(topic).cloned();
        if let Some(lock) = known
            && self.manager.extend(&lock, self.ttl).await.is_ok()
        {
            return true;
        }
        let began = Instant::now();
        if let Ok(lock) = self.manager.lock(name(topic).as_str(), self.ttl).await {
            self.held().insert(topic.to_owned(), Arc::new(lock));
            return true;
        }
        if began.elapsed() > PROMPT {
            // A server that hangs sets it when it wakes up: by then the next heartbeat has tried again, and doubts for longer.
            self.doubtful().insert(topic.to_owned(), Instant::now() + self.ttl * 2);
        }
        false
    }

    /// For each of these lanes, whether a server holds a value under its name that is certainly not ours.
    async fn others(&self, topics: &[&String]) -> Vec<bool> {
        if topics.is_empty() {
            return Vec::new();
        }
        let names: Vec<_> = topics.iter().map(|topic| name(topic)).collect();
        let answers = join_all(self.clients.iter().map(|client| values(client, &names))).await;
        let mut held = self.held();
        let mut doubtful = self.doubtful();
        doubtful.retain(|_, until| *until > Instant::now());
        let mut is_anothers = |index: usize, topic: &str| {
            if doubtful.contains_key(topic) {
                return false;
            }
            let ours = held.get(topic).map(|lock| lock.val.as_slice());
            let values = answers.iter().filter_map(|values| values.get(index)?.as_deref());
            let is_anothers = values.into_iter().any(|value| Some(value) != ours);
            if is_anothers {
                held.remove(topic);
            }
            is_anothers
        };
        topics.iter().enumerate().map(|(index, topic)| is_anothers(index, topic)).collect()
    }

    fn doubtful(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A poisoned lock hides nothing: each entry is set or removed whole.
    fn held(&self) -> MutexGuard<'_, HashMap<String, Arc<Lock>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gem's, byte for byte.
fn name(topic: &str) -> String {
    format!("dionysus_{topic}_lock")
}

async fn ping(client: &Client) -> bool {
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
        return false;
    };
    redis::cmd("PING").exec_async(&mut connection).await.is_ok()
}

/// The values under these names; none of a server that does not answer.
async fn values(client: &Client, names: &[String]) -> Vec<Option<Vec<u8>>> {
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
        return Vec::new();
    };
    redis::cmd("MGET").arg(names).query_async(&mut connection).await.unwrap_or_default()
}

//! The relay moves rows of the outbox to Kafka: in order per key, at least once, from committed transactions only.
//!
//! It runs as the binary `outbox-relay`, or inside an application:
//!
//! ```no_run
//! # async fn run(url: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use dionysus_relay::{Relay, RelayOptions};
//! use tokio_util::sync::CancellationToken;
//!
//! let stop = CancellationToken::new();
//! let relay = Relay::new(url.parse()?, "localhost:9092", RelayOptions::default())?;
//! relay.run(stop).await?;
//! # Ok(()) }
//! ```
//!
//! Where to find what: [`lease`](crate::LeaseClock) holds the protocol by which relays share lanes and stop in time; `in_flight` decides
//! how far a lane has come; `pump` is the loop that ties reading, publishing and storing together.
//! The order itself rests on [`dionysus_core::Cursor`].

mod config;
mod error;
mod in_flight;
mod lane;
mod lease;
mod locks;
mod membership;
mod message;
mod observe;
mod options;
mod pump;
mod quarantine;
mod reader;
mod relay;
mod rendered;
mod signals;
mod timeline;
mod topics;
mod upkeep;
mod wake_up;

pub use config::{RedlockSection, RelayConfig, RelaySection};
#[doc(inline)]
pub use dionysus_service::Secret;
pub use error::Error;
pub use lease::LeaseClock;
pub use observe::RelayHealth;
pub use options::{OptionsError, RelayOptions};
pub use relay::Relay;
#[doc(hidden)]
pub use rendered::Rendered;
pub use signals::{RelaySignals, Signal};
pub use upkeep::Retention;

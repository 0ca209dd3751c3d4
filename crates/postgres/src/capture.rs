//! Capture by trigger: SQL that makes every write of a table, whoever makes it, a row of the outbox.
//!
//! # What a trigger does
//! One function and one trigger for each topic and model, generated from the registered topology and the catalog, for a person to review and run. For each
//! changed row the function decides the event (the table of `dionysus-producer`'s `transition.rs`, by comparing what is published of both states) and inserts
//! one row, in the transaction of the change: it is in the same log, in the same order, and rolled back with it, by a savepoint too. The
//! row holds the columns' text and types; [`dionysus_core::encode_captured`] makes the message of them.
//!
//! # Why order per key holds
//! A row trigger fires after its statement has locked the instance's row, as in the application. Row triggers fire by name, so ours has one that
//! sorts first: a later one that changes the row again would else be captured before the change that it follows.
//!
//! # What the function pins
//! - `search_path`: it runs with the rights of its owner (writers of the table need none on the outbox), so that no name may be looked up elsewhere;
//! - `DateStyle` and its kind: text must not depend on the session;
//! - `synchronous_commit` is turned on where it is off, as in [`outbox`](crate::outbox) and for its reason. `set local` within a function that pins *other*
//!   settings lasts to the end of the transaction.
//!
//! # What it can't
//! Computed attributes and links, parts, views, queries of one's own: refused with what to do instead ([`Error::NotCapturable`]). So are types that the application
//! writes in another form than the column has (an enum that is stored as a number). Several changes in one transaction give as many messages.

mod catalog;
mod column;
mod fault;
mod form;
mod names;
mod plan;
mod registration;
mod sql;

use sqlx::PgPool;

use crate::Error;
use crate::topics::{self, Registered};
use names::Names;
use plan::Plan;
use registration::{Model, Topology};

pub use fault::CaptureFault;
pub(crate) use fault::{join, remedies};

/// The statements that install capture for a topic, for all of its models or for one. Nothing is changed.
///
/// # Errors
/// [`Error::TopicNotRegistered`], [`Error::ModelNotRegistered`], [`Error::Registration`], [`Error::NotCapturable`] with all faults at once, or
/// [`Error::Statement`].
pub async fn install(pool: &PgPool, topic: &str, model: Option<&str>) -> Result<String, Error> {
    let registered = registered(pool, topic).await?;
    let topology = Topology::read(&registered)?;
    let server = catalog::server(pool).await?;
    let (mut plans, mut faults) = (Vec::new(), server.faults());
    for model in chosen(topic, &topology, model)? {
        let table = catalog::table(pool, &model.table).await?;
        match Plan::new(topic, &topology, model, table, &server) {
            Ok(plan) => plans.push(plan),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() {
        Ok(sql::install(topic, &plans))
    } else {
        Err(Error::NotCapturable { topic: topic.to_owned(), faults })
    }
}

/// The statements that remove it again. A model may be named that is no longer registered.
///
/// # Errors
/// [`Error::TopicNotRegistered`] unless a model is named, [`Error::Registration`] or [`Error::Statement`].
pub async fn remove(pool: &PgPool, topic: &str, model: Option<&str>) -> Result<String, Error> {
    let models = if let Some(model) = model {
        vec![model.to_owned()]
    } else {
        let topology = Topology::read(&registered(pool, topic).await?)?;
        topology.models.into_iter().map(|model| model.name).collect()
    };
    let names: Vec<Names> = models.iter().map(|model| Names::new(topic, model)).collect();
    Ok(sql::remove(topic, &names))
}

async fn registered(pool: &PgPool, topic: &str) -> Result<Registered, Error> {
    let found = topics::all(pool).await?.into_iter().find(|it| it.name == topic);
    found.ok_or_else(|| Error::TopicNotRegistered { topic: topic.to_owned() })
}

fn chosen<'t>(
    topic: &str,
    topology: &'t Topology,
    wanted: Option<&str>,
) -> Result<Vec<&'t Model>, Error> {
    let models = topology.models.iter();
    let Some(wanted) = wanted else {
        return Ok(models.collect());
    };
    let found: Vec<_> = models.filter(|model| model.name == wanted).collect();
    if found.is_empty() {
        let (topic, model) = (topic.to_owned(), wanted.to_owned());
        return Err(Error::ModelNotRegistered { topic, model });
    }
    Ok(found)
}

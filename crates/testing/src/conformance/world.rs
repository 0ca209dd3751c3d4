//! The application that the cases are about.

use dionysus_core::ReplicaMapping;
use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, OutboxTransaction, Topology};
use sqlx::{FromRow, PgConnection, PgPool};

use super::Subject;

pub(super) const TABLES: &str = "
    create table rentals (id bigint primary key, account_id bigint, name text not null);
    create table rental_copies (synced_id bigint primary key, account_id bigint, name text);";

/// The replica's columns besides the id, named as the attributes.
pub const COPIES: [&str; 2] = ["account_id", "name"];

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
pub(super) struct Rental {
    pub(super) id: i64,
    pub(super) account_id: Option<i64>,
    pub(super) name: String,
}

pub(super) fn mapping() -> ReplicaMapping {
    let column = |name: &str| dionysus_core::ColumnMapping {
        attribute: name.to_owned(),
        column: name.to_owned(),
    };
    ReplicaMapping {
        columns: COPIES.map(column).into(),
        ..ReplicaMapping::new("Rental", "rental_copies")
    }
}

/// An application that writes rentals. Panics where it can't.
pub(super) struct Application {
    pub(super) outbox: Outbox,
    pub(super) pool: PgPool,
}

impl Application {
    pub(super) async fn start(subject: &impl Subject) -> Self {
        let topology = Topology::builder()
            .namespace(subject.namespace(), |ns| {
                ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>())
            })
            .build();
        let topology = topology.unwrap_or_else(|error| panic!("{error}"));
        let outbox = subject.database().outbox(topology).await;
        Self { outbox, pool: subject.database().pool.clone() }
    }

    /// Creates rentals, each in a transaction of its own.
    pub(super) async fn create(&self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            let mut tx = self.begin().await;
            let rental = insert(&mut tx, id).await;
            done(tx.created(&rental));
            done(tx.commit().await);
        }
    }

    /// Gives a rental these names, one after the other, each in a transaction of its own.
    pub(super) async fn rename(&self, id: i64, names: &[&str]) {
        for name in names {
            let mut tx = self.begin().await;
            let rental = update(&mut tx, id, name).await;
            done(tx.updated(&rental));
            done(tx.commit().await);
        }
    }

    pub(super) async fn destroy(&self, id: i64) {
        let mut tx = self.begin().await;
        let sql = "delete from rentals where id = $1 returning *";
        let rental: Rental = done(sqlx::query_as(sql).bind(id).fetch_one(&mut *tx).await);
        done(tx.destroyed(&rental));
        done(tx.commit().await);
    }

    pub(super) async fn begin(&self) -> OutboxTransaction<'static> {
        done(self.outbox.begin().await)
    }

    /// The names that the replica has for these ids.
    pub(super) async fn copies(&self, ids: &[i64]) -> Vec<(i64, String)> {
        let sql = "select synced_id, name from rental_copies where synced_id = any($1) order by synced_id";
        done(sqlx::query_as(sql).bind(ids).fetch_all(&self.pool).await)
    }
}

/// Of account `id % 5`, or of none.
pub(super) async fn insert(conn: &mut PgConnection, id: i64) -> Rental {
    let sql = "insert into rentals values ($1, nullif($1 % 5, 0), 'new') returning *";
    done(sqlx::query_as(sql).bind(id).fetch_one(conn).await)
}

pub(super) async fn update(conn: &mut PgConnection, id: i64, name: &str) -> Rental {
    let sql = "update rentals set name = $2 where id = $1 returning *";
    done(sqlx::query_as(sql).bind(id).bind(name).fetch_one(conn).await)
}

/// A failure of the application fails the run.
#[track_caller]
pub(super) fn done<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("the application failed: {error}"))
}

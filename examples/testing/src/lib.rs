//! A service that keeps rentals and publishes them; its tests are what this example is about.

use dionysus::{Outbox, Publishable, Topology};
use sqlx::FromRow;

/// A rental, as it is stored and published.
#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(table = "rentals", partition_key = "account_id")]
pub struct Rental {
    /// Given by the database.
    pub id: i64,
    /// Who lets it.
    pub account_id: i64,
    /// As guests see it.
    pub name: String,
}

/// What stops a change.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What this service publishes.
///
/// # Errors
/// When it is declared wrongly.
pub fn topology() -> Result<Topology, Error> {
    let topology = Topology::builder()
        .namespace("v3", |ns| ns.topic("rentals", |topic| topic.publish::<Rental>()));
    Ok(topology.build()?)
}

/// Adds a rental.
///
/// # Errors
/// When the database refuses it: then nothing is published either.
pub async fn add(outbox: &Outbox, account_id: i64, name: &str) -> Result<Rental, Error> {
    let mut tx = outbox.begin().await?;
    let sql = "insert into rentals (account_id, name) values ($1, $2) returning *";
    let rental: Rental =
        sqlx::query_as(sql).bind(account_id).bind(name).fetch_one(&mut *tx).await?;
    tx.created(&rental)?;
    tx.commit().await?;
    Ok(rental)
}

/// Gives all rentals of an account the name of one.
///
/// # Errors
/// When one of them already has it: then none is renamed.
pub async fn rename_all(outbox: &Outbox, account_id: i64, name: &str) -> Result<(), Error> {
    let mut tx = outbox.begin().await?;
    let sql = "update rentals set name = $2 || ' ' || id where account_id = $1 returning *";
    let mut rentals: Vec<Rental> =
        sqlx::query_as(sql).bind(account_id).bind(name).fetch_all(&mut *tx).await?;
    rentals.sort_by_key(|rental| rental.id);
    tx.updated_all(&rentals)?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dionysus::Replica;
    use dionysus::testing::{
        Pair, TestDatabase, assert_enqueued, assert_enqueued_exactly, refute_enqueued,
    };
    use serde_json::json;

    use super::*;

    const TABLES: &str = "
        create table rentals (id bigserial primary key, account_id bigint not null, name text not null unique);
        create table rental_copies (synced_id bigint primary key, name text);";

    /// What another service keeps; here in the same database.
    #[derive(Debug, PartialEq, FromRow, Replica)]
    #[replica(model = "Rental", table = "rental_copies")]
    struct RentalCopy {
        synced_id: i64,
        name: String,
    }

    async fn service() -> (TestDatabase, Outbox) {
        let database = TestDatabase::with_sql(TABLES).await;
        let outbox = database.outbox(topology().unwrap()).await;
        (database, outbox)
    }

    #[tokio::test]
    async fn a_new_rental_is_published_by_its_account() {
        let (_database, outbox) = service().await;
        let rental = add(&outbox, 7, "Villa").await.unwrap();
        let event = assert_enqueued!(
            &outbox,
            "rental_created",
            id = rental.id,
            partition_key = 7,
            data = json!({"name": "Villa"})
        );
        assert_eq!(event.key, format!("Rental:{}", rental.id));
    }

    #[tokio::test]
    async fn a_rename_publishes_each_rental_of_the_account_and_no_other() {
        let (database, outbox) = service().await;
        for (account_id, name) in [(7, "Villa"), (8, "Cabin"), (7, "Tent")] {
            add(&outbox, account_id, name).await.unwrap();
        }
        let before = database.enqueued().await;
        rename_all(&outbox, 7, "Sivota").await.unwrap();
        assert_enqueued_exactly!(
            &database.enqueued().await.since(&before),
            [
                ("rental_updated", id = 1, data = json!({"name": "Sivota 1"})),
                ("rental_updated", id = 3, data = json!({"name": "Sivota 3"})),
            ]
        );
    }

    #[tokio::test]
    async fn a_rename_that_fails_publishes_nothing() {
        let (database, outbox) = service().await;
        add(&outbox, 7, "Villa").await.unwrap();
        add(&outbox, 8, "Sivota 1").await.unwrap();
        rename_all(&outbox, 7, "Sivota").await.unwrap_err();
        refute_enqueued!(&database, "rental_updated");
    }

    #[tokio::test]
    async fn a_copy_is_right_whatever_happens_to_the_messages() {
        let (database, outbox) = service().await;
        let consumer = database.consumer().topic("v3_rentals", [RentalCopy::mapping()]);
        let mut pair = Pair::new(&database.pool, &consumer.build().unwrap()).await.unwrap();
        add(&outbox, 7, "Villa").await.unwrap();
        pair.deliver().await.unwrap();

        rename_all(&outbox, 7, "Sivota").await.unwrap();
        rename_all(&outbox, 7, "Saganaki").await.unwrap();
        let mut messages = pair.publish().await.unwrap();
        messages.reverse(); // the later name comes first,
        messages.push(messages[1].clone()); // and the earlier one again
        let delivery = pair.consume(messages).await.unwrap();

        assert_eq!(delivery.messages.len(), 3);
        let copies: Vec<RentalCopy> =
            sqlx::query_as("select * from rental_copies").fetch_all(&database.pool).await.unwrap();
        assert_eq!(copies, [RentalCopy { synced_id: 1, name: "Saganaki 1".into() }]);
    }
}

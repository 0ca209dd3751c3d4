//! Three models that the tests publish, alike but for their names, and the topology of a test.

use dionysus::{Publishable, Topology};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool};

/// A model whose table has the columns of [`create_tables`].
pub(crate) trait Instance:
    Publishable + for<'r> FromRow<'r, PgRow> + Send + Sync + Unpin + 'static
{
}

macro_rules! models {
    ($($name:ident, $table:literal;)*) => {$(
        #[derive(Clone, Debug, FromRow, Publishable)]
        #[publishable(table = $table)]
        pub(crate) struct $name {
            pub(crate) id: i64,
            pub(crate) account_id: i64,
            pub(crate) name: String,
            pub(crate) revision: i64,
        }

        impl Instance for $name {}
    )*};
}

models! {
    Rental, "rentals";
    Booking, "bookings";
    Review, "reviews";
}

/// The tables of the models.
pub(crate) const TABLES: [&str; 3] = [Rental::TABLE, Booking::TABLE, Review::TABLE];

/// Their names on the wire.
pub(crate) const MODELS: [&str; 3] = [Rental::MODEL, Booking::MODEL, Review::MODEL];

/// The attributes besides the id.
pub(crate) const ATTRIBUTES: [&str; 3] = ["account_id", "name", "revision"];

/// The source tables.
pub(crate) async fn create_tables(pool: &PgPool) -> sqlx::Result<()> {
    for table in TABLES {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "create table {table} (id bigint primary key, account_id bigint not null, name text not null, revision bigint not null)"
        )))
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// A row of a source table or of its replica.
type Row = (i64, i64, String, i64);

/// The rows of a source table.
pub(crate) async fn source(pool: &PgPool, table: &str) -> sqlx::Result<Vec<Row>> {
    let rows = format!("select id, account_id, name, revision from {table} order by id");
    sqlx::query_as(sqlx::AssertSqlSafe(rows)).fetch_all(pool).await
}

/// The rows of a replica.
pub(crate) async fn replica(pool: &PgPool, table: &str) -> sqlx::Result<Vec<Row>> {
    let rows =
        format!("select synced_id, account_id, name, revision from {table} order by synced_id");
    sqlx::query_as(sqlx::AssertSqlSafe(rows)).fetch_all(pool).await
}

/// The tables of the replicas, in a database of their own.
pub(crate) async fn create_replicas(pool: &PgPool) -> sqlx::Result<()> {
    for table in TABLES {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "create table {table} (synced_id bigint primary key, account_id bigint, name text, revision bigint)"
        )))
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// A topic for each model in a namespace that no other test has; rentals have a twin.
pub(crate) fn topology(namespace: &str) -> anyhow::Result<Topology> {
    Ok(Topology::builder()
        .namespace(namespace, |ns| {
            ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>())
                .topic("bookings", |t| t.publish::<Booking>())
                .topic("reviews", |t| t.publish::<Review>())
        })
        .build()?)
}

/// The topics of that topology, and with each the one whose rows it shows.
pub(crate) fn topics(namespace: &str) -> Vec<(String, String)> {
    let primary = TABLES.map(|table| format!("{namespace}_{table}"));
    let twin = (format!("{}_genesis", primary[0]), primary[0].clone());
    primary.into_iter().map(|topic| (topic.clone(), topic)).chain([twin]).collect()
}

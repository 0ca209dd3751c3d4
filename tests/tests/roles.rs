//! The roles of `docs/reference/roles.sql`: each can do its work, and not the others'.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{ConsumerProcess, Process, RelayProcess, ReplicaOf, alone, drained, eventually};
use dionysus_embedded::testing;
use dionysus_postgres::quarantine::{self, Request, Target};
use dionysus_testing::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool, raw_sql};

use crate::models::{ATTRIBUTES, Rental, create_tables, topology};

const LIMIT: Duration = Duration::from_mins(1);
const SCRIPT: &str = include_str!("../../docs/reference/roles.sql");
const ROLES: [&str; 4] = ["producer", "relay", "consumer", "operator"];
const PASSWORD: &str = "of-a-test";

/// A database with the roles under names of their own: roles belong to the server, which other tests use too.
struct Scene {
    database: TestDatabase,
    prefix: String,
}

impl Scene {
    async fn set() -> Result<Self> {
        let database = TestDatabase::new().await;
        let prefix = testing::topic("dionysus");
        let scene = Self { database, prefix };
        // Twice: the second time it changes nothing.
        for _ in 0..2 {
            scene.run(&scene.named(SCRIPT)).await?;
        }
        for role in ROLES {
            let prefix = &scene.prefix;
            scene
                .run(&format!("create role {prefix}_{role}_login login password '{PASSWORD}' in role {prefix}_{role}"))
                .await?;
        }
        Ok(scene)
    }

    fn named(&self, sql: &str) -> String {
        ROLES.iter().fold(sql.to_owned(), |sql, role| {
            sql.replace(&format!("dionysus_{role}"), &format!("{}_{role}", self.prefix))
        })
    }

    async fn run(&self, sql: &str) -> Result<()> {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.database.pool).await?;
        Ok(())
    }

    /// The URL of the database for a login with that role.
    fn url(&self, role: &str) -> Result<String> {
        let (scheme, rest) = self.database.url.split_once("://").context("a URL")?;
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        Ok(format!("{scheme}://{}_{role}_login:{PASSWORD}@{host}", self.prefix))
    }

    /// Whatever the roles own goes, then they do: nothing of this test stays on the server.
    async fn clear(self) -> Result<()> {
        for role in ROLES {
            let role = format!("{}_{role}", self.prefix);
            self.run(&format!("drop owned by {role}, {role}_login cascade")).await?;
            self.run(&format!("drop role {role}_login")).await?;
            self.run(&format!("drop role {role}")).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_does_its_work_under_its_role() -> Result<()> {
    let _turn = alone().await;
    let scene = Scene::set().await?;
    let admin = &scene.database.pool;
    create_tables(admin).await?;
    scene
        .run("create table copies (synced_id bigint primary key, account_id bigint, name text, revision bigint)")
        .await?;
    scene
        .run(&scene.named(
            "grant select, insert, update on rentals to dionysus_producer;
             grant select, insert, update, delete on copies to dionysus_consumer",
        ))
        .await?;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let topic = format!("{namespace}_rentals");

    let producer = PgPool::connect(&scene.url("producer")?).await?;
    let outbox = Outbox::connect(producer.clone(), topology(&namespace)?).await?;
    let mut tx = outbox.begin().await?;
    let rental: Rental = sqlx::query_as(
        "insert into rentals (id, account_id, name, revision) values (1, 1, 'Villa', 1) returning *",
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.created(&rental)?;
    tx.commit().await?;
    producer.close().await;

    let mut relay = RelayProcess::new(&scene.url("relay")?, &brokers).start()?;
    drained(admin, LIMIT).await?;
    let tomorrow = "select to_regclass('dionysus.outbox_p' || to_char((now() at time zone 'UTC')::date + 1, 'YYYYMMDD')) is not null";
    ensure!(
        sqlx::query_scalar::<_, bool>(tomorrow).fetch_one(admin).await?,
        "the relay has made no partition"
    );

    let of = ReplicaOf { topic: &topic, model: "Rental", table: "copies", columns: &ATTRIBUTES };
    let consumer = ConsumerProcess::new(&scene.url("consumer")?, &brokers, &namespace, &[of])?;
    let mut applying = consumer.start()?;
    eventually("the copy of the rental", || async {
        sqlx::query("select from copies").fetch_optional(admin).await.ok()?
    })
    .await;

    let url = scene.url("operator")?;
    let variables = [("DATABASE_URL", &*url), ("KAFKA_BROKERS", &*brokers)];
    for arguments in [&["status", "--json"][..], &["topics", "list"], &["migrate", "status"]] {
        let finished = Process::run("dionysus", arguments, &variables, LIMIT).await?;
        ensure!(finished.code == 0, "{arguments:?}: {}", finished.stderr);
    }
    let operator = PgPool::connect(&url).await?;
    quarantine::list(&operator, None, true, 10).await?;
    quarantine::request(&operator, &topic, Target::All, Request::Retry).await?;
    operator.close().await;
    ensure!(relay.terminate(LIMIT).await? == 0, "the relay did not end well");
    ensure!(applying.terminate(LIMIT).await? == 0, "the consumer did not end well");
    scene.clear().await
}

#[tokio::test]
async fn no_role_does_the_work_of_another() -> Result<()> {
    let scene = Scene::set().await?;
    let refused = [
        ("producer", "select payload from dionysus.outbox"),
        ("producer", "select key from dionysus.outbox"),
        ("producer", "delete from dionysus.outbox"),
        ("producer", "update dionysus.lanes set epoch = 9"),
        (
            "producer",
            "insert into dionysus.relays (id, name, expires_at) values (gen_random_uuid(), 'x', now())",
        ),
        ("producer", "select from dionysus.guards"),
        (
            "relay",
            "insert into dionysus.topics (name, namespace, topology) values ('x', 'x', '{}')",
        ),
        ("relay", "insert into dionysus.guards (replica, id) values ('x', '1')"),
        ("relay", "select from dionysus.consumer_offsets"),
        ("relay", "drop table dionysus.lanes"),
        ("consumer", "select from dionysus.outbox"),
        (
            "consumer",
            "insert into dionysus.outbox (event_id, topic, key, event, model, model_id) values (gen_random_uuid(), 't', 'k', 'e', 'm', '1')",
        ),
        ("consumer", "delete from dionysus.guards"),
        ("consumer", "update dionysus.lanes set epoch = 9"),
        ("consumer", "create table dionysus.mine ()"),
        ("operator", "select payload from dionysus.outbox"),
        ("operator", "select headers from dionysus.outbox"),
        ("operator", "update dionysus.lanes set epoch = 9"),
        ("operator", "update dionysus.quarantine set payload = ''"),
        ("operator", "delete from dionysus.quarantine"),
        ("consumer", "select from dionysus.quarantine"),
        ("operator", "delete from dionysus.guards"),
        (
            "operator",
            "insert into dionysus.migrations (version, description, success, checksum, execution_time) values (1, '', true, '', 0)",
        ),
    ];
    for (role, statement) in refused {
        let mut tx = scene.database.pool.begin().await?;
        let set = format!("set local role {}_{role}", scene.prefix);
        raw_sql(AssertSqlSafe(set)).execute(&mut *tx).await?;
        let outcome = raw_sql(statement).execute(&mut *tx).await;
        let code =
            outcome.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
        // 42501: insufficient privilege.
        ensure!(code.as_deref() == Some("42501"), "{role}: {statement}: {code:?}");
    }
    scene.clear().await
}

#[tokio::test]
async fn the_script_names_every_table() -> Result<()> {
    let database = TestDatabase::new().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'dionysus'::regnamespace and relkind in ('r', 'p', 'S') and not relispartition",
    )
    .fetch_all(&database.pool)
    .await?;
    for table in &tables {
        ensure!(
            SCRIPT.contains(&format!("dionysus.{table}")),
            "docs/reference/roles.sql has no word of dionysus.{table}: who may do what with it?"
        );
    }
    ensure!(tables.len() >= 8, "{tables:?}");
    Ok(())
}

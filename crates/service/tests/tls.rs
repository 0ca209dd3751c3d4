//! TLS to Postgres, against a server that speaks it.

#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use dionysus_embedded::{Postgres, PostgresOptions};
use dionysus_service::{DatabaseConfig, Exit, Secret, connect};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, raw_sql};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");

#[tokio::test]
async fn connections_are_encrypted_and_servers_are_known_by_their_authority() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let admin = PgPoolOptions::new().connect(postgres.url()).await.unwrap();
    turn_on(&admin).await;

    let pool = connect(&config(postgres.url(), "sslmode=require"), "test").await.unwrap();
    let encrypted: bool =
        sqlx::query_scalar("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert!(encrypted);
    pool.close().await;

    let known = format!("sslmode=verify-full&sslrootcert={FOLDER}/ca.pem");
    connect(&config(postgres.url(), &known), "test").await.unwrap().close().await;

    // Its certificate is signed, but by nobody whom the machine trusts.
    let report = connect(&config(postgres.url(), "sslmode=verify-full"), "test").await.unwrap_err();
    assert_eq!(report.exit(), Exit::Unreachable, "{report}");
    assert!(report.to_string().contains("ertificate"), "{report}");
    admin.close().await;
    postgres.stop().await;
}

fn config(url: &str, options: &str) -> DatabaseConfig {
    let sign = if url.contains('?') { '&' } else { '?' };
    DatabaseConfig {
        url: Secret::new(format!("{url}{sign}{options}")),
        ..DatabaseConfig::default()
    }
}

/// The server must own its key, and be alone in reading it, so it writes the file itself.
async fn turn_on(admin: &PgPool) {
    let folder: String = sqlx::query_scalar("select current_setting('data_directory')")
        .fetch_one(admin)
        .await
        .unwrap();
    for name in ["server.pem", "server.key"] {
        let text = std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap();
        let write = format!(
            "copy (select regexp_split_to_table('{text}', '\\n')) to program 'umask 077; cat > \"{folder}/{name}\"'"
        );
        raw_sql(AssertSqlSafe(write)).execute(admin).await.unwrap();
    }
    for setting in ["ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"] {
        let set = format!("alter system set {setting}");
        raw_sql(AssertSqlSafe(set)).execute(admin).await.unwrap();
    }
    raw_sql("select pg_reload_conf()").execute(admin).await.unwrap();
    // The reload is heard of later, and tells nobody.
    loop {
        let on: String =
            sqlx::query_scalar("select current_setting('ssl')").fetch_one(admin).await.unwrap();
        if on == "on" {
            return;
        }
        tokio::task::yield_now().await;
    }
}

//! The service itself: made ready, then served.

use dionysus::Outbox;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::routes::router;
use crate::topology::topology;

/// What all handlers share.
#[derive(Clone, Debug)]
pub struct AppState {
    pub(crate) outbox: Outbox,
}

impl AppState {
    /// Migrates the database, ours and the service's own tables, and registers what is published. Any number of instances may start at once.
    ///
    /// # Errors
    /// The database can't be reached or migrated, or the namespace makes no topic names.
    pub async fn prepare(pool: PgPool, namespace: &str) -> anyhow::Result<Self> {
        dionysus::schema::migrate(&pool).await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self { outbox: Outbox::connect(pool, topology(namespace)?).await? })
    }
}

/// Answers requests until `stop`, then ends those under way.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(state)).with_graceful_shutdown(stop.cancelled_owned()).await
}

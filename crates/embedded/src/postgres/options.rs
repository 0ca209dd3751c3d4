//! How a server is to be.

use crate::binaries::Binaries;

/// Options of [`Postgres::start`](super::Postgres::start). The default is a server for tests: fast, not safe from power cuts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Settings of `postgresql.conf`, name and value; they win over ours. Example: `("wal_writer_delay", "10s")`.
    pub settings: Vec<(String, String)>,
    /// Whether a commit waits for the disk (`fsync`, `full_page_writes`). Default: false. A crash of the server alone, as
    /// by [`Postgres::crash`](super::Postgres::crash), loses no commit either way, since the system keeps what was written.
    pub durable: bool,
    /// Where the programs come from.
    pub binaries: Binaries,
}

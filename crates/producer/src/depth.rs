//! How deeply a connection is nested in transactions.

use sqlx::PgConnection;
use sqlx::postgres::PgTransactionManager;
use sqlx_core::transaction::TransactionManager;

use crate::Error;

/// 0 outside a transaction, 1 inside, 1 more for each nested one: as sqlx counts its own `begin`s. Raw `begin` and `savepoint`
/// statements are not counted.
pub(crate) fn depth(conn: &PgConnection) -> usize {
    PgTransactionManager::get_transaction_depth(conn)
}

/// Rolls back nested transactions that were left open above a depth: a nested one that was forgotten instead of dropped would
/// otherwise turn the commit of its parent into its own.
pub(crate) async fn unwind(conn: &mut PgConnection, to: usize) -> Result<(), Error> {
    while depth(conn) > to {
        PgTransactionManager::rollback(conn)
            .await
            .map_err(Error::during("rolling back a nested transaction"))?;
    }
    Ok(())
}

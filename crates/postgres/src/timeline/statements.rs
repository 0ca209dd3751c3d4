//! The looks at the server's history. Rights on functions are asked for when a statement starts, whether it calls them or not: so there is a form of each for
//! roles that may not ask for the system identifier.

/// `$identifier`: the system identifier, or null.
macro_rules! server {
    ($identifier:literal) => {
        concat!(
            "(select ",
            $identifier,
            " as identifier,
                     ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer as timeline,
                     (select oid::bigint from pg_database where datname = current_database()) as database)"
        )
    };
}

/// What both statements return of the lanes and the sequence.
macro_rules! columns {
    () => {
        "s.timeline, s.looks, s.system_identifier as stored_identifier, s.server_timeline as stored_timeline,
         s.database_oid as stored_database, h.identifier as found_identifier, h.timeline as found_timeline, h.database as found_database,
         (select l.topic from dionysus.lanes l
          where pg_snapshot_xmax(l.cursor) > pg_snapshot_xmax(pg_current_snapshot()) order by l.topic limit 1) as ahead,
         (select last_value from dionysus.outbox_seq) as seq"
    };
}

/// The mark is durable, or it would be missed after a crash.
macro_rules! look {
    ($identifier:literal) => {
        concat!(
            "update dionysus.system s
             set looks = s.looks + 1, looked_at = clock_timestamp(),
                 system_identifier = coalesce(s.system_identifier, h.identifier),
                 server_timeline = coalesce(s.server_timeline, h.timeline),
                 database_oid = coalesce(s.database_oid, h.database)
             from ",
            server!($identifier),
            " as h
             where (select set_config('synchronous_commit', 'on', true)) is not null
             returning ",
            columns!(),
            ", pg_current_xact_id()::text::bigint as xid"
        )
    };
}

macro_rules! check {
    ($identifier:literal) => {
        concat!(
            "select ",
            columns!(),
            ", 0::bigint as xid from dionysus.system s, ",
            server!($identifier),
            " as h"
        )
    };
}

pub(super) const LOOK: &str = look!("(select system_identifier from pg_control_system())");
pub(super) const LOOK_BLIND: &str = look!("null::bigint");
pub(super) const CHECK: &str = check!("(select system_identifier from pg_control_system())");
pub(super) const CHECK_BLIND: &str = check!("null::bigint");

-- The outbox, the relay's book-keeping and the consumer's memory. ARCHITECTURE.md shows who writes and reads each table.

create schema if not exists dionysus;

-- Order per key rests on `cache 1`: a cached block of numbers would let a later transaction draw an earlier number.
create sequence dionysus.outbox_seq as bigint cache 1;

-- An append-only log, one row per event and topic. No row is ever updated, so publishing leaves no dead tuple.
-- `xid` stands before `seq`: defaults are evaluated in column order, and a transaction must have its id before it draws a number.
create table dionysus.outbox (
    xid           xid8        not null default pg_current_xact_id(),
    seq           bigint      not null default nextval('dionysus.outbox_seq'),
    created_at    timestamptz not null default clock_timestamp(),
    event_id      uuid        not null,
    topic         text        not null,
    key           text        not null,
    partition_key text,
    event         text        not null,
    model         text        not null,
    model_id      text        not null,
    payload       bytea       not null,
    headers       jsonb,
    constraint outbox_headers_is_object check (headers is null or jsonb_typeof(headers) = 'object')
) partition by range (created_at);

create unique index outbox_seq_idx on dionysus.outbox (seq, created_at);
-- What finished since a cursor is found by `xid`, and read in order of `seq`.
create index outbox_xid_idx on dionysus.outbox (xid, seq);
-- Genesis asks for the last row of a key.
create index outbox_key_idx on dionysus.outbox (topic, key, seq);

-- The net: rows of a day for which nobody made a partition.
create table dionysus.outbox_default partition of dionysus.outbox default;

-- The registered topology, so that relay and command line need no file of the application's.
create table dionysus.topics (
    name            text        not null,
    namespace       text        not null,
    genesis_replica boolean     not null default false,
    topology        jsonb       not null,
    registered_at   timestamptz not null default now(),
    constraint topics_pkey primary key (name)
);

-- One lease per relay process. Its clock is the database's.
create table dionysus.relays (
    id           uuid        not null,
    name         text        not null,
    started_at   timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp(),
    expires_at   timestamptz not null,
    constraint relays_pkey primary key (id)
) with (fillfactor = 50);

-- A topic as a unit of order, ownership and progress. `cursor` is what has been published; `window_end` and `window_seq` are the place
-- inside a window that is half read. `epoch` goes up with every new owner and fences the writes of earlier ones.
create table dionysus.lanes (
    topic           text        not null,
    cursor          pg_snapshot not null default '1:1:',
    window_end      pg_snapshot,
    window_seq      bigint,
    owner           uuid,
    epoch           bigint      not null default 0,
    claimed_at      timestamptz,
    checkpointed_at timestamptz,
    constraint lanes_pkey primary key (topic),
    constraint lanes_topic_fkey foreign key (topic) references dionysus.topics (name),
    constraint lanes_owner_fkey foreign key (owner) references dionysus.relays (id) on delete set null,
    constraint lanes_window_is_whole check ((window_end is null) = (window_seq is null))
) with (fillfactor = 50);

create index lanes_owner_idx on dionysus.lanes (owner);

-- Emptied by crash recovery: a relay that misses its token knows that ids and numbers may have been used again.
create unlogged table dionysus.incarnation (
    one   boolean not null default true,
    token uuid    not null,
    constraint incarnation_pkey primary key (one),
    constraint incarnation_has_one_row check (one)
);

-- How far a consumer group has applied a partition; committed with the effect, so that a zombie owner changes nothing.
create table dionysus.consumer_offsets (
    consumer_group text        not null,
    topic          text        not null,
    partition      integer     not null,
    next_offset    bigint      not null,
    updated_at     timestamptz not null default now(),
    constraint consumer_offsets_pkey primary key (consumer_group, topic, partition),
    constraint consumer_offsets_next_offset_is_a_place check (next_offset >= -2)
) with (fillfactor = 50);

-- What a replica holds of an instance: the guard under which a newer snapshot may replace it. Deletes are remembered here.
-- A version of 0 was written by a message without one. Compared byte by byte: the order of locks must not depend on a locale. Each
-- admitted snapshot updates its row, in place as long as the page has room: the fill factor was measured (190 against 265 ms per
-- 40,000 rows at 80).
create table dionysus.guards (
    replica    text        collate "C" not null,
    id         text        collate "C" not null,
    version    bigint      not null default 0,
    as_of      bigint      not null default 0,
    deleted    boolean     not null default false,
    updated_at timestamptz not null default now(),
    constraint guards_pkey primary key (replica, id)
) with (fillfactor = 50);

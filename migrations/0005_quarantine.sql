-- Rows that could not be published, and the later rows of their keys, set aside so that everything else flows. Only the owner of the lane writes
-- and removes rows; people write `request`.
create table dionysus.quarantine (
    topic          text        not null,
    seq            bigint      not null,
    key            text        not null,
    -- What refused it; null for a row that waits behind one.
    cause          text,
    attempts       integer     not null default 0,
    retry_at       timestamptz,
    request        text,
    quarantined_at timestamptz not null default clock_timestamp(),
    created_at     timestamptz not null,
    event_id       uuid        not null,
    partition_key  text,
    event          text        not null,
    model          text        not null,
    model_id       text        not null,
    payload        bytea,
    headers        jsonb,
    capture        jsonb,
    constraint quarantine_pkey primary key (topic, seq),
    constraint quarantine_topic_fkey foreign key (topic) references dionysus.lanes (topic),
    constraint quarantine_request_is_known check (request in ('retry', 'skip', 'drop'))
);

-- The first row of a key decides whether the key may go on.
create index quarantine_key_idx on dionysus.quarantine (topic, key, seq);

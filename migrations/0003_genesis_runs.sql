-- Re-streaming what exists: one row a run. An application's transaction can request one; the owner of the lane executes it.
create table dionysus.genesis_runs (
    id           uuid        not null,
    topic        text        not null,
    model        text        not null,
    state        text        not null default 'requested',
    -- 'operator', or the observed model whose change asked for it.
    requested_by text        not null,
    -- Which instances: {"path": .., "values": [..]} for an observer's dependants; null for all.
    selection    jsonb,
    requested_at timestamptz not null default clock_timestamp(),
    constraint genesis_runs_pkey primary key (id),
    constraint genesis_runs_topic_fkey foreign key (topic) references dionysus.topics (name),
    constraint genesis_runs_state_is_known
        check (state in ('requested', 'running', 'paused', 'performed', 'cancelled', 'failed'))
);

create index genesis_runs_open_idx on dionysus.genesis_runs (topic, requested_at)
    where state in ('requested', 'running', 'paused');

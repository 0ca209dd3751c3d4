-- Least privilege for Dionysus: four roles without login, to be granted to the logins of your processes.
--
--   dionysus migrate                                     first, as the role that owns the schema
--   psql "$DATABASE_URL" -f docs/reference/roles.sql     as the same role; it must be allowed to create roles, or find them made
--   grant dionysus_producer to my_application;           and so on
--
-- Running it again changes nothing; run it after each `dionysus migrate`, since new tables need grants.
--
-- | role | for | may |
-- | dionysus_producer | applications that write | append to the outbox, register topics, request genesis runs; not read what was written |
-- | dionysus_relay    | outbox-relay | read the outbox, make and drop its partitions, keep lanes and leases |
-- | dionysus_consumer | outbox-consumer | keep offsets and guards; the rights on your replica tables are yours to give |
-- | dionysus_operator | people with the command line | see everything but payloads (of rows in quarantine these, too), request genesis runs and what becomes of such rows |
--
-- The relay *owns* the outbox: partitions are attached and dropped by nobody but an owner. So whoever migrates becomes a member of that role.
-- `dionysus migrate`, `topics retire` and `doctor --new-timeline` are for that one: they change tables, or what nobody may change while processes run.

do $$
declare
    role text;
begin
    foreach role in array array['dionysus_producer', 'dionysus_relay', 'dionysus_consumer', 'dionysus_operator'] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I nologin', role);
        end if;
        execute format('grant usage on schema dionysus to %I', role);
        -- Each program refuses a schema that does not fit it.
        execute format('grant select on dionysus.migrations to %I', role);
    end loop;
end $$;

-- Producer. It learns nothing from the outbox, not even its own rows; lanes are opened with their topics.
grant insert on dionysus.outbox to dionysus_producer;
grant usage on sequence dionysus.outbox_seq to dionysus_producer;
grant select, insert, update on dionysus.topics to dionysus_producer;
grant select (topic), insert (topic, epoch) on dionysus.lanes to dionysus_producer;
grant select on dionysus.system to dionysus_producer;
grant insert on dionysus.genesis_runs to dionysus_producer;

-- Relay.
grant create on schema dionysus to dionysus_relay;
grant select on dionysus.topics to dionysus_relay;
grant select, update on dionysus.lanes to dionysus_relay;
grant select, insert, update, delete on dionysus.relays to dionysus_relay;
grant select, insert on dionysus.incarnation to dionysus_relay;
grant select, update on dionysus.genesis_runs to dionysus_relay;
grant select, insert, delete on dionysus.floors to dionysus_relay;
grant select, insert, update, delete on dionysus.quarantine to dionysus_relay;
grant select, update on dionysus.system to dionysus_relay;
grant select on sequence dionysus.outbox_seq to dionysus_relay;

do $$
declare
    part regclass;
begin
    if not (select rolsuper from pg_roles where rolname = current_user)
       and not pg_has_role(current_user, 'dionysus_relay', 'member') then
        execute format('grant dionysus_relay to %I', current_user);
    end if;
    for part in
        select relid from pg_partition_tree('dionysus.outbox') t join pg_class c on c.oid = t.relid
        where pg_get_userbyid(c.relowner) <> 'dionysus_relay'
    loop
        execute format('alter table %s owner to dionysus_relay', part);
    end loop;
end $$;

-- Consumer.
grant select, insert, update on dionysus.consumer_offsets, dionysus.guards to dionysus_consumer;

-- Operator. Payloads, captured columns and headers are the application's.
grant select on dionysus.topics, dionysus.lanes, dionysus.relays, dionysus.incarnation, dionysus.floors, dionysus.system, dionysus.consumer_offsets,
    dionysus.guards, dionysus.genesis_runs to dionysus_operator;
grant select on sequence dionysus.outbox_seq to dionysus_operator;
grant select (xid, seq, created_at, event_id, topic, key, partition_key, event, model, model_id)
    on dionysus.outbox to dionysus_operator;
grant insert, update on dionysus.genesis_runs to dionysus_operator;
-- Whoever decides about a row in quarantine has to see it; the request is all that may be written.
grant select, update (request) on dionysus.quarantine to dionysus_operator;

-- Rows without bytes of their own. A relay that knows neither kind would publish them wrongly, so this migration stops older programs.

-- A tombstone: published as a null value, so that compaction forgets the key.
alter table dionysus.outbox alter column payload drop not null;
-- A row that a trigger wrote: the columns' text, which the relay renders with the one encoder.
alter table dionysus.outbox add column capture jsonb;
alter table dionysus.outbox
    add constraint outbox_has_one_content check (payload is null or capture is null);

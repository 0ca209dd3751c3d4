-- Capture by trigger for topic v3_rentals: each change of a row becomes a row of dionysus.outbox, in the transaction that makes it.
-- - A session that publishes its changes by itself is to say: set dionysus.capture = 'off'
-- - Generate this anew in the migration that changes a captured table or its model: once a column is gone, writes fail.
-- - truncate is not captured.
-- Remove it with what `dionysus capture sql --drop` prints.

begin;
-- To make a trigger, Postgres waits for the table's writers, and later writers wait behind it: not for long.
set local lock_timeout = '5s';

-- Model Rental
create or replace function dionysus."capture v3_rentals Rental"() returns trigger
language plpgsql
-- Whoever writes the table needs no right on the outbox.
security definer
set search_path = pg_catalog, pg_temp
-- The text of a value must not depend on the session.
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
as $capture$
declare
    -- The last part of the event's name; null when nothing is published of the new row.
    happened text;
    -- The old row is no more.
    gone boolean := false;
begin
    if current_setting('dionysus.capture', true) = 'off' then
        return null;
    end if;

    if tg_op = 'INSERT' then
        happened := 'created';
    elsif tg_op = 'DELETE' then
        gone := true;
    elsif old."id"::text is distinct from new."id"::text then
        -- To a consumer, another key is another instance.
        gone := true;
        happened := 'created';
    elsif old *= new then
        return null;
    elsif old."canceled_at" is null and new."canceled_at" is not null then
        happened := 'destroyed';
    elsif old."canceled_at" is not null and new."canceled_at" is null then
        happened := 'created';
    elsif date_trunc('milliseconds', old."canceled_at")::text is distinct from date_trunc('milliseconds', new."canceled_at")::text then
        -- Soft-deleted at another time.
        happened := 'destroyed';
    elsif array[
        old."id"::text,
        old."name"::text,
        trim_scale(old."price")::text,
        date_trunc('milliseconds', old."updated_at")::text,
        date_trunc('milliseconds', old."canceled_at")::text,
        old."account_id"::text
    ] is not distinct from array[
        new."id"::text,
        new."name"::text,
        trim_scale(new."price")::text,
        date_trunc('milliseconds', new."updated_at")::text,
        date_trunc('milliseconds', new."canceled_at")::text,
        new."account_id"::text
    ] then
        -- Nothing changed that is published.
        return null;
    elsif new."canceled_at" is not null then
        -- Nobody is to see it.
        return null;
    else
        happened := 'updated';
    end if;

    -- A crash must not take back what was published.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;

    if gone then
        insert into dionysus.outbox (event_id, topic, key, partition_key, event, model, model_id, capture) values (
            -- A UUID of version 7, which Postgres makes by itself from 18 on.
            encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
                substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6), 52, 1), 53, 1), 'hex')::uuid,
            'v3_rentals', 'Rental:' || old."id"::text, old."account_id"::text, 'rental_destroyed', 'Rental', old."id"::text,
            jsonb_build_object('format', 1, 'event', 'rental_destroyed', 'model', 'Rental', 'id', jsonb_build_array('id', 'bigint', old."id"::text)));
    end if;

    if happened is not null then
        if coalesce(octet_length(new."name"), 0) > 5000 then
            raise exception using errcode = 'check_violation', message = 'a message of model `Rental` for topic `v3_rentals` is larger than the topic''s 5000 bytes',
                hint = 'a capture trigger refuses what could not be published; see `dionysus capture sql`';
        end if;
        insert into dionysus.outbox (event_id, topic, key, partition_key, event, model, model_id, capture) values (
            -- A UUID of version 7, which Postgres makes by itself from 18 on.
            encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
                substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6), 52, 1), 53, 1), 'hex')::uuid,
            'v3_rentals', 'Rental:' || new."id"::text, new."account_id"::text, 'rental_' || happened, 'Rental', new."id"::text,
            jsonb_build_object(
                'format', 1, 'event', 'rental_' || happened, 'model', 'Rental',
                'attributes', to_jsonb(array[
                    array['id', 'bigint', new."id"::text],
                    array['name', 'text', new."name"::text],
                    array['price', 'numeric', new."price"::text],
                    array['updated_at', 'timestamp with time zone', new."updated_at"::text],
                    array['canceled_at', 'timestamp with time zone', new."canceled_at"::text]
                ]),
                'links', '[]'::jsonb));
    end if;
    return null;
end
$capture$;
revoke all on function dionysus."capture v3_rentals Rental"() from public;

-- Row triggers fire by name: before one that changes the row again.
drop trigger if exists "0 dionysus v3_rentals Rental" on "public"."rentals";
create trigger "0 dionysus v3_rentals Rental" after insert or update or delete on "public"."rentals"
    for each row execute function dionysus."capture v3_rentals Rental"();

commit;

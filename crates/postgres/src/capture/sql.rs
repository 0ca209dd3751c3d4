//! The statements, laid out for a person to read.

use std::fmt::Write as _;

use dionysus_core::EventKind;

use super::column::Column;
use super::names::{Names, comment, literal};
use super::plan::{Field, Plan};

/// As for the application: what the outbox can index.
const KEY_BYTES_MAX: usize = 2_048;

const HEAD: &str = "
begin;
-- To make a trigger, Postgres waits for the table's writers, and later writers wait behind it: not for long.
set local lock_timeout = '5s';
";

/// So that event ids sort by time as those of the application do.
const EVENT_ID: &str = "-- A UUID of version 7, which Postgres makes by itself from 18 on.
            encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
                substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6), 52, 1), 53, 1), 'hex')::uuid";

/// The statements that install.
pub(super) fn install(topic: &str, plans: &[Plan]) -> String {
    let mut sql = format!(
        "-- Capture by trigger for topic {}: each change of a row becomes a row of dionysus.outbox, in the transaction that makes it.
-- - A session that publishes its changes by itself is to say: set dionysus.capture = 'off'
-- - Generate this anew in the migration that changes a captured table or its model: once a column is gone, writes fail.
-- - truncate is not captured.
-- Remove it with what `dionysus capture sql --drop` prints.
{HEAD}",
        comment(topic)
    );
    for plan in plans {
        sql.push('\n');
        model(topic, plan, &mut sql);
    }
    sql.push_str("\ncommit;\n");
    sql
}

/// The statements that remove.
pub(super) fn remove(topic: &str, names: &[Names]) -> String {
    let mut sql = format!("-- No more capture by trigger for topic {}.\n{HEAD}", comment(topic));
    sql.push_str("\n-- Each takes its trigger along.\n");
    for Names { function, .. } in names {
        // Writing to a String can't fail.
        writeln!(sql, "drop function if exists {function}() cascade;").ok();
    }
    sql.push_str("\ncommit;\n");
    sql
}

fn model(topic: &str, plan: &Plan, sql: &mut String) {
    let Plan { names: Names { function, trigger }, table, .. } = plan;
    writeln!(sql, "-- Model {}", comment(plan.model.as_str())).ok();
    for note in &plan.notes {
        writeln!(sql, "-- LOOK: {}", comment(note)).ok();
    }
    if plan.partitioned {
        sql.push_str("-- LOOK: an update that moves a row to another partition is captured as destroyed and created\n");
    }
    let body = body(topic, plan);
    let quote = dollar_quote(&body);
    writeln!(
        sql,
        "create or replace function {function}() returns trigger
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
as {quote}
{body}{quote};
revoke all on function {function}() from public;

-- Row triggers fire by name: before one that changes the row again.
drop trigger if exists {trigger} on {table};
create trigger {trigger} after insert or update or delete on {table}
    for each row execute function {function}();"
    )
    .ok();
}

/// One that the text does not hold.
fn dollar_quote(text: &str) -> String {
    let mut quote = "$capture$".to_owned();
    while text.contains(&quote) {
        quote.insert(1, '_');
    }
    quote
}

fn body(topic: &str, plan: &Plan) -> String {
    let id = &plan.id;
    let (old_id, new_id) = (id.text("old"), id.text("new"));
    format!(
        "declare
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
    elsif {old_id} is distinct from {new_id} then
        -- To a consumer, another key is another instance.
        gone := true;
        happened := 'created';
    elsif old *= new then
        return null;
{soft_delete}    elsif array[
        {old}
    ] is not distinct from array[
        {new}
    ] then
        -- Nothing changed that is published.
        return null;
{unseen}    else
        happened := 'updated';
    end if;

    -- A crash must not take back what was published.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;

    if gone then
{gone}    end if;

    if happened is not null then
{checks}{whole}    end if;
    return null;
end
",
        soft_delete = soft_delete(plan),
        old = compared(plan, "old"),
        new = compared(plan, "new"),
        unseen = unseen(plan),
        gone = gone(topic, plan),
        checks = checks(topic, plan),
        whole = whole(topic, plan),
    )
}

fn soft_delete(plan: &Plan) -> String {
    let Some(column) = &plan.soft_delete else {
        return String::new();
    };
    let (old, new) = (column.value("old"), column.value("new"));
    let (since, now) = (column.published("old"), column.published("new"));
    format!(
        "    elsif {old} is null and {new} is not null then
        happened := 'destroyed';
    elsif {old} is not null and {new} is null then
        happened := 'created';
    elsif {since} is distinct from {now} then
        -- Soft-deleted at another time.
        happened := 'destroyed';
"
    )
}

fn unseen(plan: &Plan) -> String {
    match &plan.soft_delete {
        Some(column) if !plan.updates_after_soft_delete => {
            let new = column.value("new");
            format!(
                "    elsif {new} is not null then
        -- Nobody is to see it.
        return null;
"
            )
        }
        _ => String::new(),
    }
}

fn compared(plan: &Plan, row: &str) -> String {
    let texts: Vec<String> = plan.published().iter().map(|column| column.published(row)).collect();
    texts.join(",\n        ")
}

/// What is left of the old row: its id. One that could never be published, for want of a key, needs no end.
fn gone(topic: &str, plan: &Plan) -> String {
    let id = plan.id.text("old");
    let event = literal(&plan.model.event(EventKind::Destroyed));
    let (model, type_name) = (literal(plan.model.as_str()), literal(&plan.id.type_name));
    let name = literal(&plan.id.name);
    let capture = format!(
        "jsonb_build_object('format', 1, 'event', {event}, 'model', {model}, 'id', jsonb_build_array({name}, {type_name}, {id}))"
    );
    let mut statements = insert(topic, plan, "old", &event, &capture);
    if plan.tombstones {
        statements.push_str(
            &insert(topic, plan, "old", &event, "null").replace(
                "insert into",
                "-- The key is forgotten by compaction.\n        insert into",
            ),
        );
    }
    if !plan.id.is_free_text() {
        return statements;
    }
    let indented = statements.lines().fold(String::new(), |text, line| text + "    " + line + "\n");
    format!(
        "        -- A key that was refused needs no end.
        if {id} <> '' and octet_length({key}) <= {KEY_BYTES_MAX} then
{indented}        end if;
",
        key = key(plan, "old"),
    )
}

fn whole(topic: &str, plan: &Plan) -> String {
    let event = format!("{} || happened", literal(&format!("{}_", plan.model.singular())));
    let model = literal(plan.model.as_str());
    let attributes: Vec<String> = plan.attributes.iter().map(|field| element(field, "")).collect();
    let links: Vec<String> = plan
        .links
        .iter()
        .map(|link| match &link.model {
            None => element(&link.id, ", null, null"),
            Some(Field { column, type_name, .. }) => {
                element(&link.id, &format!(", {}, {}", literal(type_name), column.text("new")))
            }
        })
        .collect();
    let capture = format!(
        "jsonb_build_object(
                'format', 1, 'event', {event}, 'model', {model},
                'attributes', {},
                'links', {})",
        list(&attributes),
        list(&links)
    );
    insert(topic, plan, "new", &event, &capture)
}

/// Name, type and text of a column.
fn element(field: &Field, more: &str) -> String {
    let Field { name, column, type_name } = field;
    format!("array[{}, {}, {}{more}]", literal(name), literal(type_name), column.text("new"))
}

/// Rows of texts: an array has no limit of arguments.
fn list(elements: &[String]) -> String {
    if elements.is_empty() {
        return "'[]'::jsonb".into();
    }
    let separator = ",\n                    ";
    format!(
        "to_jsonb(array[{}{}
                ])",
        &separator[1..],
        elements.join(separator)
    )
}

fn insert(topic: &str, plan: &Plan, row: &str, event: &str, capture: &str) -> String {
    let (topic, model) = (literal(topic), literal(plan.model.as_str()));
    let (key, id) = (key(plan, row), plan.id.text(row));
    format!(
        "        insert into dionysus.outbox (event_id, topic, key, partition_key, event, model, model_id, capture) values (
            {EVENT_ID},
            {topic}, {key}, {partition_key}, {event}, {model}, {id},
            {capture});
",
        partition_key = partition_key(plan, row),
    )
}

fn key(plan: &Plan, row: &str) -> String {
    format!("{} || {}", literal(&format!("{}:", plan.model.as_str())), plan.id.text(row))
}

fn partition_key(plan: &Plan, row: &str) -> String {
    let Some(key) = &plan.partition_key else {
        return "null".into();
    };
    let text = key.column.text(row);
    match row {
        _ if key.integer => format!("coalesce({text}, '0')"),
        // An empty one was refused, or was there before the trigger.
        "old" if key.column.is_free_text() => format!("nullif({text}, '')"),
        _ => text,
    }
}

/// What the application refuses when it stages an event is refused when the row is written.
fn checks(topic: &str, plan: &Plan) -> String {
    let named = format!("model `{}` for topic `{topic}`", plan.model);
    let mut checks = String::new();
    if plan.id.is_free_text() {
        let id = plan.id.text("new");
        refuse_if(
            &mut checks,
            &format!("{id} = ''"),
            &format!("an instance of {named} has an empty id"),
        );
        let long = format!("octet_length({}) > {KEY_BYTES_MAX}", key(plan, "new"));
        refuse_if(
            &mut checks,
            &long,
            &format!("a key of {named} is longer than {KEY_BYTES_MAX} bytes"),
        );
    }
    if let Some(key) = plan.partition_key.as_ref().filter(|key| key.column.is_free_text()) {
        let empty = format!("{} = ''", key.column.text("new"));
        refuse_if(
            &mut checks,
            &empty,
            &format!("the partition key of an instance of {named} is empty"),
        );
    }
    let columns: Vec<&Column> = plan.attributes.iter().map(|field| &field.column).collect();
    let sizes: Vec<String> = columns.iter().filter_map(|column| column.size("new")).collect();
    if !sizes.is_empty() {
        let large = format!("{} > {}", sizes.join(" + "), plan.max_message_bytes);
        let limit = plan.max_message_bytes;
        refuse_if(
            &mut checks,
            &large,
            &format!("a message of {named} is larger than the topic's {limit} bytes"),
        );
    }
    for field in &plan.attributes {
        if let Some((condition, what)) = field.column.refused("new") {
            refuse_if(
                &mut checks,
                &condition,
                &format!("attribute `{}` of {named} {what}", field.name),
            );
        }
        if plan.checks_bytes && field.column.is_bytes() {
            refuse_bytes(&mut checks, field, &named);
        }
    }
    checks
}

fn refuse_if(checks: &mut String, condition: &str, message: &str) {
    let raise = raise(message);
    writeln!(checks, "        if {condition} then\n            {raise}\n        end if;").ok();
}

fn refuse_bytes(checks: &mut String, field: &Field, named: &str) {
    let raise =
        raise(&format!("attribute `{}` of {named} holds bytes that are not UTF-8", field.name));
    let value = field.column.value("new");
    writeln!(
        checks,
        "        begin
            perform convert_from({value}, 'UTF8');
        exception when character_not_in_repertoire then
            {raise}
        end;"
    )
    .ok();
}

fn raise(message: &str) -> String {
    format!(
        "raise exception using errcode = 'check_violation', message = {},
                hint = 'a capture trigger refuses what could not be published; see `dionysus capture sql`';",
        literal(message)
    )
}

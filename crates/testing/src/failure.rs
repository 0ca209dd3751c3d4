//! What a failed assertion says: what was expected, what there is, and how the two differ. Payloads are shown on purpose: this is for tests.

use std::fmt::Write as _;

use crate::expected::{distance, shown};
use crate::{Enqueued, EnqueuedEvent, Expected};

/// So many candidates are compared attribute by attribute.
const COMPARED_MAX: usize = 3;

/// So many others are named in a line each.
const NAMED_MAX: usize = 20;

/// `rental_created Rental:1 to v3_rentals (seq 12)`.
pub(crate) fn line(event: &EnqueuedEvent) -> String {
    format!("{} {} to {} (seq {})", event.event, event.key, event.topic, event.seq)
}

/// No event is as expected.
pub(crate) fn none(expected: &Expected, enqueued: &Enqueued) -> String {
    let mut text = "no event in the outbox is as expected\n".to_owned();
    section(&mut text, "expected", expected.lines());
    candidates(&mut text, expected, enqueued, enqueued.iter());
    text
}

/// Other than the expected number of events are as expected.
pub(crate) fn wrong_count(
    expected: &Expected,
    count: usize,
    matching: &[&EnqueuedEvent],
    enqueued: &Enqueued,
) -> String {
    let mut text = format!("{} in the outbox as expected, not {count}\n", are(matching.len()));
    section(&mut text, "expected", expected.lines());
    section(&mut text, "as expected", matching.iter().map(|event| line(event)));
    let others = enqueued.iter().filter(|event| !matching.contains(event));
    if matching.len() < count {
        candidates(&mut text, expected, enqueued, others);
    }
    text
}

/// Events are as none must be.
pub(crate) fn refused(expected: &Expected, matching: &[&EnqueuedEvent]) -> String {
    let mut text = format!("{} in the outbox that must not be there\n", are(matching.len()));
    section(&mut text, "refuted", expected.lines());
    let found = matching.iter().take(NAMED_MAX).flat_map(|event| {
        [
            line(event),
            format!("  headers = {}", shown(&event.headers)),
            format!("  data = {}", shown(event.data())),
        ]
    });
    section(&mut text, "in the outbox", found);
    more(&mut text, matching.len());
    text
}

/// The expectation at index `at` is met by no event after `after`, the one that met the expectation before.
pub(crate) fn out_of_order(
    at: usize,
    expected: &Expected,
    after: Option<&EnqueuedEvent>,
    enqueued: &Enqueued,
) -> String {
    let mut text = format!("expected event {} is not in the outbox", at + 1);
    if let Some(after) = after {
        write!(text, " behind {}", line(after)).ok();
    }
    text.push('\n');
    section(&mut text, "expected", expected.lines());
    let behind = |event: &&EnqueuedEvent| after.is_none_or(|after| event.seq > after.seq);
    let early = enqueued.iter().filter(|event| !behind(event) && expected.matches(event));
    section(&mut text, "as expected, but before that", early.map(line));
    candidates(&mut text, expected, enqueued, enqueued.iter().filter(behind));
    text
}

/// The events are not these, one by one.
pub(crate) fn not_exactly(expected: &[Expected], enqueued: &Enqueued) -> String {
    let (wanted, found) = (expected.len(), enqueued.len());
    let mut text = format!("the outbox does not hold exactly the {wanted} expected, but {found}\n");
    text.push_str("\nin order (- expected, + found):\n");
    for at in 0..wanted.max(found).min(NAMED_MAX) {
        let (expected, event) = (expected.get(at), enqueued.get(at));
        match (expected, event) {
            (Some(expected), Some(event)) => compared(&mut text, expected, event),
            (Some(expected), None) => {
                writeln!(text, "\n    (none)\n      - {}", expected.lines().join(", ")).ok();
            }
            (None, Some(event)) => {
                writeln!(text, "\n    {}\n      + not expected", line(event)).ok();
            }
            (None, None) => {}
        }
    }
    more(&mut text, wanted.max(found));
    staged(&mut text, enqueued);
    text
}

/// The closest first.
fn candidates<'e>(
    text: &mut String,
    expected: &Expected,
    enqueued: &Enqueued,
    events: impl Iterator<Item = &'e EnqueuedEvent>,
) {
    let mut events: Vec<_> =
        events.map(|event| (distance(&expected.differences(event)), event)).collect();
    events.sort_by_key(|(distance, event)| (*distance, event.seq));
    if events.is_empty() {
        text.push_str("\nthere is no event\n");
    } else {
        let closest = if events.len() > 1 { ", the closest first" } else { "" };
        writeln!(text, "\nin the outbox{closest} (- expected, + found):").ok();
    }
    for (_, event) in events.iter().take(COMPARED_MAX) {
        compared(text, expected, event);
    }
    if events.len() > COMPARED_MAX {
        let others = events[COMPARED_MAX..].iter().take(NAMED_MAX);
        section(text, "and", others.map(|(_, event)| line(event)));
        more(text, events.len() - COMPARED_MAX);
    }
    staged(text, enqueued);
}

fn compared(text: &mut String, expected: &Expected, event: &EnqueuedEvent) {
    let differences = expected.differences(event);
    let same = if differences.is_empty() { ", as expected" } else { "" };
    writeln!(text, "\n    {}{same}", line(event)).ok();
    for difference in differences {
        writeln!(text, "      - {} = {}", difference.path, difference.expected).ok();
        writeln!(text, "      + {} = {}", difference.path, difference.found).ok();
    }
}

fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    for (at, line) in lines.into_iter().enumerate() {
        if at == 0 {
            writeln!(text, "\n{title}:").ok();
        }
        writeln!(text, "    {line}").ok();
    }
}

fn more(text: &mut String, events: usize) {
    if events > NAMED_MAX {
        writeln!(text, "    .. and {} more", events - NAMED_MAX).ok();
    }
}

/// The usual reason for an empty outbox.
fn staged(text: &mut String, enqueued: &Enqueued) {
    if enqueued.staged > 0 {
        let events = enqueued.staged;
        writeln!(text, "\n{events} staged on this transaction: its commit writes them").ok();
    }
}

fn are(events: usize) -> String {
    if events == 1 { "1 event is".to_owned() } else { format!("{events} events are") }
}

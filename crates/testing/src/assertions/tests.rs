use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

fn event(seq: i64, name: &str, id: i64, data: &Value) -> EnqueuedEvent {
    EnqueuedEvent {
        seq,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        event_id: Uuid::nil(),
        topic: "v3_rentals".into(),
        key: format!("Rental:{id}"),
        partition_key: Some("7".into()),
        event: name.into(),
        model: "Rental".into(),
        model_id: id.to_string(),
        headers: Value::Null,
        message: json!({"message": [{"event": name, "model_name": "Rental", "data": [data]}]}),
    }
}

/// A rental that is created, renamed, and another one that is destroyed.
fn enqueued() -> Enqueued {
    Enqueued {
        events: vec![
            event(
                3,
                "rental_created",
                1,
                &json!({"id": 1, "name": "Ville", "links": {"account": 7}}),
            ),
            event(
                5,
                "rental_updated",
                1,
                &json!({"id": 1, "name": "Villa", "links": {"account": 7}}),
            ),
            event(8, "rental_destroyed", 2, &json!({"links": {}, "id": 2})),
        ],
        staged: 0,
    }
}

#[test]
fn an_event_is_found_by_anything_that_is_known_of_it() {
    for (expected, seq) in [
        (expected!(), 3),
        (expected!("rental_updated"), 5),
        (expected!(key = "Rental:2"), 8),
        (expected!(model = "Rental", id = 1, count = 2), 3),
        (expected!(data = json!({"name": "Villa"}), partition_key = 7), 5),
        (expected!(links = json!({"account": 7}), topic = "v3_rentals", tombstone = false), 3),
    ] {
        assert_eq!(one_of(&enqueued(), &expected).unwrap().seq, seq, "{expected:?}");
    }
}

#[test]
fn a_missing_event_is_compared_with_the_closest_ones() {
    let expected = expected!(
        "rental_created",
        key = "Rental:1",
        data = json!({"name": "Villa", "links": {"account": 8}})
    );
    assert_eq!(
        one_of(&enqueued(), &expected).unwrap_err(),
        r#"no event in the outbox is as expected

expected:
    event = "rental_created"
    key = "Rental:1"
    data.name = "Villa"
    data.links.account = 8

in the outbox, the closest first (- expected, + found):

    rental_created Rental:1 to v3_rentals (seq 3)
      - data.name = "Villa"
      + data.name = "Ville"
      - data.links.account = 8
      + data.links.account = 7

    rental_updated Rental:1 to v3_rentals (seq 5)
      - event = "rental_created"
      + event = "rental_updated"
      - data.links.account = 8
      + data.links.account = 7

    rental_destroyed Rental:2 to v3_rentals (seq 8)
      - event = "rental_created"
      + event = "rental_destroyed"
      - key = "Rental:1"
      + key = "Rental:2"
      - data.name = "Villa"
      + data.name = (absent)
      - data.links.account = 8
      + data.links.account = (absent)
"#
    );
}

#[test]
fn an_empty_outbox_says_what_is_staged() {
    let nothing = Enqueued { events: vec![], staged: 2 };
    assert_eq!(
        one_of(&nothing, &expected!("rental_created")).unwrap_err(),
        r#"no event in the outbox is as expected

expected:
    event = "rental_created"

there is no event

2 staged on this transaction: its commit writes them
"#
    );
}

#[test]
fn another_count_names_the_events_that_were_counted() {
    assert_eq!(
        one_of(&enqueued(), &expected!(id = 1, count = 1)).unwrap_err(),
        r#"2 events are in the outbox as expected, not 1

expected:
    id = "1"

as expected:
    rental_created Rental:1 to v3_rentals (seq 3)
    rental_updated Rental:1 to v3_rentals (seq 5)
"#
    );
    let fewer = one_of(&enqueued(), &expected!(id = 2, count = 2)).unwrap_err();
    assert!(fewer.contains("1 event is in the outbox as expected, not 2"), "{fewer}");
    assert!(fewer.contains("- id = \"2\"\n      + id = \"1\""), "{fewer}");
}

#[test]
fn a_refuted_event_is_shown_with_what_it_publishes() {
    none_of(&enqueued(), &expected!("rental_updated", id = 2)).unwrap();
    assert_eq!(
        none_of(&enqueued(), &expected!("rental_destroyed")).unwrap_err(),
        r#"1 event is in the outbox that must not be there

refuted:
    event = "rental_destroyed"

in the outbox:
    rental_destroyed Rental:2 to v3_rentals (seq 8)
      headers = null
      data = {"links":{},"id":2}
"#
    );
    assert!(none_of(&enqueued(), &expected!()).unwrap_err().starts_with("3 events are"));
}

#[test]
fn an_order_may_leave_events_out_and_not_turn_them_round() {
    let seqs = |expected: &[Expected]| {
        in_order(&enqueued(), expected)
            .map(|found| found.iter().map(|it| it.seq).collect::<Vec<_>>())
    };
    assert_eq!(seqs(&[expected!(id = 1), expected!(id = 2)]), Ok(vec![3, 8]));
    assert_eq!(seqs(&[expected!(id = 1), expected!(id = 1), expected!()]), Ok(vec![3, 5, 8]));
    assert_eq!(
        seqs(&[expected!("rental_updated"), expected!("rental_created")]).unwrap_err(),
        r#"expected event 2 is not in the outbox behind rental_updated Rental:1 to v3_rentals (seq 5)

expected:
    event = "rental_created"

as expected, but before that:
    rental_created Rental:1 to v3_rentals (seq 3)

in the outbox (- expected, + found):

    rental_destroyed Rental:2 to v3_rentals (seq 8)
      - event = "rental_created"
      + event = "rental_destroyed"
"#
    );
}

#[test]
fn an_exact_list_is_compared_one_by_one() {
    exactly(&enqueued(), &[expected!(id = 1), expected!("rental_updated"), expected!()]).unwrap();
    assert_eq!(
        exactly(&enqueued(), &[expected!("rental_created"), expected!("rental_destroyed")])
            .unwrap_err(),
        r#"the outbox does not hold exactly the 2 expected, but 3

in order (- expected, + found):

    rental_created Rental:1 to v3_rentals (seq 3), as expected

    rental_updated Rental:1 to v3_rentals (seq 5)
      - event = "rental_destroyed"
      + event = "rental_updated"

    rental_destroyed Rental:2 to v3_rentals (seq 8)
      + not expected
"#
    );
    let fewer = exactly(&Enqueued::default(), &[expected!("rental_created")]).unwrap_err();
    assert!(fewer.contains("(none)\n      - event = \"rental_created\""), "{fewer}");
}

#[test]
fn a_count_where_it_means_nothing_is_refused() {
    let counted = [expected!(count = 1)];
    assert!(none_of(&enqueued(), &counted[0]).unwrap_err().contains("`count`"));
    assert!(in_order(&enqueued(), &counted).unwrap_err().contains("`count`"));
    assert!(exactly(&enqueued(), &counted).unwrap_err().contains("`count`"));
    assert!(one_of(&enqueued(), &expected!(count = 0)).unwrap_err().contains("refute_enqueued!"));
}

#[test]
fn of_many_events_the_closest_are_compared_and_the_others_counted() {
    let data = json!({"name": "Villa"});
    let events = (1..=40).map(|id| event(id, "rental_updated", id, &data)).collect();
    let many = Enqueued { events, staged: 0 };
    let text = one_of(&many, &expected!("rental_created", id = 33)).unwrap_err();
    let first = text.find("Rental:33").unwrap();
    assert!(first < text.find("Rental:1 ").unwrap(), "{text}");
    assert!(text.ends_with("    .. and 17 more\n"), "{text}");
}

#[test]
fn what_came_before_can_be_left_out() {
    let earlier = Enqueued { events: enqueued().events[..2].to_vec(), staged: 0 };
    assert_eq!(enqueued().since(&earlier).summary(), ["Rental:2 rental_destroyed"]);
    assert_eq!(enqueued().since(&Enqueued::default()).len(), 3);
}

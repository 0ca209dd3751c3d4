//! The promises, one a function. Each has instances of its own.

use dionysus_core::{headers, partition_of};
use dionysus_postgres::enqueued;
use dionysus_producer::TraceContext;

use super::world::{Application, done, insert, update};
use super::{Subject, topic};
use crate::{LogRecord, Message};

pub(super) struct Scene<'s, S> {
    pub(super) application: Application,
    pub(super) subject: &'s mut S,
}

impl<S: Subject> Scene<'_, S> {
    pub(super) async fn committed_events_arrive_in_order_and_others_never(&mut self) {
        let app = &self.application;
        app.create([1, 2]).await;
        app.rename(1, &["second", "third"]).await;
        let mut tx = app.begin().await;
        let rental = update(&mut tx, 2, "rolled back").await;
        done(tx.updated(&rental));
        done(tx.rollback().await);
        let mut tx = app.begin().await;
        let mut savepoint = done(tx.savepoint().await);
        let rental = insert(&mut savepoint, 3).await;
        done(savepoint.created(&rental));
        done(savepoint.rollback().await);
        let rental = update(&mut tx, 2, "kept").await;
        done(tx.updated(&rental));
        done(tx.commit().await);
        self.subject.settle().await;
        let expected = [
            "Rental:1 rental_created new",
            "Rental:1 rental_updated second",
            "Rental:1 rental_updated third",
            "Rental:2 rental_created new",
            "Rental:2 rental_updated kept",
        ];
        assert_eq!(self.story(&[1, 2, 3]).await, expected);
        self.has_copies(&[(1, Some("third")), (2, Some("kept")), (3, None)]).await;
    }

    pub(super) async fn a_message_is_its_row_with_our_headers(&mut self) {
        let app = &self.application;
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut tx = app.begin().await;
        tx.set_trace_context(Some(done(TraceContext::new(trace, Some("vendor=1")))));
        let rental = insert(&mut tx, 11).await;
        done(tx.created(&rental));
        done(tx.commit().await);
        self.subject.settle().await;
        let rows = done(enqueued::last(&self.application.pool, 1).await);
        let record = self.records(11).await.pop();
        let (Some(row), Some(LogRecord { message, .. })) = (rows.first(), record) else {
            panic!("one row, one message");
        };
        assert_eq!((message.key.as_str(), &message.payload), (row.key.as_str(), &row.payload));
        let ours = [
            (headers::VERSION, row.seq.to_string()),
            (headers::EVENT_ID, row.event_id.to_string()),
            (headers::SNAPSHOT_TIME, row.created_at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
            (headers::TRACESTATE, "vendor=1".to_owned()),
            (headers::TRACEPARENT, trace.to_owned()),
        ];
        let ours = ours.map(|(name, value)| (name.to_owned(), value.into_bytes()));
        assert_eq!(message.headers, ours);
    }

    pub(super) async fn an_instance_keeps_its_partition_and_the_twin_has_it_all(&mut self) {
        let app = &self.application;
        app.create(20..30).await;
        for id in 20..30 {
            app.rename(id, &["other"]).await;
        }
        self.subject.settle().await;
        let twin = format!("{}_genesis", topic(self.subject.namespace()));
        let twin = self.subject.log(&twin).await;
        for id in 20..30 {
            let records = self.records(id).await;
            assert_eq!(records.len(), 2, "of rental {id}");
            // Of account `id % 5`, or of none: then the key decides.
            let chosen = if id % 5 == 0 { format!("Rental:{id}") } else { (id % 5).to_string() };
            let partition = partition_of(&chosen, self.subject.partitions());
            for record in &records {
                assert_eq!(i64::from(record.partition), i64::from(partition), "of rental {id}");
            }
            let twins: Vec<_> = of(id, &twin).collect();
            assert_eq!(twins.len(), 2, "of rental {id}");
            for (record, twin) in records.iter().zip(twins) {
                assert_eq!(record.partition, twin.partition);
                assert_eq!(record.message.payload, twin.message.payload);
                assert_eq!(record.message.headers, twin.message.headers);
            }
        }
    }

    pub(super) async fn a_transaction_that_commits_late_comes_late_and_holds_nothing_up(&mut self) {
        let app = &self.application;
        let mut late = done(app.pool.begin().await);
        let mut stage = app.outbox.stage();
        done(stage.created(&insert(&mut late, 41).await));
        done(stage.write(&mut late).await);
        app.create([42]).await;
        self.subject.settle().await;
        assert_eq!(self.story(&[41, 42]).await, ["Rental:42 rental_created new"]);
        done(late.commit().await);
        self.application.outbox.wake_up();
        self.subject.settle().await;
        let both = ["Rental:41 rental_created new", "Rental:42 rental_created new"];
        assert_eq!(self.story(&[41, 42]).await, both);
        self.has_copies(&[(41, Some("new")), (42, Some("new"))]).await;
    }

    pub(super) async fn one_transaction_gives_one_message_for_an_instance(&mut self) {
        let mut tx = self.application.begin().await;
        let rental = insert(&mut tx, 51).await;
        done(tx.created(&rental));
        for name in ["second", "third"] {
            let rental = update(&mut tx, 51, name).await;
            done(tx.updated(&rental));
        }
        done(tx.commit().await);
        self.subject.settle().await;
        assert_eq!(self.story(&[51]).await, ["Rental:51 rental_created third"]);
    }

    pub(super) async fn a_repeated_message_changes_nothing(&mut self) {
        self.application.create([61]).await;
        self.application.rename(61, &["second", "third"]).await;
        self.subject.settle().await;
        let messages = self.messages(61).await;
        self.subject.append(vec![messages[0].clone()]).await;
        self.has_copies(&[(61, Some("third"))]).await;
        self.subject.append(messages[..2].to_vec()).await;
        self.has_copies(&[(61, Some("third"))]).await;
        assert_eq!(self.messages(61).await.len(), 6);
    }

    pub(super) async fn what_is_destroyed_stays_destroyed(&mut self) {
        self.application.create([71]).await;
        self.subject.settle().await;
        self.has_copies(&[(71, Some("new"))]).await;
        self.application.destroy(71).await;
        self.subject.settle().await;
        self.has_copies(&[(71, None)]).await;
        let messages = self.messages(71).await;
        self.subject.append(vec![messages[0].clone()]).await;
        self.has_copies(&[(71, None)]).await;
        self.subject.append(messages).await;
        self.has_copies(&[(71, None)]).await;
    }

    pub(super) async fn the_newest_wins_in_any_order_and_over_any_gap(&mut self) {
        self.application.create([80]).await;
        self.application.rename(80, &["second", "third", "fourth"]).await;
        self.subject.settle().await;
        let messages = self.messages(80).await;
        let of =
            |id, order: &[usize]| order.iter().map(|&at| meant_for(id, &messages[at])).collect();
        self.subject.append(of(81, &[3, 1, 0, 2])).await;
        self.subject.append(of(82, &[0, 3])).await;
        self.subject.append(of(83, &[3])).await;
        self.subject.append(of(83, &[0, 2])).await;
        self.subject.append(of(84, &[1])).await;
        self.has_copies(&[
            (81, Some("fourth")),
            (82, Some("fourth")),
            (83, Some("fourth")),
            (84, Some("second")),
        ])
        .await;
    }

    pub(super) async fn a_null_value_is_passed_over(&mut self) {
        self.application.create([91]).await;
        self.application.rename(91, &["second"]).await;
        self.subject.settle().await;
        let messages = self.messages(91).await;
        let tombstone = Message { payload: None, ..messages[1].clone() };
        // In one partition: what comes behind it is applied.
        self.subject.append(vec![tombstone, meant_for(96, &messages[1])]).await;
        assert_eq!(self.messages(91).await[2].payload, None);
        self.has_copies(&[(91, Some("second")), (96, Some("second"))]).await;
        let mut tx = self.application.begin().await;
        let rental = update(&mut tx, 91, "third").await;
        done(tx.tombstone(&rental));
        done(tx.commit().await);
        self.subject.settle().await;
        assert_eq!(self.messages(91).await[3].payload, None);
        self.has_copies(&[(91, Some("second"))]).await;
    }

    pub(super) async fn a_captured_row_is_rendered(&mut self) {
        // What a trigger writes.
        let sql = r#"insert into dionysus.outbox (event_id, topic, key, partition_key, event, model, model_id, capture)
            values (gen_random_uuid(), $1, 'Rental:111', '1', 'rental_created', 'Rental', '111',
                '{"format": 1, "event": "rental_created", "model": "Rental", "links": [],
                  "attributes": [["id", "bigint", "111"], ["account_id", "bigint", "1"], ["name", "text", "captured"]]}')"#;
        let topic = topic(self.subject.namespace());
        done(sqlx::query(sql).bind(&topic).execute(&self.application.pool).await);
        self.application.outbox.wake_up();
        self.subject.settle().await;
        assert_eq!(self.story(&[111]).await, ["Rental:111 rental_created captured"]);
        self.has_copies(&[(111, Some("captured"))]).await;
    }

    pub(super) async fn a_message_of_the_gem_is_applied(&mut self) {
        self.application.create([101]).await;
        self.subject.settle().await;
        let messages = self.messages(101).await;
        let gems = Message { headers: Vec::new(), ..meant_for(106, &messages[0]) };
        self.subject.append(vec![gems]).await;
        self.has_copies(&[(106, Some("new"))]).await;
    }

    /// Key, event and name of each message of these instances, in order of the log for each.
    async fn story(&mut self, ids: &[i64]) -> Vec<String> {
        let log = self.subject.log(&topic(self.subject.namespace())).await;
        let messages = ids.iter().flat_map(|id| of(*id, &log)).map(|record| &record.message);
        messages
            .map(|message| {
                let json = message.json();
                let event = json["message"][0]["event"].as_str().unwrap_or_default();
                let name = json["message"][0]["data"][0]["name"].as_str().unwrap_or_default();
                format!("{} {event} {name}", message.key)
            })
            .collect()
    }

    async fn records(&mut self, id: i64) -> Vec<LogRecord> {
        let log = self.subject.log(&topic(self.subject.namespace())).await;
        of(id, &log).cloned().collect()
    }

    /// With their partition key, which is not on the wire.
    async fn messages(&mut self, id: i64) -> Vec<Message> {
        let partition_key = (id % 5 != 0).then(|| (id % 5).to_string());
        let records = self.records(id).await.into_iter();
        records
            .map(|record| Message { partition_key: partition_key.clone(), ..record.message })
            .collect()
    }

    /// The names in the replica; `None`: no such row.
    async fn has_copies(&self, expected: &[(i64, Option<&str>)]) {
        let ids: Vec<i64> = expected.iter().map(|(id, _)| *id).collect();
        let copies = self.application.copies(&ids).await;
        let expected: Vec<(i64, String)> =
            expected.iter().filter_map(|(id, name)| Some((*id, (*name)?.to_owned()))).collect();
        assert_eq!(copies, expected, "the replica's rows of rentals {ids:?}");
    }
}

fn of(id: i64, log: &[LogRecord]) -> impl Iterator<Item = &LogRecord> {
    let key = format!("Rental:{id}");
    log.iter().filter(move |record| record.message.key == key)
}

/// The message, as if it were about another instance.
fn meant_for(id: i64, message: &Message) -> Message {
    let (_, before) = message.key.split_at("Rental:".len());
    let payload = message.payload.as_deref().map(|payload| {
        let text = String::from_utf8_lossy(payload);
        text.replace(&format!("\"id\":{before},"), &format!("\"id\":{id},")).into_bytes()
    });
    Message { key: format!("Rental:{id}"), payload, ..message.clone() }
}

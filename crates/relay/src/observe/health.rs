//! The judgement: does the relay get on.

use std::sync::Arc;
use std::time::Duration;

use dionysus_service::duration::rounded;
use dionysus_service::{Health, HealthLimits, Verdict};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Observer;
use super::view::{LaneView, View};
use crate::lane::State;

/// A view of a relay's health. Cheap to clone; outlives the relay.
///
/// *Alive*: the main loop turns; waiting for a server that is away turns it too. *Ready*: it holds a lease, Postgres answers, and no lane
/// stands still while rows wait.
#[derive(Clone, Debug)]
pub struct RelayHealth {
    observer: Arc<Observer>,
    limits: HealthLimits,
}

impl RelayHealth {
    pub(crate) fn new(observer: Arc<Observer>, limits: HealthLimits) -> Self {
        // The first to ask decides how often the database is asked.
        let limits = *observer.limits.get_or_init(|| limits);
        Self { observer, limits }
    }
}

impl Health for RelayHealth {
    fn alive(&self) -> Verdict {
        self.observer.main_loop.alive(&self.limits)
    }

    fn ready(&self) -> Verdict {
        self.observer.judge(&self.limits)
    }
}

impl Observer {
    pub(super) fn judge(&self, limits: &HealthLimits) -> Verdict {
        judge(&self.view(), limits.unready_after, Instant::now())
    }
}

fn judge(view: &View, unready_after: Duration, now: Instant) -> Verdict {
    let mut reasons = Vec::new();
    let since = |then: Instant| now.saturating_duration_since(then);
    if view.stopping {
        reasons.push("shutting down".to_owned());
    }
    match view.lease {
        None => reasons.push(with_cause("no lease yet", view)),
        Some(false) if since(view.lease_since) >= unready_after => {
            let without = format!("no lease for {}", rounded(since(view.lease_since)));
            reasons.push(with_cause(&without, view));
        }
        Some(_) => {}
    }
    // Rounds come three times as often: this is an outage, not a pause.
    if view.lease == Some(true) && since(view.looked) >= unready_after {
        let silent =
            format!("Postgres has not said for {} what waits", rounded(since(view.looked)));
        reasons.push(with_cause(&silent, view));
    }
    for (topic, lane) in &view.lanes {
        if let Some(still) = lane.stands_still(now).filter(|still| *still >= unready_after) {
            reasons.push(standstill(topic, lane, still, view));
        }
    }
    Verdict { reasons, detail: detail(view, now) }
}

fn standstill(topic: &str, lane: &LaneView, still: Duration, view: &View) -> String {
    let waits = if lane.is_unknown {
        "whether rows wait can't be told".to_owned()
    } else {
        match lane.waiting.rows {
            1 => "1 row waits".to_owned(),
            rows => format!("{rows} rows wait"),
        }
    };
    let text = format!("lane `{topic}` stands still for {}, {waits}", rounded(still));
    match &lane.cause {
        Some(cause) => format!("{text}: {cause}"),
        None => with_cause(&text, view),
    }
}

fn with_cause(text: &str, view: &View) -> String {
    match &view.trouble {
        Some((cause, _)) => format!("{text}: {cause}"),
        None => text.to_owned(),
    }
}

fn detail(view: &View, now: Instant) -> Value {
    let since = |then: Instant| now.saturating_duration_since(then).as_secs_f64();
    let lanes: Vec<Value> = view
        .lanes
        .iter()
        .map(|(topic, lane)| {
            json!({
                "topic": topic,
                "state": state(lane.state),
                "epoch": lane.epoch,
                "in_flight": lane.in_flight,
                "pending_rows": lane.waiting.rows,
                "oldest_pending_s": (lane.waiting.rows > 0).then_some(lane.waiting.oldest.as_secs_f64()),
                "pending_is_unknown": lane.is_unknown,
                "moved_s_ago": since(lane.moved),
                "cause": lane.cause.as_ref().filter(|_| lane.state != State::Active),
            })
        })
        .collect();
    json!({
        "leased": view.lease.unwrap_or(false),
        "in_flight": view.in_flight,
        "asked_postgres_s_ago": since(view.looked),
        "trouble": view.trouble.as_ref().map(|(cause, at)| json!({ "cause": cause, "s_ago": since(*at) })),
        "locks": view.locks,
        "lanes": lanes,
    })
}

const fn state(state: State) -> &'static str {
    match state {
        State::Opening => "opening",
        State::Active => "active",
        State::Blocked { .. } => "blocked",
        State::Draining => "draining",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dionysus_core::Cursor;
    use dionysus_kafka::DeliverySink as _;
    use dionysus_postgres::lanes::Claimed;
    use dionysus_postgres::waiting::{Look, Waiting};

    use crate::lane::Lane;

    const THRESHOLD: Duration = Duration::from_secs(30);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn lane() -> Lane {
        let claimed = Claimed {
            topic: "v3_rentals".into(),
            genesis_replica: false,
            epoch: 1,
            cursor: Cursor::At("5:5:".parse().unwrap()),
        };
        Lane::new(claimed, &Arc::default(), 0)
    }

    /// A relay with one lane, looked at `at`: so many rows, the oldest so old.
    struct Scene {
        view: View,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let start = Instant::now();
            let mut view = View::new(start);
            view.leased(true, start);
            view.show(&lane(), start);
            Self { view, start }
        }

        fn look(&mut self, at: u64, rows: u64, oldest: u64) {
            let waiting = Waiting { rows, oldest: seconds(oldest) };
            let mut look = Look::default();
            if rows > 0 {
                look.topics.insert("v3_rentals".into(), waiting);
            }
            self.view.looked(&["v3_rentals".into()], &look, self.start + seconds(at));
        }

        fn moved(&mut self, at: u64, to: &str) {
            let mut lane = lane();
            lane.settled = Cursor::At(to.parse().unwrap());
            self.view.show(&lane, self.start + seconds(at));
        }

        fn reasons(&self, at: u64) -> Vec<String> {
            judge(&self.view, THRESHOLD, self.start + seconds(at)).reasons
        }
    }

    #[test]
    fn an_idle_relay_is_ready_for_ever() {
        let mut scene = Scene::new();
        scene.look(1_000, 0, 0);
        assert_eq!(scene.reasons(1_001), [""; 0]);
    }

    #[test]
    fn a_lane_that_stands_still_while_rows_wait_makes_it_unready_with_the_cause() {
        let mut scene = Scene::new();
        scene.look(1_000, 3, 2);
        assert_eq!(scene.reasons(1_001), [""; 0], "the rows are young");
        scene.look(1_029, 3, 31);
        let reasons = scene.reasons(1_030);
        assert_eq!(reasons, ["lane `v3_rentals` stands still for 32s, 3 rows wait"]);
        scene.view.trouble = Some(("no acknowledgement for too long".into(), scene.start));
        assert!(scene.reasons(1_030)[0].ends_with(": no acknowledgement for too long"));
        scene.moved(1_031, "9:9:");
        assert_eq!(scene.reasons(1_032), [""; 0], "it gets on");
    }

    #[test]
    fn trouble_is_over_with_the_first_acknowledgement_and_not_before() {
        let mut scene = Scene::new();
        scene.view.trouble = Some(("no broker answers".into(), scene.start));
        scene.moved(1, "9:9:");
        assert!(scene.view.trouble.is_some(), "places also move where nothing is published");
        let lane = lane();
        let ticket = lane.in_flight.expect(lane.slots, 10, 10, Some(0));
        lane.in_flight.delivered(ticket, Ok(()));
        scene.view.show(&lane, scene.start);
        assert_eq!(scene.view.trouble, None);
    }

    #[test]
    fn a_backlog_that_shrinks_is_progress() {
        let mut scene = Scene::new();
        scene.look(100, 10_000, 3_600);
        scene.moved(101, "9:9:");
        scene.look(110, 10_000, 3_600);
        assert_eq!(scene.reasons(111), [""; 0]);
    }

    #[test]
    fn a_look_that_was_cut_before_it_saw_a_row_says_nothing_good() {
        let mut scene = Scene::new();
        let look = Look { is_cut: true, ..Look::default() };
        scene.view.looked(&["v3_rentals".into()], &look, scene.start + seconds(40));
        assert_eq!(
            scene.reasons(41),
            ["lane `v3_rentals` stands still for 41s, whether rows wait can't be told"]
        );
    }

    #[test]
    fn without_a_lease_or_an_answer_of_postgres_it_is_unready_after_the_threshold() {
        let mut scene = Scene::new();
        assert_eq!(scene.reasons(31), ["Postgres has not said for 31s what waits"]);
        scene.view.leased(false, scene.start + seconds(31));
        assert_eq!(scene.reasons(60), [""; 0], "leases change hands");
        assert_eq!(scene.reasons(61), ["no lease for 30s"]);
        assert_eq!(
            judge(&View::new(scene.start), THRESHOLD, scene.start).reasons,
            ["no lease yet"]
        );
    }

    #[test]
    fn a_lane_that_is_given_up_is_not_judged() {
        let mut scene = Scene::new();
        scene.look(40, 3, 40);
        assert_eq!(scene.reasons(41).len(), 1);
        scene.view.forget_lanes_but(&std::collections::HashMap::new());
        assert_eq!(scene.reasons(41), [""; 0]);
    }
}

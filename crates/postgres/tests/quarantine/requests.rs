use dionysus_postgres::Error;
use dionysus_postgres::quarantine::{self, Outlook, Request, Target};

use super::Scene;

const NO: Option<&str> = Some("no");

/// `Rental:1` with two refused rows and one behind each, `Rental:2` with one.
async fn scene() -> (Scene, Vec<i64>) {
    let scene = Scene::new().await;
    let rows = [
        ("Rental:1", NO),
        ("Rental:1", None),
        ("Rental:2", NO),
        ("Rental:1", NO),
        ("Rental:1", None),
    ];
    let held = scene.set_aside("v3_a", &rows).await;
    scene.set_aside("v3_b", &[("Rental:1", NO)]).await;
    (scene, held)
}

async fn requests(scene: &Scene) -> Vec<Option<String>> {
    scene.rows().await.into_iter().map(|row| row.request).collect()
}

#[tokio::test]
async fn a_request_is_about_a_row_the_first_of_a_key_or_all_that_were_refused() {
    let (scene, held) = scene().await;
    let pool = &scene.database.pool;
    let ask = async |target: Target<'_>, request| {
        let mut seqs = quarantine::request(pool, "v3_a", target, request).await.unwrap();
        seqs.sort_unstable();
        seqs
    };
    assert_eq!(ask(Target::Row(held[1]), Request::Drop).await, [held[1]]);
    assert_eq!(ask(Target::Key("Rental:1"), Request::Skip).await, [held[0]]);
    assert_eq!(
        requests(&scene).await,
        [Some("skip".into()), Some("drop".into()), None, None, None, None]
    );
    let all = ask(Target::All, Request::Retry).await;
    assert_eq!(all, [held[0], held[2], held[3]], "in place of what was asked for before");
    assert_eq!(requests(&scene).await[0].as_deref(), Some("retry"));

    assert_eq!(ask(Target::Row(1_000_000), Request::Skip).await, [0; 0]);
    assert_eq!(ask(Target::Key("Rental:9"), Request::Skip).await, [0; 0]);
    let other = quarantine::request(pool, "v3_c", Target::All, Request::Skip).await.unwrap();
    assert_eq!(other, [0; 0]);
}

#[tokio::test]
async fn an_outlook_counts_what_a_request_names_and_what_waits_behind() {
    let (scene, held) = scene().await;
    let pool = &scene.database.pool;
    let look = async |target: Target<'_>| {
        let Outlook { rows, behind, held_up, owner } =
            quarantine::outlook(pool, "v3_a", target).await.unwrap();
        assert_eq!(owner.as_deref(), Some("test"));
        (rows, behind, held_up)
    };
    assert_eq!(look(Target::Key("Rental:1")).await, (1, 3, 0));
    assert_eq!(look(Target::Row(held[3])).await, (1, 1, 1), "two rows are before it");
    assert_eq!(look(Target::Row(held[4])).await, (1, 0, 1));
    // Both refused rows of `Rental:1`: the second comes after the first, and after the one between.
    assert_eq!(look(Target::All).await, (3, 2, 1));
    assert_eq!(look(Target::Row(1_000_000)).await, (0, 0, 0));
    assert_eq!(requests(&scene).await, vec![None; 6], "it changes nothing");

    sqlx::query("update dionysus.relays set expires_at = clock_timestamp()")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(quarantine::outlook(pool, "v3_a", Target::All).await.unwrap().owner, None);
    let unknown = quarantine::outlook(pool, "v3_c", Target::All).await.unwrap_err();
    assert!(matches!(unknown, Error::TopicNotRegistered { topic } if topic == "v3_c"));
}

#[tokio::test]
async fn what_is_left_of_a_request_says_why() {
    let (scene, held) = scene().await;
    let pool = &scene.database.pool;
    quarantine::request(pool, "v3_a", Target::All, Request::Retry).await.unwrap();
    let left = async || {
        let left = quarantine::left(pool, "v3_a", &[held[0], held[2], held[3]]).await.unwrap();
        left.into_iter().map(|row| (row.seq, row.request, row.behind)).collect::<Vec<_>>()
    };
    let retry = || Some("retry".to_owned());
    assert_eq!(
        left().await,
        [(held[0], retry(), None), (held[2], retry(), None), (held[3], retry(), None)]
    );

    let taken = quarantine::released(pool, scene.relay, super::EPOCH, "v3_a", &[held[2]]).await;
    assert_eq!(taken.unwrap(), 1);
    let refused = quarantine::refused_again(pool, scene.relay, "v3_a", held[0], "no", super::LATER);
    refused.await.unwrap();
    assert_eq!(left().await, [(held[0], None, None), (held[3], retry(), Some(held[0]))]);
}

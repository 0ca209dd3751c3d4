//! What every kind of lock must do, with or without anybody else.

use super::*;

/// A lane that no other test has.
fn lane() -> String {
    dionysus_embedded::testing::topic("v3_rentals")
}

/// `one` and `other` are two relays; `taken` is what the second gets of what the first has.
async fn conforms(one: &dyn LaneLocks, other: &dyn LaneLocks, taken: Hold) {
    let (a, b) = (lane(), lane());
    let (just_a, both) = ([a.clone()], [a, b]);
    assert!(one.answers().await && other.answers().await);
    assert_eq!(one.hold(&[]).await, []);
    assert_eq!(one.hold(&both).await, [Hold::Held; 2]);
    assert_eq!(other.hold(&both).await, [taken; 2]);
    other.release(&both).await;
    assert_eq!(other.hold(&both).await, [taken; 2], "what is not ours is not ours to release");

    one.release(&just_a).await;
    assert_eq!(other.hold(&both).await, [Hold::Held, taken]);
    assert_eq!(one.hold(&both).await, [taken, Hold::Held], "extended, and refused");
}

#[tokio::test]
async fn postgres_alone_grants_everything() {
    conforms(&PostgresAlone, &PostgresAlone, Hold::Held).await;
}

#[cfg(feature = "redlock")]
mod in_redis {
    use dionysus_embedded::Redis;

    use super::super::redlock::Redlock;
    use super::*;

    /// Two relays with this lease.
    fn relays(servers: &[&Redis], lease: Duration) -> [Redlock; 2] {
        let urls: Vec<_> = servers.iter().map(|server| Secret::new(server.url())).collect();
        [(); 2].map(|()| Redlock::new(&urls, lease).unwrap())
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_redis_grants_to_one() {
        let redis = Redis::start().await.unwrap();
        let [one, other] = relays(&[&redis], LONG);
        conforms(&one, &other, Hold::Refused).await;
    }

    #[tokio::test]
    async fn two_of_three_grant_to_one() {
        let (a, b) = (Redis::start().await.unwrap(), Redis::start().await.unwrap());
        let mut c = Redis::start().await.unwrap();
        let [one, other] = relays(&[&a, &b, &c], LONG);
        conforms(&one, &other, Hold::Refused).await;
        c.kill().await;
        conforms(&one, &other, Hold::Refused).await;
    }

    #[tokio::test]
    async fn a_lock_lives_by_being_extended_and_else_runs_out() {
        let server = Redis::start().await.unwrap();
        let lease = Duration::from_secs(3);
        let [one, other] = relays(&[&server], lease);
        let lanes = [lane()];
        let began = Instant::now();
        let mut extended = began;
        while began.elapsed() < lease * 3 / 2 {
            extended = Instant::now();
            assert_eq!(one.hold(&lanes).await, [Hold::Held]);
            assert_eq!(other.hold(&lanes).await, [Hold::Refused]);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while other.hold(&lanes).await != [Hold::Held] {
            assert!(extended.elapsed() < lease * 2, "it has not run out");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Not before its time, and before the lease would: its successor finds it free.
        assert!(extended.elapsed() >= lease.mul_f64(0.9), "after {:?}", extended.elapsed());
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let name = format!("dionysus_{}_lock", lanes[0]);
        let left: u64 = redis::cmd("PTTL").arg(name).query_async(&mut connection).await.unwrap();
        assert!(u128::from(left) < lease.as_millis(), "{left} ms");
    }

    #[tokio::test]
    async fn a_redis_that_is_away_refuses_nobody_and_can_be_used_again() {
        let mut redis = Redis::start().await.unwrap();
        let [one, other] = relays(&[&redis], LONG);
        let lanes = [lane(), lane()];
        assert_eq!(one.hold(&lanes).await, [Hold::Held; 2]);
        redis.kill().await;
        assert!(!one.answers().await);
        assert_eq!(one.hold(&lanes).await, [Hold::Away; 2]);
        assert_eq!(other.hold(&lanes).await, [Hold::Away; 2]);
        redis.restart().await.unwrap();
        assert_eq!(one.hold(&lanes).await, [Hold::Held; 2], "it had forgotten them");
        assert_eq!(other.hold(&lanes).await, [Hold::Refused; 2]);
    }

    #[tokio::test]
    async fn a_redis_that_hangs_is_not_waited_for_and_does_not_turn_us_against_ourselves() {
        let server = Redis::start().await.unwrap();
        let lease = Duration::from_secs(10);
        let [one, other] = relays(&[&server], lease);
        let lanes = [lane(), lane()];
        assert_eq!(one.hold(&lanes[..1]).await, [Hold::Held]);
        signal(&server, "STOP");
        let began = Instant::now();
        for _ in 0..3 {
            assert_eq!(one.hold(&lanes).await, [Hold::Away; 2]);
        }
        assert!(!one.answers().await);
        assert!(began.elapsed() < lease / 4, "it was waited for");
        signal(&server, "CONT");
        // What was asked for meanwhile may be done late: it is ours, whoever is told, and runs out.
        loop {
            let answers = one.hold(&lanes).await;
            assert!(!answers.contains(&Hold::Refused), "refused by ourselves");
            if answers == [Hold::Held; 2] {
                break;
            }
            assert!(began.elapsed() < lease * 2, "it does not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(other.hold(&lanes).await, [Hold::Refused; 2]);
    }

    fn signal(server: &Redis, name: &str) {
        let pid = server.pid().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

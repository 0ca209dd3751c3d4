//! The shortest way through: a row becomes a record.
#[tokio::test]
async fn rows_reach_the_log_in_order_with_our_headers() -> anyhow::Result<()> {
    use dionysus_embedded::testing;
    let database = testing::database().await;
    dionysus_postgres::schema::migrate(&database.pool).await?;
    let brokers = testing::brokers().await;
    let topic = testing::topic("v3_smoke");
    let mut conn = database.pool.acquire().await?;
    dionysus_postgres::topics::register(&mut conn, &[dionysus_postgres::topics::Registration { name: topic.clone(), namespace: "v3".into(), genesis_replica: true, topology: serde_json::json!({}) }]).await?;
    let relay = dionysus_relay::Relay::new(database.url.parse()?, &brokers, dionysus_relay::RelayOptions::default())?;
    let signals = relay.signals();
    let stop = tokio_util::sync::CancellationToken::new();
    let run = tokio::spawn(relay.run(stop.clone()));
    for i in 0..1000 {
        let key = format!("Rental:{}", i % 10);
        let row = dionysus_postgres::outbox::NewRow { event_id: uuid::Uuid::now_v7(), topic: &topic, key: &key, partition_key: Some("7"), event: "rental_updated", model: "Rental", model_id: "1", payload: b"{}", headers: None };
        dionysus_postgres::outbox::append(&mut conn, &[row]).await?;
        if i % 100 == 0 { dionysus_postgres::outbox::wake_up(&database.pool).await?; }
    }
    dionysus_postgres::outbox::wake_up(&database.pool).await?;
    signals.handed_over.reached(1000).await;
    let started = std::time::Instant::now();
    stop.cancel();
    run.await??;
    println!("stopped after {:?}", started.elapsed());
    for topic in [topic.clone(), format!("{topic}_genesis")] {
        let log = dionysus_e2e::read_log(&brokers, &topic).await?;
        let committed: Vec<dionysus_e2e::Committed> = sqlx::query_as("select seq, event_id, key from dionysus.outbox").fetch_all(&database.pool).await?;
        let verdict = dionysus_e2e::History { committed: &committed, log: &log }.check();
        assert!(verdict.is_sound() && verdict.duplicates == 0, "{verdict:?}");
    }
    println!("{:?}", dionysus_postgres::lanes::all(&database.pool).await?);
    Ok(())
}

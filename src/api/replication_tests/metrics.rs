//! The metrics of replication under Kafka's names.

use super::cluster::{TestCluster, batch, eventually};
use crate::common::clock::Clock;
use crate::common::ids::BrokerId;
use crate::config::LogConfig;
use crate::log::AppendOrigin;
use crate::record::BatchBuilder;

#[tokio::test(flavor = "multi_thread")]
async fn fetchers_vain_waits_and_refused_bytes_are_counted() {
    let log_config = LogConfig {
        max_message_bytes: 200,
        ..LogConfig::default()
    };
    let cluster = TestCluster::start_with(2, log_config).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.until_equal(0).await;
    let too_large = "x".repeat(300);
    cluster.produce(1, 0, 1, &[&too_large]).await;
    let port = cluster.brokers[&1].client().address().endpoint.port;
    let fetcher =
        format!("clientId=\"ReplicaFetcherThread-0-1\",brokerHost=\"127.0.0.1\",brokerPort=\"{port}\"");
    let lag = "kafka_server_fetcherlagmetrics_consumerlag{clientId=\"ReplicaFetcherThread-0-1\",topic=\"t\",partition=\"0\"}";
    let shown = |broker: BrokerId, line: &str| {
        let text = cluster.brokers[&broker].metrics.exposition();
        text.lines()
            .find_map(|l| l.strip_prefix(line)?.trim().parse::<f64>().ok())
    };
    let size = |value: &str| Some(batch(&[value]).len() as f64);
    eventually("the lag is shown", || shown(2, lag) == Some(0.0)).await;
    let bytes = format!("kafka_server_fetcherstats_bytes_total{{{fetcher}}}");
    assert_eq!(shown(2, &bytes), size("a"));
    let requests = format!("kafka_server_fetcherstats_requests_total{{{fetcher}}}");
    assert!(shown(2, &requests) >= Some(2.0));
    let rejected = "kafka_server_brokertopicmetrics_bytesrejected_total{topic=\"t\"}";
    assert_eq!(shown(1, rejected), size(&too_large));
    let expired = "kafka_server_delayedfetchmetrics_expires_total{fetcherType=\"follower\"}";
    eventually("the follower waits in vain", || shown(1, expired) > Some(0.0)).await;

    cluster.elect(0, 2, &[1, 2]).await;
    assert_eq!(shown(2, lag), None, "it follows no longer");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_and_transactions_without_an_end_are_counted() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let broker = &cluster.brokers[&1];
    let counted = || {
        let metrics = broker.replicas.metrics();
        (metrics.producer_ids, metrics.partitions_with_late_transactions)
    };
    let now_ms = cluster.clock.wall_ms();
    for (producer, is_transactional) in [(7, true), (8, false)] {
        let builder = BatchBuilder::new(0).producer(producer, 0, 0);
        let mut batch = builder.transactional(is_transactional);
        batch.append(now_ms, None, Some(b"v"), &[]);
        let log = broker.log(0);
        log.append_as_leader(batch.build(), 0, AppendOrigin::Client)
            .unwrap();
    }
    assert_eq!(counted(), (2, 0));
    let config = broker.replicas.config();
    let five_minutes = 5 * 60 * 1000;
    cluster
        .clock
        .advance(i64::from(config.transaction_max_timeout_ms) + five_minutes);
    assert_eq!(counted(), (2, 0));
    cluster.clock.advance(1);
    assert_eq!(counted(), (2, 1));

    // Idle producers are forgotten as soon as a shorter time is configured; an open transaction keeps its own.
    broker.log_manager.remove_expired_producers();
    assert_eq!(counted().0, 2);
    let mut config = config.clone();
    config.producer_id_expiration_ms = 1;
    broker.log_manager.reconfigure(&config);
    broker.log_manager.remove_expired_producers();
    assert_eq!(counted(), (1, 1));
    cluster.shutdown().await;
}

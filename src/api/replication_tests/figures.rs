//! What the metrics of replication say, under Kafka's names.

use super::cluster::{TestCluster, batch, eventually};
use crate::common::ids::BrokerId;
use crate::config::LogConfig;

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
    let port = cluster.brokers[&1].client().address().port;
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

//! Throttled replicas (KIP-73), and old consumers that meet records which they cannot read.

use std::time::Duration;

use super::cluster::*;
use crate::config::{BrokerConfig, LogConfig};
use crate::log::AppendOrigin;
use crate::protocol::StrBytes;
use crate::protocol::messages::FetchRequest;
use crate::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use crate::record::control::{ControlRecordType, EndTransactionMarker};
use crate::record::{BatchBuilder, RecordBatches};
use crate::replica::replication_quota::UNLIMITED;

/// Leader 1 has three batches, each nearly as large as one fetch, that follower 2 does not have.
async fn behind(log_config: LogConfig) -> TestCluster {
    let mut cluster = TestCluster::start_with(2, log_config).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    let large = "x".repeat(900_000);
    for _ in 0..3 {
        cluster.produce_ok(1, 0, -1, &[&large]).await;
    }
    cluster
}

fn rates(leader: u64, follower: u64) -> BrokerConfig {
    let mut config = BrokerConfig::for_test(1, std::path::Path::new("/unused"));
    config.leader_replication_throttled_rate = leader;
    config.follower_replication_throttled_rate = follower;
    config
}

/// Follower 2 returns under these rates of both brokers, stands still, and goes on when they are lifted.
async fn stands_still(mut cluster: TestCluster, leader: u64, follower: u64) {
    cluster.brokers[&1].replicas.reconfigure(&rates(leader, follower));
    cluster.start_broker(2).await;
    cluster.brokers[&2].replicas.reconfigure(&rates(leader, follower));
    cluster.update_metadata().await;
    cluster.tell_one(&cluster.brokers[&2], 0, false).await;
    let end = |cluster: &TestCluster| cluster.brokers[&2].log(0).log_end_offset();
    eventually("the first fetch", || end(&cluster) > 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(end(&cluster) < 4, "the quota is exceeded, and time stands still");
    for broker in cluster.brokers.values() {
        broker.replicas.reconfigure(&rates(UNLIMITED, UNLIMITED));
    }
    eventually("the rest", || end(&cluster) == 4).await;
    cluster.shutdown().await;
}

fn throttled(leader: &str, follower: &str) -> LogConfig {
    LogConfig {
        leader_replication_throttled_replicas: leader.to_owned(),
        follower_replication_throttled_replicas: follower.to_owned(),
        ..LogConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_gives_a_throttled_follower_what_the_quota_allows() {
    let cluster = behind(throttled("0:1", "")).await;
    stands_still(cluster, 1, UNLIMITED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_follower_fetches_what_the_quota_allows() {
    let cluster = behind(throttled("", "*")).await;
    stands_still(cluster, UNLIMITED, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_sync_or_not_listed_is_not_throttled() {
    let mut cluster = behind(throttled("0:2,1:1", "0:1")).await;
    for broker in cluster.brokers.values() {
        broker.replicas.reconfigure(&rates(1, 1));
    }
    cluster.start_broker(2).await;
    cluster.update_metadata().await;
    cluster.tell_one(&cluster.brokers[&2], 0, false).await;
    cluster.until_equal(0).await;
    cluster.shutdown().await;

    let cluster = TestCluster::start_with(2, throttled("*", "*")).await;
    cluster.create_partition(0, 1).await;
    for broker in cluster.brokers.values() {
        broker.replicas.reconfigure(&rates(1, 1));
    }
    for _ in 0..10 {
        cluster.produce_ok(1, 0, -1, &["in sync"]).await;
    }
    cluster.until_equal(0).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_consumer_gets_past_control_batches() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let marker = EndTransactionMarker {
        control_type: ControlRecordType::Commit,
        coordinator_epoch: 0,
    };
    for _ in 0..20 {
        let records = BatchBuilder::end_transaction_marker(marker, 7, 0, 1_000);
        let entries = vec![(name(0), records)];
        let replicas = &cluster.brokers[&1].replicas;
        let results = replicas
            .append_records(Duration::ZERO, 1, AppendOrigin::Coordinator, true, entries)
            .await;
        results[0].1.as_ref().unwrap();
    }
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    let partition = FetchPartition::default()
        // Two markers' worth.
        .with_partition_max_bytes(160);
    let topic = FetchTopic::default()
        .with_topic(StrBytes::from_static_str(TOPIC).into())
        .with_partitions(vec![partition]);
    let request = FetchRequest::default().with_min_bytes(1).with_topics(vec![topic]);
    for version in 0..=3 {
        let response = cluster.brokers[&1]
            .client()
            .send(&request, version)
            .await
            .unwrap();
        let records = response.responses[0].partitions[0].records.as_deref().unwrap();
        let first = RecordBatches::new(records).next().unwrap().unwrap();
        assert_eq!(first.last_offset(), 20, "version {version}");
    }
    cluster.shutdown().await;
}

//! DeleteRecords: the start of the log on the leader and on its followers, and when the request is answered.

use std::time::Duration;

use super::cluster::*;
use crate::common::error::ErrorCode;
use crate::common::ids::Offset;
use crate::network::NetworkClient;
use crate::protocol::StrBytes;
use crate::protocol::messages::DeleteRecordsRequest;
use crate::protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

/// Low watermark and error.
async fn delete(
    client: NetworkClient,
    topic: &'static str,
    offset: Offset,
    timeout_ms: i32,
) -> (Offset, ErrorCode) {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(StrBytes::from_static_str(topic).into())
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default()
        .with_timeout_ms(timeout_ms)
        .with_topics(vec![topic]);
    let response = client.send(&request, 2).await;
    let response = response.expect("an answer");
    let result = &response.topics[0].partitions[0];
    (result.low_watermark, ErrorCode::from_code(result.error_code))
}

#[tokio::test]
async fn records_are_gone_once_no_replica_has_them() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a", "b", "c", "d"]).await;
    let wait = 10_000;
    assert_eq!(
        delete(cluster.brokers[&1].client(), TOPIC, 2, wait).await,
        (2, ErrorCode::None)
    );
    for broker in cluster.brokers.values() {
        assert_eq!(broker.log(0).log_start_offset(), 2, "broker {}", broker.id);
    }
    assert_eq!(
        delete(cluster.brokers[&1].client(), TOPIC, 1, wait).await,
        (2, ErrorCode::None),
        "done before"
    );
    for (broker, topic, offset, error) in [
        (1, TOPIC, 5, ErrorCode::OffsetOutOfRange),
        (1, TOPIC, -2, ErrorCode::OffsetOutOfRange),
        (2, TOPIC, 3, ErrorCode::NotLeaderOrFollower),
        (1, "unknown", 3, ErrorCode::UnknownTopicOrPartition),
    ] {
        assert_eq!(
            delete(cluster.brokers[&broker].client(), topic, offset, wait).await,
            (-1, error),
            "{offset}"
        );
    }
    assert_eq!(
        delete(cluster.brokers[&1].client(), TOPIC, -1, wait).await,
        (4, ErrorCode::None)
    );

    // A follower is alive but does not fetch: the leader is done, and knows no more.
    cluster.produce_ok(1, 0, -1, &["e"]).await;
    cluster.until_equal(0).await;
    cluster.brokers[&2].replicas.shutdown().await;
    assert_eq!(
        delete(cluster.brokers[&1].client(), TOPIC, 5, 50).await,
        (4, ErrorCode::RequestTimedOut)
    );
    assert_eq!(cluster.brokers[&1].log(0).log_start_offset(), 5);
    // A dead follower does not count as soon as the leader knows that it is dead.
    let waiting = delete(cluster.brokers[&1].client(), TOPIC, 5, wait);
    tokio::pin!(waiting);
    tokio::select! {
        early = &mut waiting => panic!("{early:?}"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    let dead = cluster.brokers.remove(&2).expect("it was there");
    cluster.update_metadata().await;
    cluster.brokers.insert(2, dead);
    assert_eq!(waiting.await, (5, ErrorCode::None));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_compacted_log_is_not_cut() {
    let mut config = crate::config::LogConfig::default();
    config.cleanup_policy.delete = false;
    config.cleanup_policy.compact = true;
    let cluster = TestCluster::start_with(1, config).await;
    cluster.create_partition(0, 1).await;
    assert_eq!(
        delete(cluster.brokers[&1].client(), TOPIC, 0, 0).await,
        (-1, ErrorCode::PolicyViolation)
    );
    cluster.shutdown().await;
}

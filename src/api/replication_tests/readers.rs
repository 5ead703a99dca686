//! Other readers: Kafka's own tools with their negative ids, old clients for whom records are converted, and replicas
//! that a reassignment adds; and the metrics of all of them.

use super::cluster::*;
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::config::LogConfig;
use crate::protocol::StrBytes;
use crate::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use crate::protocol::messages::{FetchRequest, FetchResponse};
use crate::record::testing::legacy_message;

const DEBUGGER: i32 = -2;
const FUTURE_LOCAL_REPLICA: i32 = -3;

/// The whole partition for a reader of this id, in a version without topic ids.
async fn fetch_as(broker: &TestBroker, reader: i32, version: i16) -> FetchResponse {
    let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(StrBytes::from_static_str(TOPIC).into())
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(reader.into())
        .with_topics(vec![topic]);
    broker.client().send(&request, version).await.unwrap()
}

/// The code, and how many bytes there are.
fn outcome(response: &FetchResponse) -> (ErrorCode, usize) {
    let partition = &response.responses[0].partitions[0];
    (
        ErrorCode::from_code(partition.error_code),
        partition.records.as_ref().map_or(0, bytes::Bytes::len),
    )
}

fn shown(broker: &TestBroker, line: &str) -> f64 {
    let text = broker.metrics.exposition();
    let found = text
        .lines()
        .find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{line} is not shown"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_with_negative_ids_see_what_kafka_shows_them() {
    let mut cluster = TestCluster::start(3).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.until_equal(0).await;
    let one = cluster.brokers[&1].log(0).size() as usize;
    cluster.stop_broker(3).await;
    cluster.produce_ok(1, 0, 1, &["b"]).await;
    let logs = [1, 2].map(|id| cluster.brokers[&id].log(0));
    eventually("broker 2 has both", || logs[1].log_end_offset() == 2).await;
    assert_eq!(logs.each_ref().map(|log| log.high_watermark()), [1, 1]);
    let committed = Ok(one);
    let all = Ok(2 * one);
    let elsewhere = Err(ErrorCode::NotLeaderOrFollower);
    let cases = [
        (-1, 10, committed, elsewhere),
        (-1, 11, committed, committed),
        (DEBUGGER, 4, committed, elsewhere),
        (DEBUGGER, 10, committed, elsewhere),
        (DEBUGGER, 11, committed, committed),
        (FUTURE_LOCAL_REPLICA, 10, all, all),
        (FUTURE_LOCAL_REPLICA, 12, all, all),
    ];
    for (reader, version, at_leader, at_follower) in cases {
        for (broker, expected) in [(1, at_leader), (2, at_follower)] {
            let response = fetch_as(&cluster.brokers[&broker], reader, version).await;
            let seen = match outcome(&response) {
                (ErrorCode::None, bytes) => Ok(bytes),
                (error, _) => Err(error),
            };
            assert_eq!(
                seen, expected,
                "{reader} asks broker {broker} in version {version}"
            );
        }
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_converted_for_followers_even_where_consumers_are_refused() {
    let log_config = LogConfig {
        message_downconversion_enable: false,
        ..LogConfig::default()
    };
    let cluster = TestCluster::start_with(2, log_config).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    let leader = &cluster.brokers[&1];
    for version in 0..=3 {
        let refused = fetch_as(leader, -1, version).await;
        assert_eq!(outcome(&refused).0, ErrorCode::UnsupportedVersion, "{version}");
        let (error, bytes) = outcome(&fetch_as(leader, 2, version).await);
        assert_eq!(error, ErrorCode::None, "{version}");
        assert!(bytes > 0, "{version}");
    }
    assert_eq!(outcome(&fetch_as(leader, -1, 4).await).0, ErrorCode::None);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversions_are_counted_in_both_directions() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let broker = &cluster.brokers[&1];
    let conversions = |api: &str| {
        let line =
            |topic: &str| format!("kafka_server_brokertopicmetrics_{api}messageconversions_total{topic}");
        [
            shown(broker, &line("")),
            shown(broker, &line(&format!("{{topic=\"{TOPIC}\"}}"))),
        ]
    };
    let of_requests = |api: &str, metric: &str| {
        shown(
            broker,
            &format!("kafka_network_requestmetrics_{metric}{{request=\"{api}\"}}"),
        )
    };
    cluster.produce_ok(1, 0, 1, &["a", "b", "c"]).await;
    assert_eq!(conversions("produce"), [0.0, 0.0], "nothing was to be converted");
    let old = [0, 1].map(|offset| legacy_message(offset, 1, 1_000, None, Some(b"value")));
    let request = produce_request(0, 1, old.concat().into());
    let response = broker.client().send(&request, 2).await.unwrap();
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(conversions("produce"), [2.0, 2.0]);

    assert_eq!(outcome(&fetch_as(broker, -1, 4).await).0, ErrorCode::None);
    assert_eq!(conversions("fetch"), [0.0, 0.0]);
    assert!(outcome(&fetch_as(broker, -1, 1).await).1 > 0);
    assert_eq!(conversions("fetch"), [5.0, 5.0]);
    for api in ["Produce", "Fetch"] {
        let count = "count";
        let times = of_requests(api, &format!("messageconversionstimems_{count}"));
        assert_eq!(times, 2.0, "every request counts");
        assert_eq!(of_requests(api, &format!("temporarymemorybytes_{count}")), 2.0);
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_a_replica_that_is_being_added_is_counted() {
    let cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.until_equal(0).await;
    let moved = |broker: BrokerId, way: &str| {
        shown(
            &cluster.brokers[&broker],
            &format!("kafka_server_brokertopicmetrics_reassignmentbytes{way}_total"),
        )
    };
    let all = || [1, 2].map(|broker| ["in", "out"].map(|way| moved(broker, way)));
    assert_eq!(all(), [[0.0; 2]; 2], "broker 2 is no new replica");

    cluster.elect_silently(0, 1, &[1]);
    let mut request = cluster.leader_and_isr(0, false);
    request.topic_states[0].partition_states[0].adding_replicas = vec![2.into()];
    for broker in cluster.brokers.values() {
        let response = broker.client().send(&request, 7).await.unwrap();
        assert_eq!(response.error_code, 0);
    }
    cluster.produce_ok(1, 0, 1, &["b"]).await;
    cluster.until_equal(0).await;
    let bytes = batch(&["b"]).len() as f64;
    assert_eq!(all(), [[0.0, bytes], [bytes, 0.0]]);
    cluster.shutdown().await;
}

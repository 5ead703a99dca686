//! Fetch, ListOffsets and OffsetForLeaderEpoch of clients, and of followers that send wrong offsets.

use std::time::{Duration, Instant};

use super::cluster::*;
use super::controller::TOPIC_ID;
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicId};
use crate::log::AppendOrigin;
use crate::protocol::StrBytes;
use crate::protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use crate::protocol::messages::fetch_response::PartitionData;
use crate::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::protocol::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, OffsetForLeaderEpochRequest,
};
use crate::record::{BatchBuilder, ControlRecordType, EndTransactionMarker, RecordBatches, RecordReader};

fn wanted(partition: i32, offset: Offset) -> FetchPartition {
    FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
}

fn fetch(partitions: Vec<FetchPartition>) -> FetchRequest {
    let topic = FetchTopic::default()
        .with_topic_id(TOPIC_ID)
        .with_partitions(partitions);
    FetchRequest::default().with_min_bytes(1).with_topics(vec![topic])
}

fn first(response: &FetchResponse) -> &PartitionData {
    &response.responses[0].partitions[0]
}

fn error(response: &FetchResponse) -> ErrorCode {
    ErrorCode::from_code(first(response).error_code)
}

fn values(records: &[u8]) -> Vec<(Offset, String)> {
    let mut values = Vec::new();
    for batch in RecordBatches::new(records) {
        let batch = batch.expect("a whole batch");
        let mut reader = RecordReader::new(&batch, 1 << 20).expect("records");
        while let Some(record) = reader.next().expect("a record") {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            values.push((record.offset, value));
        }
    }
    values
}

/// Everything that a consumer can read from a broker, leader or not.
pub async fn read_all(broker: &TestBroker, partition: i32) -> Vec<(Offset, String)> {
    let client = broker.client();
    let mut all = Vec::new();
    loop {
        let next = all.last().map_or(0, |(offset, _)| offset + 1);
        let response = client
            .send(&fetch(vec![wanted(partition, next)]), 17)
            .await
            .unwrap();
        assert_eq!(error(&response), ErrorCode::None);
        let read = values(first(&response).records.as_deref().unwrap_or_default());
        if read.is_empty() {
            return all;
        }
        all.extend(read.into_iter().filter(|(offset, _)| *offset >= next));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_waits_is_answered_when_the_high_watermark_moves() {
    let cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    let client = cluster.brokers[&1].client();
    let request = fetch(vec![wanted(0, 0)]).with_max_wait_ms(60_000);
    let waiting = tokio::spawn(async move { client.send(&request, 17).await });
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    let response = waiting.await.unwrap().unwrap();
    assert_eq!(
        values(first(&response).records.as_deref().unwrap()),
        [(0, "a".to_owned())]
    );
    assert_eq!(first(&response).high_watermark, 1);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_no_longer_than_it_wants_to() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let begin = Instant::now();
    let request = fetch(vec![wanted(0, 0)]).with_max_wait_ms(100);
    let response = cluster.brokers[&1].client().send(&request, 17).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert_eq!(
        (
            error(&response),
            first(&response).records.as_ref().map(bytes::Bytes::len)
        ),
        (ErrorCode::None, Some(0))
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_see_no_further_than_the_high_watermark() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(2).await;
    cluster.produce_ok(1, 0, 1, &["b"]).await;
    assert_eq!(read_all(&cluster.brokers[&1], 0).await, [(0, "a".to_owned())]);
    let client = cluster.brokers[&1].client();
    let beyond = client.send(&fetch(vec![wanted(0, 2)]), 17).await.unwrap();
    assert_eq!(
        error(&beyond),
        ErrorCode::None,
        "at the end of the log: nothing yet"
    );
    let beyond = client.send(&fetch(vec![wanted(0, 3)]), 17).await.unwrap();
    assert_eq!(error(&beyond), ErrorCode::OffsetOutOfRange);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_but_for_the_first_batch() {
    let cluster = TestCluster::start(1).await;
    for partition in [0, 1] {
        cluster.create_partition(partition, 1).await;
        for _ in 0..3 {
            cluster.produce_ok(1, partition, -1, &[&"x".repeat(1_000)]).await;
        }
    }
    let client = cluster.brokers[&1].client();
    let sizes = |response: FetchResponse| -> Vec<usize> {
        let partitions = response.responses.iter().flat_map(|t| &t.partitions);
        partitions
            .map(|p| p.records.as_ref().map_or(0, bytes::Bytes::len))
            .collect()
    };
    let both = |max_bytes| fetch(vec![wanted(0, 0), wanted(1, 0)]).with_max_bytes(max_bytes);
    let one = sizes(client.send(&both(1), 17).await.unwrap());
    assert!(
        one[0] > 1_000 && one[0] < 2_000 && one[1] == 0,
        "one batch, in spite of the limit: {one:?}"
    );
    let all = sizes(client.send(&both(i32::MAX), 17).await.unwrap());
    assert_eq!(all, [one[0] * 3, one[0] * 3]);
    let none = sizes(client.send(&both(-1), 17).await.unwrap());
    assert_eq!(none, one, "a negative limit is none at all");
    let by_partition = fetch(vec![
        wanted(0, 0).with_partition_max_bytes(1),
        wanted(1, 0).with_partition_max_bytes(1),
    ]);
    assert_eq!(sizes(client.send(&by_partition, 17).await.unwrap()), one);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_is_refused() {
    let cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.elect(0, 1, &[1, 2]).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    let (leader, follower) = (cluster.brokers[&1].client(), cluster.brokers[&2].client());
    let epoch = |epoch| fetch(vec![wanted(0, 0).with_current_leader_epoch(epoch)]);
    assert_eq!(
        error(&leader.send(&epoch(0), 17).await.unwrap()),
        ErrorCode::FencedLeaderEpoch
    );
    assert_eq!(error(&leader.send(&epoch(1), 17).await.unwrap()), ErrorCode::None);
    assert_eq!(
        error(&leader.send(&epoch(2), 17).await.unwrap()),
        ErrorCode::UnknownLeaderEpoch
    );
    let mut other_topic = fetch(vec![wanted(0, 0)]);
    other_topic.topics[0].topic_id = TopicId::from_u128(99);
    assert_eq!(
        error(&leader.send(&other_topic, 17).await.unwrap()),
        ErrorCode::UnknownTopicId
    );
    assert_eq!(
        error(&leader.send(&fetch(vec![wanted(9, 0)]), 17).await.unwrap()),
        ErrorCode::UnknownTopicOrPartition
    );
    let mut by_name = fetch(vec![wanted(0, 0)]);
    by_name.topics[0].topic_id = TopicId::nil();
    by_name.topics[0].topic = StrBytes::from_static_str(TOPIC).into();
    let elsewhere = follower.send(&by_name, 10).await.unwrap();
    assert_eq!(
        error(&elsewhere),
        ErrorCode::NotLeaderOrFollower,
        "version 10 knows nothing of reading from followers"
    );
    assert_eq!(
        error(&follower.send(&by_name, 11).await.unwrap()),
        ErrorCode::None
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_that_lie() {
    let mut cluster = TestCluster::start(3).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    for id in [2, 3] {
        cluster.stop_broker(id).await;
    }
    cluster.elect(0, 1, &[1, 2]).await;
    cluster.produce_ok(1, 0, 1, &["b"]).await;
    let client = cluster.brokers[&1].client();
    let replica = |id: i32, partition: FetchPartition| {
        fetch(vec![partition]).with_replica_state(ReplicaState::default().with_replica_id(id.into()))
    };
    let believing = |offset, last: i32| {
        wanted(0, offset)
            .with_current_leader_epoch(1)
            .with_last_fetched_epoch(last)
    };
    let stranger = client.send(&replica(77, believing(0, -1)), 17).await.unwrap();
    assert_eq!(
        error(&stranger),
        ErrorCode::UnknownLeaderEpoch,
        "a replica that is not assigned (fact 40)"
    );
    let beyond = client.send(&replica(2, believing(1_000, -1)), 17).await.unwrap();
    assert_eq!(error(&beyond), ErrorCode::OffsetOutOfRange);
    let diverging = client.send(&replica(2, believing(1_000, 0)), 17).await.unwrap();
    assert_eq!(error(&diverging), ErrorCode::None);
    let told = &first(&diverging).diverging_epoch;
    assert_eq!((told.epoch, told.end_offset), (0, 1), "epoch 0 ended at 1");
    assert!(
        first(&diverging)
            .records
            .as_ref()
            .is_none_or(bytes::Bytes::is_empty)
    );
    let unknown = client.send(&replica(2, believing(1, 50)), 17).await.unwrap();
    assert_eq!(
        error(&unknown),
        ErrorCode::OffsetOutOfRange,
        "an epoch that never was"
    );
    assert_eq!(
        cluster.brokers[&1].log(0).high_watermark(),
        1,
        "none of this counted as replication (fact 34)"
    );
    let honest = client.send(&replica(2, believing(1, 0)), 17).await.unwrap();
    assert_eq!(
        values(first(&honest).records.as_deref().unwrap()),
        [(1, "b".to_owned())]
    );
    client.send(&replica(2, believing(2, 1)), 17).await.unwrap();
    assert_eq!(cluster.brokers[&1].log(0).high_watermark(), 2);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_consumers_get_the_old_formats() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a", "b"]).await;
    let client = cluster.brokers[&1].client();
    let mut request = fetch(vec![wanted(0, 0)]);
    request.topics[0].topic_id = TopicId::nil();
    request.topics[0].topic = StrBytes::from_static_str(TOPIC).into();
    for (version, magic) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (12, 2)] {
        let response = client.send(&request, version).await.unwrap();
        let records = first(&response).records.as_deref().unwrap();
        assert_eq!(records[16], magic, "version {version}");
        assert_eq!(
            values(records),
            [(0, "a".to_owned()), (1, "b".to_owned())],
            "version {version}"
        );
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_by_time_and_by_epoch() {
    let cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a", "b"]).await;
    cluster.elect(0, 1, &[1, 2]).await;
    cluster.produce_ok(1, 0, -1, &["c"]).await;
    let (leader, follower) = (cluster.brokers[&1].client(), cluster.brokers[&2].client());
    let list = |timestamp| {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(StrBytes::from_static_str(TOPIC).into())
            .with_partitions(vec![partition]);
        ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_topics(vec![topic])
    };
    for (timestamp, version, expected) in [
        (-1, 9, (0, 3, 1)),
        (-2, 9, (0, 0, 0)),
        (-3, 9, (0, 0, 0)),
        (-3, 6, (35, -1, -1)),
        (-4, 9, (0, 0, 0)),
        (-5, 9, (0, -1, -1)),
        (1_000, 9, (0, 0, 0)),
        (1_001, 9, (0, -1, -1)),
    ] {
        let response = leader.send(&list(timestamp), version).await.unwrap();
        let found = &response.topics[0].partitions[0];
        assert_eq!(
            (found.error_code, found.offset, found.leader_epoch),
            expected,
            "{timestamp} in {version}"
        );
    }
    let elsewhere = follower.send(&list(-1), 9).await.unwrap();
    assert_eq!(
        elsewhere.topics[0].partitions[0].error_code,
        ErrorCode::NotLeaderOrFollower.code()
    );
    let mut old = list(-1);
    old.topics[0].partitions[0].max_num_offsets = 10;
    let old = leader.send(&old, 0).await.unwrap();
    assert_eq!(old.topics[0].partitions[0].old_style_offsets, [3, 0]);
    let mut twice = list(-1);
    let partition = twice.topics[0].partitions[0].clone();
    twice.topics[0].partitions.push(partition);
    let twice = leader.send(&twice, 9).await.unwrap();
    assert!(
        twice.topics[0]
            .partitions
            .iter()
            .all(|p| p.error_code == ErrorCode::InvalidRequest.code())
    );

    for (epoch, expected) in [(0, (0, 2)), (1, (1, 3)), (7, (-1, -1))] {
        let partition = OffsetForLeaderPartition::default()
            .with_leader_epoch(epoch)
            .with_current_leader_epoch(1);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(StrBytes::from_static_str(TOPIC).into())
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default()
            .with_replica_id((-1).into())
            .with_topics(vec![topic]);
        let response = leader.send(&request, 4).await.unwrap();
        let end = &response.topics[0].partitions[0];
        assert_eq!(
            (end.error_code, (end.leader_epoch, end.end_offset)),
            (0, expected),
            "epoch {epoch}"
        );
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_says_that_it_does_not_know_the_latest_offset_yet() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(2).await;
    cluster.produce_ok(1, 0, 1, &["b"]).await;
    cluster.elect(0, 1, &[1, 2]).await;
    let client = cluster.brokers[&1].client();
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(StrBytes::from_static_str(TOPIC).into())
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic]);
    for (version, expected) in [
        (9, ErrorCode::OffsetNotAvailable),
        (4, ErrorCode::LeaderNotAvailable),
    ] {
        let response = client.send(&request, version).await.unwrap();
        assert_eq!(
            response.topics[0].partitions[0].error_code,
            expected.code(),
            "version {version}"
        );
    }
    cluster.shutdown().await;
}

/// A record of a transaction, and the marker that ends it: appended to the log only, so that it becomes visible with
/// what is produced next.
fn append_to_transaction(broker: &TestBroker, sequence: Option<i32>) {
    let records = match sequence {
        Some(sequence) => {
            let mut batch = BatchBuilder::new(0).producer(7, 0, sequence).transactional(true);
            batch.append(1_000, None, Some(b"t"), &[]);
            batch.build()
        }
        None => {
            let marker = EndTransactionMarker {
                control_type: ControlRecordType::Commit,
                coordinator_epoch: 0,
            };
            BatchBuilder::end_transaction_marker(marker, 7, 0, 1_000)
        }
    };
    let origin = match sequence {
        Some(_) => AppendOrigin::Client,
        None => AppendOrigin::Coordinator,
    };
    broker.log(0).append_as_leader(records, 0, origin).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_open_transaction_do_not_count_for_readers_of_committed_records() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let broker = &cluster.brokers[&1];
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    let size_of_one = broker.log(0).size() as i32;
    append_to_transaction(broker, Some(0));
    cluster.produce_ok(1, 0, -1, &["b"]).await;
    assert_eq!(
        (broker.log(0).last_stable_offset(), broker.log(0).high_watermark()),
        (1, 3)
    );
    let committed = |min_bytes, max_wait_ms| {
        fetch(vec![wanted(0, 0)])
            .with_isolation_level(1)
            .with_min_bytes(min_bytes)
            .with_max_wait_ms(max_wait_ms)
    };
    let records = |response: &FetchResponse| values(first(response).records.as_deref().unwrap_or_default());

    let begin = Instant::now();
    let response = broker
        .client()
        .send(&committed(size_of_one + 1, 200), 17)
        .await
        .unwrap();
    assert!(
        begin.elapsed() >= Duration::from_millis(200),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(records(&response), [(0, "a".to_owned())]);

    let client = broker.client();
    let request = committed(size_of_one + 1, 60_000);
    let waiting = tokio::spawn(async move { client.send(&request, 17).await });
    let waits = || broker.replicas.metrics().delayed_fetch > 0;
    eventually("the fetch waits", waits).await;
    cluster.produce_ok(1, 0, -1, &["c"]).await;
    assert!(waits(), "what is behind the open transaction is of no use");
    append_to_transaction(broker, None);
    cluster.produce_ok(1, 0, -1, &["d"]).await;
    let response = waiting.await.unwrap().unwrap();
    assert_eq!(first(&response).last_stable_offset, 6);
    cluster.shutdown().await;
}

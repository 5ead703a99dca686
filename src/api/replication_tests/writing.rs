//! Produce: acks, the minimal ISR, and the right to write.

use std::time::Duration;

use super::cluster::*;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::log::AppendOrigin;
use crate::protocol::StrBytes;
use crate::protocol::messages::ProduceResponse;
use crate::record::BatchBuilder;
use crate::replica::AppendEntry;

fn error(response: &ProduceResponse) -> ErrorCode {
    ErrorCode::from_code(response.responses[0].partition_responses[0].error_code)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_on_every_replica_byte_for_byte() {
    let cluster = TestCluster::start(3).await;
    cluster.create_partition(0, 1).await;
    assert_eq!(cluster.produce_ok(1, 0, -1, &["a", "b"]).await, 0);
    for broker in cluster.brokers.values() {
        assert_eq!(
            broker.log(0).log_end_offset(),
            2,
            "acks=all waited for broker {}",
            broker.id
        );
    }
    assert_eq!(cluster.brokers[&1].log(0).high_watermark(), 2);
    assert_eq!(cluster.produce_ok(1, 0, 1, &["c"]).await, 2);
    cluster.until_equal(0).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_0_is_not_answered_and_a_failure_closes_the_connection() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let client = cluster.brokers[&1].client();
    let log = cluster.brokers[&1].log(0);
    // No answer comes, so the client's next request is what the answer belongs to: ask on another connection.
    let silent = tokio::spawn(async move { client.send(&produce_request(0, 0, batch(&["a"])), 11).await });
    eventually("the record is there", || log.log_end_offset() == 1).await;
    silent.abort();
    let client = cluster.brokers[&1].client();
    let closed = client.send(&produce_request(7, 0, batch(&["a"])), 11).await;
    assert!(closed.is_err(), "there is no partition 7: {closed:?}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_producer_is_refused() {
    let cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    assert_eq!(
        error(&cluster.produce(1, 0, 7, &["a"]).await),
        ErrorCode::InvalidRequiredAcks
    );
    assert_eq!(
        error(&cluster.produce(1, 9, 1, &["a"]).await),
        ErrorCode::UnknownTopicOrPartition
    );
    let elsewhere = cluster.produce(2, 0, 1, &["a"]).await;
    assert_eq!(error(&elsewhere), ErrorCode::NotLeaderOrFollower);
    let hint = &elsewhere.responses[0].partition_responses[0].current_leader;
    assert_eq!((hint.leader_id.0, hint.leader_epoch), (1, 0), "KIP-951");
    assert_eq!(
        elsewhere
            .node_endpoints
            .iter()
            .map(|n| n.node_id.0)
            .collect::<Vec<_>>(),
        [1]
    );
    let mut corrupt = batch(&["a"]).to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    let client = cluster.brokers[&1].client();
    let response = client
        .send(&produce_request(0, 1, corrupt.into()), 11)
        .await
        .unwrap();
    assert_eq!(error(&response), ErrorCode::CorruptMessage);
    let response = client
        .send(&produce_request(0, 1, bytes::Bytes::new()), 11)
        .await
        .unwrap();
    assert_eq!(error(&response), ErrorCode::InvalidRecord);
    let two = [batch(&["a"]), batch(&["b"])].concat();
    let response = client.send(&produce_request(0, 1, two.into()), 11).await.unwrap();
    assert_eq!(error(&response), ErrorCode::InvalidRecord);
    assert_eq!(cluster.brokers[&1].log(0).log_end_offset(), 0);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_small_an_isr_refuses_acks_all_and_nothing_else() {
    let mut cluster = TestCluster::start(2).await;
    cluster.log_config.min_insync_replicas = 2;
    for id in [1, 2] {
        cluster.stop_broker(id).await;
        cluster.start_broker(id).await;
    }
    cluster.update_metadata().await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    assert_eq!(
        error(&cluster.produce(1, 0, -1, &["b"]).await),
        ErrorCode::NotEnoughReplicas
    );
    let log = cluster.brokers[&1].log(0);
    assert_eq!(log.log_end_offset(), 1, "refused before the append");
    assert_eq!(cluster.produce_ok(1, 0, 1, &["c"]).await, 1);
    assert_eq!(
        (log.log_end_offset(), log.high_watermark()),
        (2, 1),
        "the high watermark stands still (fact 38)"
    );
    cluster.start_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    eventually("broker 2 is back in the isr", || cluster.isr(0) == [1, 2]).await;
    cluster.produce_ok(1, 0, -1, &["d"]).await;
    cluster.until_equal(0).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_that_do_not_come_make_a_producer_wait_until_its_time_is_up() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(2).await;
    let client = cluster.brokers[&1].client();
    let request = produce_request(0, -1, batch(&["b"])).with_timeout_ms(100);
    let response = client.send(&request, 11).await.unwrap();
    assert_eq!(error(&response), ErrorCode::RequestTimedOut);
    assert_eq!(cluster.brokers[&1].log(0).log_end_offset(), 2, "the record stays");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_waits_learns_that_the_leader_leads_no_more() {
    let mut cluster = TestCluster::start(3).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(3).await;
    let client = cluster.brokers[&1].client();
    let waiting = tokio::spawn(async move { client.send(&produce_request(0, -1, batch(&["b"])), 11).await });
    eventually("it was appended", || {
        cluster.brokers[&1].log(0).log_end_offset() == 2
    })
    .await;
    cluster.elect(0, 2, &[2]).await;
    assert_eq!(
        error(&waiting.await.unwrap().unwrap()),
        ErrorCode::NotLeaderOrFollower
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactional_records_are_appended_only_if_their_transaction_can_be_verified() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    cluster.create_partition(1, 1).await;
    let client = cluster.brokers[&1].client();
    let batch_of = |producer| {
        let mut batch = BatchBuilder::new(0).producer(producer, 0, 0).transactional(true);
        batch.append(1_000, None, Some(b"v"), &[]);
        batch.build()
    };
    let id = || Some(StrBytes::from_static_str("tx").into());
    let anonymous = produce_request(0, -1, batch_of(7));
    let no_coordinator = anonymous.clone().with_transactional_id(id());
    let mut two_producers = no_coordinator.clone();
    let other = produce_request(1, -1, batch_of(8)).topic_data.remove(0);
    two_producers.topic_data[0]
        .partition_data
        .extend(other.partition_data);
    let silent = anonymous.clone().with_acks(0);
    let cases = [
        (anonymous, ErrorCode::TransactionalIdAuthorizationFailed),
        (no_coordinator, ErrorCode::NotEnoughReplicas),
        (two_producers, ErrorCode::InvalidProducerIdMapping),
    ];
    for (request, expected) in cases {
        let response = client.send(&request, 11).await.unwrap();
        assert_eq!(error(&response), expected);
        assert_eq!(cluster.brokers[&1].log(0).log_end_offset(), 0);
    }
    assert!(
        client.send(&silent, 11).await.is_err(),
        "the connection is closed"
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_producer_is_told_where_the_log_begins() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let client = cluster.brokers[&1].client();
    for _ in 0..3 {
        cluster.produce_ok(1, 0, 1, &["a"]).await;
    }
    let log = cluster.brokers[&1].log(0);
    log.maybe_increment_log_start_offset(2).unwrap();
    let batch_of = |epoch, sequence| {
        let mut batch = BatchBuilder::new(0).producer(7, epoch, sequence);
        batch.append(1_000, None, Some(b"v"), &[]);
        batch.build()
    };
    let mut corrupt = batch_of(1, 0).to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    let cases = [
        (batch_of(1, 0), ErrorCode::None, 2),
        (batch_of(1, 5), ErrorCode::OutOfOrderSequenceNumber, 2),
        (batch_of(0, 1), ErrorCode::InvalidProducerEpoch, 2),
        (corrupt.into(), ErrorCode::CorruptMessage, -1),
    ];
    for (records, code, log_start_offset) in cases {
        let response = client.send(&produce_request(0, 1, records), 11).await.unwrap();
        let refused = &response.responses[0].partition_responses[0];
        assert_eq!(
            (error(&response), refused.log_start_offset),
            (code, log_start_offset)
        );
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_write_to_no_internal_topic_and_delete_nothing_from_it() {
    let cluster = TestCluster::start(1).await;
    let replicas = &cluster.brokers[&1].replicas;
    let second = Duration::from_secs(1);
    for topic in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
        let partition = TopicPartition::new(topic, 0);
        let entry = AppendEntry::new(partition.clone(), batch(&["a"]));
        let appended = replicas
            .append_records(second, 1, AppendOrigin::Client, false, vec![entry.clone()])
            .await;
        let refused = appended.into_iter().map(|(_, result)| result.unwrap_err().code);
        assert_eq!(
            refused.collect::<Vec<_>>(),
            [ErrorCode::InvalidTopicException],
            "{topic}"
        );
        let deleted = replicas.delete_records(second, vec![(partition, 0)]).await;
        assert_eq!(deleted[0].1.error, ErrorCode::InvalidTopicException, "{topic}");
        // The broker itself is refused only because there is no such partition here.
        let appended = replicas
            .append_records(second, 1, AppendOrigin::Client, true, vec![entry])
            .await;
        let code = appended[0].1.as_ref().unwrap_err().code;
        assert_eq!(code, ErrorCode::UnknownTopicOrPartition, "{topic}");
    }
    cluster.shutdown().await;
}

//! What the stories share: short constructors for requests of any version, and transactional ids in a given state.

use std::time::Duration;

use anyhow::Result;
use barnabas::parts::BatchBuilder;
use barnabas_testcontainers::Broker;
use barnabas_testcontainers::parity::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use barnabas_testcontainers::parity::messages::describe_producers_request::TopicRequest;
use barnabas_testcontainers::parity::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use barnabas_testcontainers::parity::messages::produce_request::{PartitionProduceData, TopicProduceData};
use barnabas_testcontainers::parity::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use barnabas_testcontainers::parity::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use barnabas_testcontainers::parity::{Story, messages::*};
use barnabas_testcontainers::wait::wait_for;
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

pub const LIMIT: Duration = Duration::from_secs(20);
/// A time in milliseconds that is longer than the test takes.
pub const LONG_MS: i32 = 300_000;

pub fn configure(broker: Broker) -> Broker {
    broker
        .with("transaction.state.log.num.partitions", 3)
        .with("offsets.topic.num.partitions", 3)
        .with("group.initial.rebalance.delay.ms", 0)
        .with("group.min.session.timeout.ms", 300)
        .with("offset.metadata.max.bytes", 100)
        .with("transaction.abort.timed.out.transaction.cleanup.interval.ms", 200)
        .with("transactional.id.expiration.ms", crate::loading::EXPIRATION_MS)
        .with("transaction.remove.expired.transaction.cleanup.interval.ms", 500)
}

pub fn text(text: &str) -> StrBytes {
    text.to_owned().into()
}

pub fn tx(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A producer: its id and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

impl Producer {
    pub fn new(id: i64, epoch: i16) -> Self {
        Self { id, epoch }
    }

    /// The same producer with an epoch that is higher by `epochs`.
    pub fn later(self, epochs: i16) -> Self {
        Self {
            epoch: self.epoch + epochs,
            ..self
        }
    }

    /// The producer in a response to InitProducerId.
    pub fn of(response: &InitProducerIdResponse) -> Self {
        Self::new(response.producer_id.0, response.producer_epoch)
    }
}

/// A producer id that no producer has.
pub const STRANGER: i64 = 1_000_000_000_000;

pub fn init(id: Option<&str>, timeout_ms: i32) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(id.map(tx))
        .with_transaction_timeout_ms(timeout_ms)
}

/// The InitProducerId request of a producer that already has an id and epoch (version 3 and later).
pub fn init_again(id: &str, producer: Producer) -> InitProducerIdRequest {
    init(Some(id), LONG_MS)
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
}

pub type Partitions<'a> = &'a [(&'a str, &'a [i32])];

fn topics_to_add(partitions: Partitions) -> Vec<AddPartitionsToTxnTopic> {
    let one = |(name, indexes): &(&str, &[i32])| {
        AddPartitionsToTxnTopic::default()
            .with_name(topic(name))
            .with_partitions(indexes.to_vec())
    };
    partitions.iter().map(one).collect()
}

/// One transaction in a request of version 4 and later.
pub fn adding(
    id: &str,
    producer: Producer,
    verify_only: bool,
    partitions: Partitions,
) -> AddPartitionsToTxnTransaction {
    AddPartitionsToTxnTransaction::default()
        .with_transactional_id(tx(id))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_verify_only(verify_only)
        .with_topics(topics_to_add(partitions))
}

pub fn add(id: &str, version: i16, producer: Producer, partitions: Partitions) -> AddPartitionsToTxnRequest {
    match version {
        ..4 => AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(tx(id))
            .with_v3_and_below_producer_id(ProducerId(producer.id))
            .with_v3_and_below_producer_epoch(producer.epoch)
            .with_v3_and_below_topics(topics_to_add(partitions)),
        _ => add_many(vec![adding(id, producer, false, partitions)]),
    }
}

pub fn add_many(transactions: Vec<AddPartitionsToTxnTransaction>) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest::default().with_transactions(transactions)
}

pub fn add_offsets(id: &str, producer: Producer, group: &str) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest::default()
        .with_transactional_id(tx(id))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_group_id(GroupId(text(group)))
}

pub fn end(id: &str, producer: Producer, commit: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(tx(id))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_committed(commit)
}

pub fn describe(ids: &[&str]) -> DescribeTransactionsRequest {
    DescribeTransactionsRequest::default().with_transactional_ids(ids.iter().map(|id| tx(id)).collect())
}

pub fn describe_producers(partitions: Partitions) -> DescribeProducersRequest {
    let one = |(name, indexes): &(&str, &[i32])| {
        TopicRequest::default()
            .with_name(topic(name))
            .with_partition_indexes(indexes.to_vec())
    };
    DescribeProducersRequest::default().with_topics(partitions.iter().map(one).collect())
}

/// A marker as a coordinator with this epoch sends it.
pub fn marker(
    producer: Producer,
    commit: bool,
    coordinator_epoch: i32,
    partitions: Partitions,
) -> WritableTxnMarker {
    let one = |(name, indexes): &(&str, &[i32])| {
        WritableTxnMarkerTopic::default()
            .with_name(topic(name))
            .with_partition_indexes(indexes.to_vec())
    };
    WritableTxnMarker::default()
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_transaction_result(commit)
        .with_coordinator_epoch(coordinator_epoch)
        .with_topics(partitions.iter().map(one).collect())
}

pub fn markers(markers: Vec<WritableTxnMarker>) -> WriteTxnMarkersRequest {
    WriteTxnMarkersRequest::default().with_markers(markers)
}

/// The request that adds a group's offsets to a transaction. They apply when the transaction is committed.
pub fn commit_offsets(
    id: &str,
    producer: Producer,
    group: &str,
    offsets: &[(&str, i32, i64, &str)],
) -> TxnOffsetCommitRequest {
    let mut topics: Vec<TxnOffsetCommitRequestTopic> = Vec::new();
    for &(name, index, offset, note) in offsets {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text(note)));
        match topics.iter_mut().find(|topic| &**topic.name == name) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(
                TxnOffsetCommitRequestTopic::default()
                    .with_name(topic(name))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    TxnOffsetCommitRequest::default()
        .with_transactional_id(tx(id))
        .with_group_id(GroupId(text(group)))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_topics(topics)
}

/// A batch of `count` records.
pub fn batch(producer: Producer, sequence: i32, count: i32, is_transactional: bool, now_ms: i64) -> Bytes {
    let mut batch = BatchBuilder::new(0)
        .producer(producer.id, producer.epoch, sequence)
        .transactional(is_transactional);
    for n in 0..count {
        batch.append(now_ms, None, Some(format!("{n}").as_bytes()), &[]);
    }
    batch.build()
}

pub fn produce(id: Option<&str>, acks: i16, records: &[(&str, i32, Bytes)]) -> ProduceRequest {
    let mut topics: Vec<TopicProduceData> = Vec::new();
    for (name, index, records) in records {
        let data = PartitionProduceData::default()
            .with_index(*index)
            .with_records(Some(records.clone()));
        match topics.iter_mut().find(|topic| &**topic.name == *name) {
            Some(topic) => topic.partition_data.push(data),
            None => topics.push(
                TopicProduceData::default()
                    .with_name(topic(name))
                    .with_partition_data(vec![data]),
            ),
        }
    }
    ProduceRequest::default()
        .with_transactional_id(id.map(tx))
        .with_acks(acks)
        .with_timeout_ms(10_000)
        .with_topic_data(topics)
}

/// The request for the end offset that readers of committed records see.
pub fn committed_end(name: &str, partition: i32) -> ListOffsetsRequest {
    let latest = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(topic(name))
        .with_partitions(vec![latest]);
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(1)
        .with_topics(vec![topic])
}

/// Waits until a transaction has this state.
pub async fn until(story: &Story, id: &str, state: &str) -> Result<()> {
    let expected = format!("{id} to be {state}");
    wait_for(&expected, LIMIT, || async {
        let answer = story.peek(0, describe(&[id])).await.ok()?;
        (&*answer.transaction_states[0].transaction_state == state).then_some(())
    })
    .await
}

/// The partition for transactions that must not end: see [`block`].
pub const STUCK: Partitions<'static> = &[("stuck", &[0])];

/// Writes a marker with a later epoch of the producer to the partition, so that the leader refuses the coordinator's
/// markers.
pub async fn block(story: &Story, producer: Producer) -> Result<()> {
    let later = marker(producer.later(50), false, 0, STUCK);
    story.ask("blocking its end", 1, markers(vec![later])).await?;
    Ok(())
}

/// Brings a transactional id to a state. Returns its producer.
pub async fn bring(story: &Story, id: &str, state: &str) -> Result<Producer> {
    let step = format!("bringing it to {state}");
    // Two requests, so that the epoch before the producer's also belonged to a producer.
    story.ask(&step, 2, init(Some(id), LONG_MS)).await?;
    let initialized = story.ask(&step, 2, init(Some(id), LONG_MS)).await?;
    let producer = Producer::of(&initialized);
    if state == "Empty" {
        return Ok(producer);
    }
    let partitions: Partitions = match state {
        "PrepareCommit" | "PrepareAbort" => STUCK,
        _ => &[("t", &[0, 1])],
    };
    story
        .ask(
            &format!("bringing it to {state}"),
            2,
            add(id, 2, producer, partitions),
        )
        .await?;
    if state != "Ongoing" {
        if partitions == STUCK {
            block(story, producer).await?;
        }
        let commit = state.ends_with("Commit");
        story
            .ask(&format!("bringing it to {state}"), 2, end(id, producer, commit))
            .await?;
        until(story, id, state).await?;
    }
    Ok(producer)
}

/// Creates the topics and waits until the coordinators answer.
pub async fn prepare(story: Story) -> Result<()> {
    let cluster = story.cluster();
    cluster.create_topic("t", 3, 1, &[]).await?;
    cluster.create_topic("p", 40, 1, &[]).await?;
    cluster.create_topic("stuck", 1, 1, &[]).await?;
    for (key_type, key) in [(0, "g"), (1, "x")] {
        wait_for("coordinators", LIMIT, || async {
            let ask = FindCoordinatorRequest::default()
                .with_key(text(key))
                .with_key_type(key_type);
            let answer = story.peek(1, ask).await.ok()?;
            (answer.error_code == 0).then_some(())
        })
        .await?;
    }
    ready(&story).await
}

/// Waits until both coordinators answer for all their partitions and the broker can give out producer ids.
pub async fn ready(story: &Story) -> Result<()> {
    // The coordinators load each partition of the topics separately.
    for id in ["a", "b", "c", "d", "e", "f"] {
        wait_for("a loaded coordinator", LIMIT, || async {
            let answer = story.peek(0, describe(&[id])).await.ok()?;
            let not_found = 105;
            let describe = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(id))]);
            let group = story.peek(0, describe).await.ok()?;
            (answer.transaction_states[0].error_code == not_found && group.groups[0].error_code == 0)
                .then_some(())
        })
        .await?;
    }
    wait_for("producer ids", LIMIT, || async {
        let answer = story.peek(0, init(None, 0)).await.ok()?;
        (answer.error_code == 0).then_some(())
    })
    .await
}

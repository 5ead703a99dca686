//! Test support: a coordinator with a log in memory, brokers with scripted answers, and a paused clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicI32;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;

use super::super::*;
use crate::common::clock::ManualClock;
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch};
use crate::config::{Endpoint, SecurityProtocol};
use crate::coordinator::memory_log::MemoryLog;
use crate::coordinator::producer_ids::ProducerIdBlocks;
use crate::coordinator::transaction::log;
use crate::metadata::{BrokerMetadata, PartitionMetadata};
use crate::network::{ChannelBuilder, NetworkClient, NetworkError, NodeToControllerError};
use crate::protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use crate::record::{RecordBatches, RecordReader};

pub(super) const PARTITIONS: i32 = 3;
pub(super) const ID: &str = "tx-1";
pub(super) const TIMEOUT_MS: i32 = 60_000;
pub(super) const EPOCH: LeaderEpoch = 5;

struct OneBlock;

impl ProducerIdBlocks for OneBlock {
    fn allocate(&self) -> BoxFuture<'static, Result<(ProducerId, i32), NodeToControllerError>> {
        async { Ok((1000, 1000)) }.boxed()
    }
}

/// Leaders that accept every marker, except for scripted error codes.
#[derive(Clone, Default)]
pub(super) struct Leaders(pub(super) Arc<Mutex<LeadersState>>);

#[derive(Default)]
pub(super) struct LeadersState {
    /// Every sent marker: broker, producer epoch, coordinator epoch, commit, partitions.
    pub(super) sent: Vec<(i32, i16, i32, bool, Vec<i32>)>,
    /// The error codes for the next markers of a partition, in place of NONE.
    pub(super) codes: BTreeMap<i32, VecDeque<ErrorCode>>,
    pub(super) is_down: bool,
}

impl Leaders {
    pub(super) fn say(&self, partition: i32, codes: &[ErrorCode]) {
        self.0
            .lock()
            .codes
            .insert(partition, codes.iter().copied().collect());
    }

    pub(super) fn sent(&self) -> usize {
        self.0.lock().sent.len()
    }
}

impl MarkerSender for Leaders {
    fn send(
        &self,
        client: Arc<NetworkClient>,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'static, Result<WriteTxnMarkersResponse, NetworkError>> {
        let mut state = self.0.lock();
        let mut results = Vec::new();
        for marker in request.markers {
            let partitions: Vec<i32> = marker
                .topics
                .iter()
                .flat_map(|t| t.partition_indexes.clone())
                .collect();
            state.sent.push((
                client.address().id,
                marker.producer_epoch,
                marker.coordinator_epoch,
                marker.transaction_result,
                partitions,
            ));
            let topics = marker.topics.into_iter().map(|topic| {
                let mut result = |index: i32| {
                    let next = state.codes.get_mut(&index).and_then(VecDeque::pop_front);
                    WritableTxnMarkerPartitionResult::default()
                        .with_partition_index(index)
                        .with_error_code(next.unwrap_or(ErrorCode::None).code())
                };
                let partitions = topic
                    .partition_indexes
                    .iter()
                    .map(|&index| result(index))
                    .collect();
                WritableTxnMarkerTopicResult::default()
                    .with_partitions(partitions)
                    .with_name(topic.name)
            });
            let topics = topics.collect();
            results.push(
                WritableTxnMarkerResult::default()
                    .with_producer_id(marker.producer_id)
                    .with_topics(topics),
            );
        }
        let response = match state.is_down {
            true => Err(NetworkError::TimedOut(client.address().id)),
            false => Ok(WriteTxnMarkersResponse::default().with_markers(results)),
        };
        async { response }.boxed()
    }
}

pub(super) struct World {
    pub(super) coordinator: Arc<TransactionCoordinator>,
    pub(super) log: MemoryLog,
    pub(super) clock: Arc<ManualClock>,
    pub(super) leaders: Leaders,
    pub(super) metadata: Arc<MetadataCache>,
    /// The current number of partitions of the topic.
    pub(super) partition_count: Arc<AtomicI32>,
}

fn config() -> TransactionConfig {
    TransactionConfig {
        max_timeout_ms: 900_000,
        load_buffer_size: 4096,
        transactional_id_expiration_ms: 3_600_000,
        abort_timed_out_interval: std::time::Duration::from_secs(10),
        remove_expired_interval: std::time::Duration::from_secs(3600),
        request_timeout: std::time::Duration::from_secs(30),
        broker_id: 1,
        inter_broker_listener: "PLAINTEXT".into(),
    }
}

fn broker(id: i32) -> BrokerMetadata {
    BrokerMetadata {
        id,
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".into(),
            security_protocol: SecurityProtocol::Plaintext,
            host: "h".into(),
            port: 9000 + id as u16,
        }],
        rack: None,
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::on(MemoryLog::new()).await
    }

    /// Creates a coordinator of all partitions of a log. Topic `t` has three partitions, led by brokers 0, 1 and 2.
    pub(super) async fn on(log: MemoryLog) -> Self {
        let clock = ManualClock::at(1_700_000_000_000);
        let (leaders, metadata) = (Leaders::default(), Arc::new(MetadataCache::default()));
        let producer_ids = ProducerIdManager::new(OneBlock, clock.clone());
        let partition_count = Arc::new(AtomicI32::new(PARTITIONS));
        let counted = partition_count.clone();
        let count_now = move || ready(Ok(counted.load(Ordering::SeqCst))).boxed();
        let coordinator = TransactionCoordinator::new(
            config(),
            (PARTITIONS, Box::new(count_now)),
            Arc::new(log.clone()),
            clock.clone(),
            metadata.clone(),
            &ChannelBuilder::plaintext(),
            producer_ids,
            Box::new(leaders.clone()),
            &Registry::new(clock.clone()),
        );
        coordinator.states.is_active.store(true, Ordering::SeqCst);
        let world = Self {
            coordinator,
            log,
            clock,
            leaders,
            metadata,
            partition_count,
        };
        for partition in 0..3 {
            world.lead(partition, partition);
        }
        // The first client is refused, because the first block of producer ids has not arrived.
        let _ = world.coordinator.init_producer_id(None, 0, None).await;
        world.elect().await;
        world
    }

    pub(super) async fn elect(&self) {
        for partition in 0..PARTITIONS {
            self.coordinator.on_election(partition, EPOCH);
        }
        until(|| !self.coordinator.is_loading()).await;
    }

    pub(super) fn lead(&self, partition: i32, leader: i32) {
        let state = PartitionMetadata {
            state: LeaderIsrAndControllerEpoch {
                leader_and_isr: LeaderAndIsr::initial(leader, vec![leader]),
                controller_epoch: 1,
            },
            replicas: vec![leader],
            offline_replicas: vec![],
        };
        self.metadata.update(|snapshot| {
            (0..3).for_each(|id| drop(snapshot.brokers.insert(id, broker(id))));
            snapshot.upsert_partition(&TopicPartition::new("t", partition), Default::default(), state);
        });
    }

    pub(super) async fn init(&self) -> Result<ProducerIdAndEpoch, ErrorCode> {
        self.coordinator
            .init_producer_id(Some(ID), TIMEOUT_MS, None)
            .await
    }

    pub(super) async fn add(
        &self,
        producer: ProducerIdAndEpoch,
        partitions: &[i32],
    ) -> Result<(), ErrorCode> {
        let partitions = partitions.iter().map(|&p| TopicPartition::new("t", p));
        self.coordinator
            .add_partitions(ID, producer, partitions.collect())
            .await
    }

    pub(super) async fn end(
        &self,
        producer: ProducerIdAndEpoch,
        result: TransactionResult,
    ) -> Result<(), ErrorCode> {
        self.coordinator.end(ID, producer, result).await
    }

    pub(super) fn state(&self) -> TransactionState {
        self.coordinator.describe(ID).unwrap().state
    }

    pub(super) async fn becomes(&self, state: TransactionState) {
        until(|| self.coordinator.describe(ID).is_ok_and(|d| d.state == state)).await;
    }

    /// The states of the id in the log, oldest first. `None` is a tombstone.
    pub(super) fn written(&self) -> Vec<Option<TransactionState>> {
        let bytes = self.log.bytes(self.coordinator.partition_for(ID));
        let mut states = Vec::new();
        for batch in RecordBatches::new(&bytes).map(Result::unwrap) {
            let mut records = RecordReader::new(&batch, 1 << 20).unwrap();
            while let Some(record) = records.next().unwrap() {
                assert_eq!(
                    log::read_key(record.key.unwrap()),
                    Ok(log::Key::TransactionalId(ID))
                );
                states.push(record.value.map(|value| log::read_value(value).unwrap().state));
            }
        }
        states
    }
}

/// Runs other tasks until the condition is true. Time is paused in these tests: sleeping tasks wake immediately when no
/// other task is ready.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        // Loads run on other threads, and paused time does not wait for them.
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("it never came to be so");
}

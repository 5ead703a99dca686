//! Sends the end of a transaction to the leaders of its partitions, and writes to the log when all of them have it.
//! Kafka 3.9: `TransactionMarkerChannelManager`, `TransactionMarkerRequestCompletionHandler`.
//!
//! Each broker has at most one request in flight; new markers wait for the next request. A failed marker is retried
//! without limit, at the partition's current leader, while this broker coordinates the transaction. A partition that is
//! missing from the metadata was deleted and needs no marker. If the metadata is still empty, the marker waits: after a
//! start, the controller tells a broker which partitions it leads before it sends the metadata.
//!
//! Kafka drops a marker when a leader has seen a newer epoch of the producer or of the coordinator. If another
//! coordinator has the newer epoch, that coordinator continues. But any client can write with a newer epoch, and then
//! Kafka's transaction hangs until its coordinator moves. Here such a marker is also retried, less often: the newer
//! state may expire or be deleted, and a former coordinator learns of its resignation and stops.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::{debug, info, warn};

use super::complaints::Complaints;
use super::marker_sender::MarkerSender;
use super::metadata::{ProducerIdAndEpoch, TransactionResult, Transition};
use super::state::TransactionState;
use super::state_manager::{Transaction, TransactionStateManager};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, LeaderEpoch, ProducerId, TopicName, TopicPartition};
use crate::metadata::MetadataCache;
use crate::metrics::Meter;
use crate::network::{
    BrokerAddress, ChannelBuilder, ClientSettings, InterBrokerRequests, InterBrokerSendThread, NetworkClient,
    NetworkError,
};
use crate::protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use crate::protocol::messages::{
    ProducerId as WireProducerId, TopicName as WireTopicName, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::protocol::wire_text;

/// The delay before a failed marker, or a failed last record of a transaction, is retried.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);
/// The delay for failures that last longer or never pass.
const REFUSED_BACKOFF: Duration = Duration::from_secs(1);

/// Sends markers; see the module documentation.
pub struct MarkerChannel {
    states: Arc<TransactionStateManager>,
    metadata: Arc<MetadataCache>,
    sender: Box<dyn MarkerSender>,
    runtime: Handle,
    brokers: InterBrokerSendThread<Self>,
    /// The number of markers whose partition has no known leader.
    unknown_destination: AtomicUsize,
    /// The number of transactions whose last record could not be written yet.
    append_retries: AtomicUsize,
    /// Counts the failed attempts to write a marker.
    retries: Arc<Meter>,
}

/// A transaction that is being ended.
struct PendingCompletion {
    transaction: Arc<Transaction>,
    producer: ProducerIdAndEpoch,
    result: TransactionResult,
    /// The coordinator epoch in which the end was decided (fact 65).
    coordinator_epoch: LeaderEpoch,
    /// The task that handles the last marker takes this.
    completion: Mutex<Option<Transition>>,
    complaints: Complaints,
}

/// The marker of one transaction for some partitions.
pub struct MarkerEntry {
    pending: Arc<PendingCompletion>,
    partitions: Vec<TopicPartition>,
}

/// What a leader's answer means for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MarkerOutcome {
    /// The marker is written, or the partition can have neither a marker nor records of the transaction.
    Done,
    /// Retry after this time, perhaps at another leader.
    Retry(Duration),
}

impl MarkerChannel {
    /// Creates a channel without markers. Must be called within a Tokio runtime.
    pub(super) fn new(
        states: Arc<TransactionStateManager>,
        metadata: Arc<MetadataCache>,
        channels: &ChannelBuilder,
        sender: Box<dyn MarkerSender>,
        retries: Arc<Meter>,
    ) -> Arc<Self> {
        let client_id = format!("broker-{}-txn-marker-sender", states.config.broker_id);
        let settings = ClientSettings::new(channels, client_id, states.config.request_timeout);
        Arc::new(Self {
            states,
            metadata,
            sender,
            runtime: Handle::current(),
            brokers: InterBrokerSendThread::new(settings),
            unknown_destination: AtomicUsize::new(0),
            append_retries: AtomicUsize::new(0),
            retries,
        })
    }

    /// The number of markers for partitions without a known leader.
    pub fn unknown_destination_queue_size(&self) -> usize {
        self.unknown_destination.load(Ordering::Relaxed)
    }

    /// The number of transactions whose completion record must be retried.
    pub fn log_append_retry_queue_size(&self) -> usize {
        self.append_retries.load(Ordering::Relaxed)
    }

    /// Sends the markers of a transaction whose end is decided and in the log. Returns immediately. An error means that
    /// there is nothing to end, or that another broker is the coordinator.
    pub(super) fn complete(self: &Arc<Self>, transaction: Arc<Transaction>) -> Result<(), ErrorCode> {
        let coordinator_epoch = self.states.coordinator_epoch(&transaction)?;
        let mut cell = transaction.cell.lock();
        let result = match cell.value().state {
            TransactionState::PrepareCommit => TransactionResult::Commit,
            _ => TransactionResult::Abort,
        };
        let completion = cell.prepare_completion(self.states.clock.wall_ms())?;
        let producer = cell.value().producer;
        let partitions = cell.value().partitions.iter().cloned().collect();
        drop(cell);
        let pending = Arc::new(PendingCompletion {
            transaction,
            producer,
            result,
            coordinator_epoch,
            completion: Mutex::new(Some(completion)),
            complaints: Complaints::since(self.states.clock.monotonic_ms()),
        });
        self.enqueue(&pending, partitions);
        Ok(())
    }

    /// Adds markers to the queues of their partitions' leaders.
    fn enqueue(self: &Arc<Self>, pending: &Arc<PendingCompletion>, partitions: Vec<TopicPartition>) {
        let snapshot = self.metadata.snapshot();
        let listener = &self.states.config.inter_broker_listener;
        let mut destinations: BTreeMap<BrokerId, (BrokerAddress, Vec<TopicPartition>)> = BTreeMap::new();
        let (mut leaderless, mut deleted) = (Vec::new(), Vec::new());
        for partition in partitions {
            let Some(known) = snapshot.partition(&partition.topic, partition.partition) else {
                match snapshot.topics.is_empty() {
                    true => leaderless.push(partition),
                    false => deleted.push(partition),
                }
                continue;
            };
            let leader = known.state.leader_and_isr.leader;
            match snapshot.endpoint(leader, listener) {
                Some(endpoint) => {
                    let new = || (BrokerAddress::new(leader, endpoint), Vec::new());
                    destinations.entry(leader).or_insert_with(new).1.push(partition);
                }
                None => leaderless.push(partition),
            }
        }
        if !deleted.is_empty() {
            info!(transactional_id = %pending.transaction.id(), partitions = ?deleted, "no markers for deleted partitions");
            self.remove_partitions(pending, &deleted);
        }
        for (address, partitions) in destinations.into_values() {
            let entry = MarkerEntry {
                pending: pending.clone(),
                partitions,
            };
            let _entered = self.runtime.enter();
            self.brokers.enqueue(self, address, |waiting| waiting.push(entry));
        }
        if !leaderless.is_empty() {
            self.complain(
                pending,
                &leaderless,
                "they have no leader that is known here",
                true,
            );
            let gauge = Some(&self.unknown_destination);
            self.retry_later(pending.clone(), leaderless, RETRY_BACKOFF, gauge);
        }
        self.maybe_complete(pending);
    }

    fn on_response(
        self: &Arc<Self>,
        entries: Vec<MarkerEntry>,
        response: Result<WriteTxnMarkersResponse, NetworkError>,
    ) {
        let codes = response.as_ref().map(codes_of);
        for MarkerEntry { pending, partitions } in entries {
            if !self.is_current(&pending) {
                continue;
            }
            let codes = match &codes {
                Ok(codes) => codes.get(&pending.producer.id),
                Err(error) => {
                    self.complain(&pending, &partitions, error, true);
                    self.retry_later(pending, partitions, RETRY_BACKOFF, None);
                    continue;
                }
            };
            let (mut done, mut again) = (Vec::new(), BTreeMap::<Duration, Vec<_>>::new());
            for partition in partitions {
                // A partition that is missing from the answer is retried.
                let code = codes.and_then(|codes| codes.get(&partition));
                match code.map_or(MarkerOutcome::Retry(RETRY_BACKOFF), |code| outcome(*code)) {
                    MarkerOutcome::Done => done.push(partition),
                    MarkerOutcome::Retry(backoff) => {
                        let code = code.copied().unwrap_or(ErrorCode::UnknownServerError);
                        let refused = std::slice::from_ref(&partition);
                        self.complain(&pending, refused, code, is_expected(code));
                        again.entry(backoff).or_default().push(partition);
                    }
                }
            }
            self.remove_partitions(&pending, &done);
            for (backoff, partitions) in again {
                self.retry_later(pending.clone(), partitions, backoff, None);
            }
            self.maybe_complete(&pending);
        }
    }

    /// Logs a failed attempt that is retried. For one transaction it logs the first time and then rarely.
    fn complain(
        &self,
        pending: &PendingCompletion,
        partitions: &[TopicPartition],
        reason: impl Display,
        passes: bool,
    ) {
        self.retries.mark(partitions.len() as u64);
        let (transactional_id, now_ms) = (pending.transaction.id(), self.states.clock.monotonic_ms());
        if pending.complaints.is_due(now_ms, passes) {
            let seconds = pending.complaints.seconds(now_ms);
            warn!(%transactional_id, ?partitions, %reason, seconds, "markers cannot be written, trying on: the transaction stays open there");
        } else {
            debug!(%transactional_id, ?partitions, %reason, "markers were not written, trying again");
        }
    }

    fn retry_later(
        self: &Arc<Self>,
        pending: Arc<PendingCompletion>,
        partitions: Vec<TopicPartition>,
        backoff: Duration,
        gauge: Option<&AtomicUsize>,
    ) {
        let count = gauge.map_or(0, |_| partitions.len());
        self.unknown_destination.fetch_add(count, Ordering::Relaxed);
        let this = self.clone();
        self.runtime.spawn(async move {
            let stop = this.states.stop.clone();
            let slept = stop.run_until_cancelled(tokio::time::sleep(backoff)).await;
            this.unknown_destination.fetch_sub(count, Ordering::Relaxed);
            if slept.is_some() && this.is_current(&pending) {
                this.enqueue(&pending, partitions);
            }
        });
    }

    /// Whether this broker still coordinates the transaction.
    fn is_current(&self, pending: &PendingCompletion) -> bool {
        let epoch = self.states.coordinator_epoch(&pending.transaction);
        epoch == Ok(pending.coordinator_epoch) && pending.completion.lock().is_some()
    }

    fn remove_partitions(&self, pending: &PendingCompletion, partitions: &[TopicPartition]) {
        let mut cell = pending.transaction.cell.lock();
        for partition in partitions {
            cell.remove_partition(partition);
        }
    }

    /// Writes the completion of the transaction if its last marker is written.
    fn maybe_complete(self: &Arc<Self>, pending: &PendingCompletion) {
        if !pending.transaction.cell.lock().value().partitions.is_empty() {
            return;
        }
        if let Some(completion) = pending.completion.lock().take() {
            let (this, transaction) = (self.clone(), pending.transaction.clone());
            self.runtime
                .spawn(async move { this.write_completion(transaction, completion).await });
        }
    }

    async fn write_completion(&self, transaction: Arc<Transaction>, completion: Transition) {
        let complaints = Complaints::since(self.states.clock.monotonic_ms());
        let mut next = self.states.begin_again(transaction, completion);
        loop {
            let unwritten = match next {
                Ok(appending) => match self.states.finish(appending).await {
                    Ok(transaction) => {
                        debug!(transactional_id = %transaction.id(), "completed a transaction");
                        return;
                    }
                    Err(unwritten) => unwritten,
                },
                Err(unwritten) => unwritten,
            };
            match unwritten.error {
                // The next coordinator reads the decided transaction from the log and writes its markers again.
                ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress => return,
                error => {
                    let now_ms = self.states.clock.monotonic_ms();
                    if complaints.is_due(now_ms, error == ErrorCode::CoordinatorNotAvailable) {
                        warn!(transactional_id = %unwritten.transaction.id(), %error, "cannot complete a transaction, trying on");
                    }
                }
            }
            self.append_retries.fetch_add(1, Ordering::Relaxed);
            let sleep = tokio::time::sleep(RETRY_BACKOFF);
            let slept = self.states.stop.run_until_cancelled(sleep).await;
            self.append_retries.fetch_sub(1, Ordering::Relaxed);
            if slept.is_none() {
                return;
            }
            next = self
                .states
                .begin_again(unwritten.transaction, unwritten.transition);
        }
    }
}

/// All markers that wait for a broker are sent in one request.
impl InterBrokerRequests for MarkerChannel {
    type Queue = Vec<MarkerEntry>;
    type Batch = Vec<MarkerEntry>;

    fn next(queue: &mut Vec<MarkerEntry>) -> Option<Vec<MarkerEntry>> {
        (!queue.is_empty()).then(|| std::mem::take(queue))
    }

    async fn exchange(self: Arc<Self>, client: Arc<NetworkClient>, mut entries: Vec<MarkerEntry>) {
        entries.retain(|entry| self.is_current(&entry.pending));
        if entries.is_empty() {
            return;
        }
        let markers = entries.iter().map(wire_marker).collect();
        let request = WriteTxnMarkersRequest::default().with_markers(markers);
        let response = self.sender.send(client, request);
        // If the coordinator has stopped, the next coordinator sends the markers.
        if let Some(response) = self.states.stop.run_until_cancelled(response).await {
            self.on_response(entries, response);
        }
    }
}

/// Whether the error usually passes.
fn is_expected(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::RequestTimedOut
            | ErrorCode::KafkaStorageError
    )
}

/// Maps a leader's error code. Kafka fails on codes that it does not expect here, and the transaction hangs; this
/// broker retries.
fn outcome(code: ErrorCode) -> MarkerOutcome {
    match code {
        ErrorCode::None | ErrorCode::UnsupportedForMessageFormat | ErrorCode::UnsupportedVersion => {
            MarkerOutcome::Done
        }
        code if is_expected(code) => MarkerOutcome::Retry(RETRY_BACKOFF),
        _ => MarkerOutcome::Retry(REFUSED_BACKOFF),
    }
}

fn codes_of(response: &WriteTxnMarkersResponse) -> HashMap<ProducerId, HashMap<TopicPartition, ErrorCode>> {
    let mut codes: HashMap<_, HashMap<_, _>> = HashMap::new();
    for marker in &response.markers {
        let of_producer = codes.entry(marker.producer_id.0).or_default();
        for topic in &marker.topics {
            let name = TopicName::from(&**topic.name);
            for partition in &topic.partitions {
                let key = TopicPartition::new(name.clone(), partition.partition_index);
                of_producer.insert(key, ErrorCode::from_code(partition.error_code));
            }
        }
    }
    codes
}

fn wire_marker(entry: &MarkerEntry) -> WritableTxnMarker {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for partition in &entry.partitions {
        topics
            .entry(&partition.topic)
            .or_default()
            .push(partition.partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        WritableTxnMarkerTopic::default()
            .with_name(WireTopicName(wire_text(name)))
            .with_partition_indexes(partitions)
    });
    let pending = &entry.pending;
    WritableTxnMarker::default()
        .with_producer_id(WireProducerId(pending.producer.id))
        .with_producer_epoch(pending.producer.epoch)
        .with_transaction_result(pending.result == TransactionResult::Commit)
        .with_coordinator_epoch(pending.coordinator_epoch)
        .with_topics(topics.collect())
}

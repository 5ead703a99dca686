//! Asks coordinators whether partitions are part of a transaction (KIP-890). Kafka 3.9: `AddPartitionsToTxnManager`.
//!
//! At most one request is in flight to each coordinator. Questions that arrive meanwhile go into the next request. A
//! request names a transactional id at most once: a second question replaces the first one, and the client of the first
//! one then asks again. Of two questions with different epochs, the one with the lower epoch is refused, because it
//! comes from a zombie.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::common::clock::SharedClock;
use crate::common::coordinator_key::partition_for;
use crate::common::error::ErrorCode;
use crate::common::ids::{ProducerId, TopicPartition};
use crate::common::topic_name::TRANSACTION_STATE_TOPIC;
use crate::config::BrokerConfig;
use crate::metadata::MetadataCache;
use crate::metrics::{Histogram, Meter, MetricName, Registry};
use crate::network::{
    BrokerAddress, ChannelBuilder, ClientSettings, InterBrokerRequests, InterBrokerSendThread, NetworkClient,
    NetworkError,
};
use crate::protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use crate::protocol::messages::add_partitions_to_txn_response::AddPartitionsToTxnResult;
use crate::protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ProducerId as WireProducerId, TopicName,
};
use crate::protocol::{ApiKey, wire_text};

/// The first version that can ask about a partition without adding it to the transaction.
const FIRST_VERSION_WITH_VERIFICATION: i16 = 4;

/// The errors that the client behind a transactional request understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionalOperation {
    /// INVALID_TXN_STATE for a partition that is not part of the transaction.
    DefaultError,
    /// TRANSACTION_ABORTABLE for such a partition: Produce from version 11, TxnOffsetCommit from version 4.
    GenericError,
}

/// A question for a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionToVerify {
    /// The id of the transaction.
    pub transactional_id: Arc<str>,
    /// The producer that writes.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The partitions that the producer wants to write to.
    pub partitions: Vec<TopicPartition>,
}

/// The partitions that the producer may not write to, each with the reason.
pub type Unverified = Vec<(TopicPartition, ErrorCode)>;

/// Asks all coordinators.
pub struct AddPartitionsToTxnManager {
    inner: Arc<Inner>,
}

struct Inner {
    metadata: Arc<MetadataCache>,
    inter_broker_listener: String,
    /// The partition count of `__transaction_state` that this broker uses while the topic does not exist, as far as it
    /// knows.
    default_partition_count: i32,
    /// The number of partitions among which the coordinators divide the ids. It stays the same when the topic gets more
    /// partitions after the coordinators started.
    partition_count: OnceLock<i32>,
    clock: SharedClock,
    verification_failures: Arc<Meter>,
    verification_time_ms: Arc<Histogram>,
    coordinators: InterBrokerSendThread<Self>,
}

/// For each transactional id at most one question waits.
type Waiting = HashMap<Arc<str>, Question>;

/// A question and the task that waits for its answer.
pub struct Question {
    transaction: TransactionToVerify,
    operation: TransactionalOperation,
    answer: oneshot::Sender<Unverified>,
}

impl Question {
    fn fail(self, code: ErrorCode) {
        let partitions = self.transaction.partitions.into_iter();
        // The caller may have stopped waiting.
        let _ = self.answer.send(partitions.map(|p| (p, code)).collect());
    }
}

impl AddPartitionsToTxnManager {
    /// Asks on behalf of this broker. `metadata` names the coordinators.
    pub fn new(
        config: &BrokerConfig,
        channels: &ChannelBuilder,
        metadata: Arc<MetadataCache>,
        clock: SharedClock,
        metrics: &Registry,
    ) -> Self {
        let name = |name: &str| MetricName::new("kafka.server", "AddPartitionsToTxnManager", name);
        let request_timeout = Duration::from_millis(config.request_timeout_ms);
        let settings = ClientSettings::new(channels, config.broker_id.to_string(), request_timeout);
        Self {
            inner: Arc::new(Inner {
                metadata,
                inter_broker_listener: config.inter_broker_listener_name.clone(),
                default_partition_count: config.transaction_state_log_num_partitions,
                partition_count: OnceLock::new(),
                clock,
                verification_failures: metrics.meter(name("VerificationFailureRate")),
                verification_time_ms: metrics.histogram(name("VerificationTimeMs")),
                coordinators: InterBrokerSendThread::new(settings),
            }),
        }
    }

    /// Fixes the number of partitions for finding coordinators to the number that the coordinators themselves use.
    /// Without this, partitions that are added to their topic later make this broker ask the wrong coordinator, and the
    /// transaction waits without end.
    pub fn fix_partition_count(&self, count: i32) {
        self.inner.partition_count.get_or_init(|| count);
    }

    /// Returns the partitions that are not part of the transaction, and those whose state is unknown. Must be called
    /// within a runtime.
    pub async fn verify(
        &self,
        transaction: TransactionToVerify,
        operation: TransactionalOperation,
    ) -> Unverified {
        let (answer, answered) = oneshot::channel();
        let partitions = transaction.partitions.clone();
        let question = Question {
            transaction,
            operation,
            answer,
        };
        match self.inner.coordinator_of(&question.transaction.transactional_id) {
            Some(address) => self.inner.ask(address, question),
            None => question.fail(ErrorCode::CoordinatorNotAvailable),
        }
        let lost = |_| {
            partitions
                .into_iter()
                .map(|p| (p, ErrorCode::NetworkException))
                .collect()
        };
        let begun_ms = self.inner.clock.monotonic_ms();
        let unverified: Unverified = answered.await.unwrap_or_else(lost);
        let took_ms = self.inner.clock.monotonic_ms() - begun_ms;
        let (failures, times) = (
            &self.inner.verification_failures,
            &self.inner.verification_time_ms,
        );
        failures.mark(unverified.len() as u64);
        times.update(u64::try_from(took_ms).unwrap_or(0));
        unverified
    }
}

impl Inner {
    fn coordinator_of(&self, transactional_id: &str) -> Option<BrokerAddress> {
        let snapshot = self.metadata.snapshot();
        let topic = snapshot.topics.get(TRANSACTION_STATE_TOPIC);
        let counted = topic.map(|topic| topic.partitions.len() as i32);
        let count = self.partition_count.get().copied().or(counted);
        let count = count
            .filter(|count| *count > 0)
            .unwrap_or(self.default_partition_count);
        let partition =
            snapshot.partition(TRANSACTION_STATE_TOPIC, partition_for(transactional_id, count))?;
        let leader = partition.state.leader_and_isr.leader;
        let endpoint = snapshot.endpoint(leader, &self.inter_broker_listener)?;
        Some(BrokerAddress::new(leader, endpoint))
    }

    fn ask(self: &Arc<Self>, address: BrokerAddress, question: Question) {
        self.coordinators
            .enqueue(self, address, |waiting| add(waiting, question));
    }
}

/// Puts all questions that wait for a coordinator into one request.
impl InterBrokerRequests for Inner {
    type Queue = Waiting;
    type Batch = Waiting;

    fn next(queue: &mut Waiting) -> Option<Waiting> {
        (!queue.is_empty()).then(|| std::mem::take(queue))
    }

    async fn exchange(self: Arc<Self>, client: Arc<NetworkClient>, questions: Waiting) {
        let response = send(&client, &questions).await;
        answer(questions, response);
    }
}

/// Keeps one question for each transactional id: the new one, unless the waiting one has a higher epoch. The other
/// question is refused.
fn add(waiting: &mut Waiting, question: Question) {
    let transactional_id = question.transaction.transactional_id.clone();
    if let Some(earlier) = waiting.remove(&transactional_id) {
        let epochs = (
            earlier.transaction.producer_epoch,
            question.transaction.producer_epoch,
        );
        match epochs.0.cmp(&epochs.1) {
            std::cmp::Ordering::Less => earlier.fail(ErrorCode::InvalidProducerEpoch),
            std::cmp::Ordering::Equal => earlier.fail(ErrorCode::NetworkException),
            std::cmp::Ordering::Greater => {
                waiting.insert(transactional_id, earlier);
                question.fail(ErrorCode::InvalidProducerEpoch);
                return;
            }
        }
    }
    waiting.insert(transactional_id, question);
}

async fn send(
    client: &NetworkClient,
    questions: &HashMap<Arc<str>, Question>,
) -> Result<AddPartitionsToTxnResponse, NetworkError> {
    let versions = FIRST_VERSION_WITH_VERIFICATION..=*ApiKey::AddPartitionsToTxn.versions().end();
    let version = client.negotiate::<AddPartitionsToTxnRequest>(versions).await?;
    let transactions = questions
        .values()
        .map(|question| wire_transaction(&question.transaction));
    let request = AddPartitionsToTxnRequest::default().with_transactions(transactions.collect());
    client.send(&request, version).await
}

fn wire_transaction(transaction: &TransactionToVerify) -> AddPartitionsToTxnTransaction {
    let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
    for partition in &transaction.partitions {
        match topics.iter_mut().find(|topic| **topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(partition.partition),
            None => topics.push(
                AddPartitionsToTxnTopic::default()
                    .with_name(TopicName(wire_text(&partition.topic)))
                    .with_partitions(vec![partition.partition]),
            ),
        }
    }
    AddPartitionsToTxnTransaction::default()
        .with_transactional_id(wire_text(&transaction.transactional_id).into())
        .with_producer_id(WireProducerId(transaction.producer_id))
        .with_producer_epoch(transaction.producer_epoch)
        .with_verify_only(true)
        .with_topics(topics)
}

fn answer(
    mut questions: HashMap<Arc<str>, Question>,
    response: Result<AddPartitionsToTxnResponse, NetworkError>,
) {
    let fail_all = |questions: HashMap<Arc<str>, Question>, code| {
        questions.into_values().for_each(|question| question.fail(code));
    };
    let response = match response {
        Ok(response) => response,
        Err(error @ NetworkError::Unsupported { .. }) => {
            // A coordinator before Kafka 3.5 cannot be asked: such brokers do not verify transactions either.
            tracing::warn!(%error, "transactions are not verified by their coordinator");
            for question in questions.into_values() {
                let _ = question.answer.send(Vec::new());
            }
            return;
        }
        Err(error) => {
            tracing::warn!(%error, "cannot verify transactions");
            return fail_all(questions, ErrorCode::NetworkException);
        }
    };
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => {}
        // Errors between brokers are not shown to clients.
        ErrorCode::ClusterAuthorizationFailed => return fail_all(questions, ErrorCode::InvalidTxnState),
        error => {
            tracing::error!(%error, "a coordinator refused to verify transactions");
            return fail_all(questions, error);
        }
    }
    for result in response.results_by_transaction {
        if let Some(question) = questions.remove(&**result.transactional_id) {
            let unverified = unverified(&result, question.operation);
            let _ = question.answer.send(unverified);
        }
    }
    fail_all(questions, ErrorCode::NetworkException);
}

/// Maps the coordinator's codes to the codes that producers expect.
fn unverified(result: &AddPartitionsToTxnResult, operation: TransactionalOperation) -> Unverified {
    let mut unverified = Vec::new();
    for topic in &result.topic_results {
        for partition in &topic.results_by_partition {
            let code = match ErrorCode::from_code(partition.partition_error_code) {
                ErrorCode::None => continue,
                ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
                ErrorCode::TransactionAbortable if operation == TransactionalOperation::DefaultError => {
                    ErrorCode::InvalidTxnState
                }
                code => code,
            };
            let name = TopicPartition::new(&**topic.name, partition.partition_index);
            unverified.push((name, code));
        }
    }
    unverified
}

//! Owns all transactional ids whose partition of `__transaction_state` this broker leads, and writes their transitions
//! to the log. Kafka 3.9: `TransactionStateManager`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLockReadGuard};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::log;
use super::metadata::{TransactionMetadata, Transition};
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, LeaderEpoch, Offset};
use crate::common::topic_name::TRANSACTION_STATE_TOPIC;
use crate::config::BrokerConfig;
use crate::coordinator::coordinator_log::{AppendOptions, CoordinatorLog};
use crate::coordinator::fields::LogFormatError;
use crate::coordinator::partitions::{Partition, Partitions, PartitionsConfig};
use crate::metrics::Registry;
use crate::record::BatchBuilder;
use crate::zk::ZkError;

/// The acks of every append: a transaction needs all in-sync replicas.
pub(super) const ALL_IN_SYNC: i16 = -1;

/// The type name of metrics from Kafka's own metrics library.
const METRICS_KIND: &str = "transaction-coordinator-metrics";

/// The part of the broker's configuration that the coordinator uses.
#[derive(Clone, Debug)]
pub struct TransactionConfig {
    /// The id of this broker.
    pub broker_id: BrokerId,
    /// `transaction.max.timeout.ms`.
    pub max_timeout_ms: i32,
    /// `transaction.state.log.load.buffer.size`.
    pub load_buffer_size: usize,
    /// `transactional.id.expiration.ms`.
    pub transactional_id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub abort_timed_out_interval: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub remove_expired_interval: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `inter.broker.listener.name`: the listener that markers are sent to.
    pub inter_broker_listener: String,
}

impl From<&BrokerConfig> for TransactionConfig {
    fn from(config: &BrokerConfig) -> Self {
        let interval = |ms: u64| Duration::from_millis(ms.max(1));
        Self {
            broker_id: config.broker_id,
            max_timeout_ms: config.transaction_max_timeout_ms,
            load_buffer_size: config.transaction_state_log_load_buffer_size,
            transactional_id_expiration_ms: config.transactional_id_expiration_ms,
            abort_timed_out_interval: interval(
                config.transaction_abort_timed_out_transaction_cleanup_interval_ms,
            ),
            remove_expired_interval: interval(
                config.transaction_remove_expired_transaction_cleanup_interval_ms,
            ),
            request_timeout: Duration::from_millis(config.request_timeout_ms),
            inter_broker_listener: config.inter_broker_listener_name.clone(),
        }
    }
}

/// One transactional id behind its lock.
pub struct Transaction {
    /// The id's partition of `__transaction_state`.
    pub(super) partition: i32,
    pub(super) cell: Mutex<TransactionMetadata>,
}

impl Transaction {
    pub(super) fn new(partition: i32, metadata: TransactionMetadata) -> Arc<Self> {
        Arc::new(Self {
            partition,
            cell: Mutex::new(metadata),
        })
    }

    /// The `transactional.id`.
    pub fn id(&self) -> Arc<str> {
        self.cell.lock().transactional_id().clone()
    }
}

/// The ids of one partition of `__transaction_state`.
pub(super) type PartitionTransactions = HashMap<Arc<str>, Arc<Transaction>>;

/// Returns the current number of partitions of `__transaction_state`, or the number it gets when it is created.
pub type PartitionCountSource = Box<dyn Fn() -> BoxFuture<'static, Result<i32, ZkError>> + Send + Sync>;

/// A transition that is being written to the log.
pub(super) struct Appending {
    transaction: Arc<Transaction>,
    transition: Transition,
    append: BoxFuture<'static, Result<Offset, ErrorCode>>,
}

impl Appending {
    /// The new state of the id.
    pub(super) fn transition(&self) -> &Transition {
        &self.transition
    }
}

/// A transition that is not in the log or may not be in it. It still blocks other transitions.
pub(super) struct Unwritten {
    pub(super) error: ErrorCode,
    pub(super) transaction: Arc<Transaction>,
    pub(super) transition: Transition,
}

impl Unwritten {
    /// Allows other transitions again.
    pub(super) fn give_up(self) -> ErrorCode {
        self.transaction.cell.lock().fail(&self.transition);
        self.error
    }
}

/// Owns the transactional ids; see the module documentation.
pub struct TransactionStateManager {
    pub(super) config: TransactionConfig,
    pub(super) partitions: Partitions<PartitionTransactions>,
    pub(super) partition_count_now: PartitionCountSource,
    pub(super) log: Arc<dyn CoordinatorLog>,
    pub(super) clock: SharedClock,
    pub(super) is_active: AtomicBool,
    pub(super) stop: CancellationToken,
}

impl TransactionStateManager {
    /// Creates a manager that owns no partition. `partition_count` is the number of partitions of
    /// `__transaction_state`, or `transaction.state.log.num.partitions` if the topic does not exist yet.
    pub(super) fn new(
        config: TransactionConfig,
        (partition_count, partition_count_now): (i32, PartitionCountSource),
        log: Arc<dyn CoordinatorLog>,
        clock: SharedClock,
        metrics: &Registry,
    ) -> Self {
        let stop = CancellationToken::new();
        let partitions = PartitionsConfig {
            topic: TRANSACTION_STATE_TOPIC,
            metrics_kind: METRICS_KIND,
            count: partition_count,
            load_buffer_size: config.load_buffer_size,
        };
        Self {
            partitions: Partitions::new(partitions, log.clone(), clock.clone(), stop.clone(), metrics),
            partition_count_now,
            config,
            log,
            clock,
            is_active: AtomicBool::new(false),
            stop,
        }
    }

    /// The partition of `__transaction_state` that an id belongs to.
    pub fn partition_for(&self, transactional_id: &str) -> i32 {
        self.partitions.number_for(transactional_id)
    }

    /// Whether a partition is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.partitions.is_loading()
    }

    /// Every loaded id.
    pub(super) fn transactions(&self) -> Vec<Arc<Transaction>> {
        let partitions = self.partitions.iter().map(|partition| partition.read());
        partitions
            .flat_map(|partition| partition.state.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// The partition of an id, if this broker owns it.
    fn owned(
        &self,
        transactional_id: &str,
    ) -> Result<RwLockReadGuard<'_, Partition<PartitionTransactions>>, ErrorCode> {
        let partition = self.partitions.of_key(transactional_id).read();
        self.check_ownership(&partition)?;
        Ok(partition)
    }

    fn check_ownership(&self, partition: &Partition<PartitionTransactions>) -> Result<(), ErrorCode> {
        match self.is_active.load(Ordering::SeqCst) {
            true => partition.check_ownership(),
            false => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }

    /// Returns the id, `None` if it does not exist, or the error if this broker does not have the id's partition
    /// loaded.
    pub(super) fn find(&self, transactional_id: &str) -> Result<Option<Arc<Transaction>>, ErrorCode> {
        Ok(self.owned(transactional_id)?.state.get(transactional_id).cloned())
    }

    /// Adds an id if it does not exist.
    pub(super) fn insert_if_absent(&self, metadata: TransactionMetadata) -> Result<(), ErrorCode> {
        let id = metadata.transactional_id().clone();
        let number = self.partition_for(&id);
        let mut partition = self.partitions.of_key(&id).write();
        self.check_ownership(&partition)?;
        let create = || Transaction::new(number, metadata);
        partition.state.entry(id).or_insert_with(create);
        Ok(())
    }

    /// The coordinator epoch, if this broker still owns this instance of the id. A reload creates another instance.
    pub(super) fn coordinator_epoch(&self, transaction: &Arc<Transaction>) -> Result<LeaderEpoch, ErrorCode> {
        let id = transaction.id();
        let partition = self.owned(&id)?;
        self.check_current(&partition, &id, transaction)?;
        partition.leader_since().ok_or(ErrorCode::NotCoordinator)
    }

    fn check_current(
        &self,
        partition: &Partition<PartitionTransactions>,
        id: &str,
        transaction: &Arc<Transaction>,
    ) -> Result<(), ErrorCode> {
        let current = partition.state.get(id);
        match current.is_some_and(|current| Arc::ptr_eq(current, transaction)) {
            true => Ok(()),
            false => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Applies an event to an id and begins to write the transition. `None` if there is nothing to write.
    pub(super) fn begin(
        &self,
        transactional_id: &str,
        event: impl FnOnce(&mut TransactionMetadata, i64) -> Result<Option<Transition>, ErrorCode>,
    ) -> Result<Option<Appending>, ErrorCode> {
        let partition = self.owned(transactional_id)?;
        let transaction = partition.state.get(transactional_id);
        let transaction = transaction.ok_or(ErrorCode::InvalidProducerIdMapping)?.clone();
        let mut cell = transaction.cell.lock();
        match event(&mut cell, self.clock.wall_ms())? {
            Some(transition) => {
                let append = self.append(transaction.partition, transactional_id, &transition);
                drop(cell);
                Ok(Some(Appending {
                    transaction,
                    transition,
                    append,
                }))
            }
            None => Ok(None),
        }
    }

    /// Begins to write a failed transition again.
    pub(super) fn begin_again(
        &self,
        transaction: Arc<Transaction>,
        transition: Transition,
    ) -> Result<Appending, Unwritten> {
        let id = transaction.id();
        let append = self.owned(&id).and_then(|partition| {
            self.check_current(&partition, &id, &transaction)?;
            Ok(self.append(transaction.partition, &id, &transition))
        });
        match append {
            Ok(append) => Ok(Appending {
                transaction,
                transition,
                append,
            }),
            Err(error) => Err(Unwritten {
                error,
                transaction,
                transition,
            }),
        }
    }

    /// Waits until a transition is replicated, and applies it. The caller must not drop the future before it completes:
    /// the transition would block all others.
    pub(super) async fn finish(&self, appending: Appending) -> Result<Arc<Transaction>, Unwritten> {
        let Appending {
            transaction,
            transition,
            append,
        } = appending;
        let written = append.await.map_err(coordinator_error);
        let id = transaction.id();
        let current = written.and_then(|_| {
            let partition = self.owned(&id)?;
            self.check_current(&partition, &id, &transaction)
        });
        match current {
            Ok(()) => {
                transaction.cell.lock().complete(transition);
                Ok(transaction)
            }
            Err(error) => {
                debug!(transactional_id = %id, state = transition.value.state.name(), %error, "a transition was not written");
                Err(Unwritten {
                    error,
                    transaction,
                    transition,
                })
            }
        }
    }

    fn append(
        &self,
        partition: i32,
        transactional_id: &str,
        transition: &Transition,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>> {
        let record = || -> Result<_, LogFormatError> {
            Ok((log::key(transactional_id)?, Some(log::value(&transition.value)?)))
        };
        match record() {
            Ok(record) => {
                // The append may take as long as the transaction itself. A shorter timeout would help no client.
                let timeout_ms = u64::try_from(transition.value.timeout_ms).unwrap_or(0);
                self.append_records(partition, &[record], Duration::from_millis(timeout_ms))
            }
            Err(error) => {
                error!(transactional_id, %error, "cannot write a transaction");
                Box::pin(std::future::ready(Err(ErrorCode::UnknownServerError)))
            }
        }
    }

    pub(super) fn append_records(
        &self,
        partition: i32,
        records: &[(Bytes, Option<Bytes>)],
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>> {
        let now_ms = self.clock.wall_ms();
        let mut batch = BatchBuilder::new(0);
        for (key, value) in records {
            batch.append(now_ms, Some(key), value.as_deref(), &[]);
        }
        let options = AppendOptions {
            required_acks: ALL_IN_SYNC,
            timeout,
            guard: None,
        };
        self.log.append(partition, batch.build(), options)
    }
}

/// The error code for the client when its transition cannot be written.
fn coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}

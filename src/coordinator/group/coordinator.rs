//! Owns all groups whose partition of `__consumer_offsets` this broker leads: their loading and unloading, their
//! timers, and the execution of the effects of the group state machines. Kafka 3.9: `GroupCoordinator`,
//! `GroupMetadataManager`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::effect::{Effect, GroupStore, Now};
use super::group_metadata::{GroupLimits, GroupMetadata};
use super::log::{self, GroupMetadataValue, LogFormatError};
use super::member::Ticket;
use super::metrics::{GroupMeters, METRICS_KIND};
use super::partition_groups::{Group, GroupCell, PartitionGroups};
use super::timers::Timers;
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, ProducerId};
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::config::BrokerConfig;
use crate::coordinator::coordinator_log::{AppendOptions, CoordinatorLog, TransactionalProducer};
use crate::coordinator::partitions::{Partition, Partitions, PartitionsConfig};
use crate::log::VerificationGuard;
use crate::metrics::Registry;
use crate::record::batch::NO_SEQUENCE;
use crate::record::{BatchBuilder, Compression};

/// The part of the broker's configuration that the coordinator uses.
#[derive(Clone, Debug)]
pub struct GroupCoordinatorConfig {
    /// The limits for each group.
    pub limits: GroupLimits,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `offset.metadata.max.bytes`, which in Kafka counts UTF-16 units.
    pub offset_metadata_max_size: usize,
    /// `offsets.load.buffer.size`.
    pub load_buffer_size: usize,
    /// `offsets.commit.required.acks`, used for group records and for offsets.
    pub required_acks: i16,
    /// `offsets.commit.timeout.ms`.
    pub commit_timeout: Duration,
    /// `offsets.retention.minutes`.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: u64,
    /// `offsets.topic.compression.codec`.
    pub compression: Compression,
}

impl From<&BrokerConfig> for GroupCoordinatorConfig {
    fn from(config: &BrokerConfig) -> Self {
        Self {
            limits: GroupLimits {
                initial_rebalance_delay_ms: config.group_initial_rebalance_delay_ms as i64,
                max_size: config.group_max_size,
            },
            min_session_timeout_ms: config.group_min_session_timeout_ms,
            max_session_timeout_ms: config.group_max_session_timeout_ms,
            offset_metadata_max_size: config.offset_metadata_max_bytes,
            load_buffer_size: config.offsets_load_buffer_size,
            required_acks: config.offsets_commit_required_acks,
            commit_timeout: Duration::from_millis(config.offsets_commit_timeout_ms),
            offsets_retention_ms: (config.offsets_retention_minutes as i64).saturating_mul(60_000),
            offsets_retention_check_interval_ms: config.offsets_retention_check_interval_ms,
            compression: Compression::from_id(i16::from(config.offsets_topic_compression_codec))
                .unwrap_or(Compression::None),
        }
    }
}

/// All groups whose partition of `__consumer_offsets` this broker leads.
pub struct GroupCoordinator {
    pub(super) config: GroupCoordinatorConfig,
    pub(super) partitions: Arc<Partitions<PartitionGroups>>,
    pub(super) log: Arc<dyn CoordinatorLog>,
    pub(super) clock: SharedClock,
    timers: Timers<Group>,
    next_ticket: AtomicU64,
    is_active: AtomicBool,
    pub(super) stop: CancellationToken,
    pub(super) runtime: Handle,
    pub(super) meters: GroupMeters,
    pub(super) this: Weak<Self>,
}

impl GroupCoordinator {
    /// Creates a coordinator that owns no partition and refuses every request until `start`. `partition_count` is the
    /// number of partitions of `__consumer_offsets`, or `offsets.topic.num.partitions` if the topic does not exist yet.
    /// Must be called within a Tokio runtime.
    pub fn new(
        config: GroupCoordinatorConfig,
        partition_count: i32,
        log: Arc<dyn CoordinatorLog>,
        clock: SharedClock,
        metrics: &Registry,
    ) -> Arc<Self> {
        let stop = CancellationToken::new();
        let partitions = PartitionsConfig {
            topic: GROUP_METADATA_TOPIC,
            metrics_kind: METRICS_KIND,
            count: partition_count,
            load_buffer_size: config.load_buffer_size,
        };
        let partitions = Partitions::new(partitions, log.clone(), clock.clone(), stop.clone(), metrics);
        let coordinator = Arc::new_cyclic(|this| Self {
            config,
            partitions: Arc::new(partitions),
            log,
            clock,
            timers: Timers::default(),
            next_ticket: AtomicU64::new(0),
            is_active: AtomicBool::new(false),
            stop,
            runtime: Handle::current(),
            meters: GroupMeters::new(metrics),
            this: this.clone(),
        });
        let weak = coordinator.this.clone();
        super::metrics::register(metrics, move || {
            weak.upgrade()
                .map(|coordinator| coordinator.groups())
                .unwrap_or_default()
        });
        coordinator
    }

    /// Starts to serve requests, run timers and expire offsets.
    pub fn start(&self) {
        self.is_active.store(true, Ordering::SeqCst);
        let (this, stop) = (self.this.clone(), self.stop.clone());
        self.runtime.spawn(async move {
            stop.run_until_cancelled(run_timers(this)).await;
        });
        let (this, stop) = (self.this.clone(), self.stop.clone());
        let interval = Duration::from_millis(self.config.offsets_retention_check_interval_ms.max(1));
        self.runtime.spawn(async move {
            let expire = async move {
                let mut interval = tokio::time::interval(interval);
                while let Some(coordinator) = this.upgrade() {
                    coordinator.expire_offsets();
                    drop(coordinator);
                    interval.tick().await;
                }
            };
            stop.run_until_cancelled(expire).await;
        });
    }

    /// Refuses every later request with COORDINATOR_NOT_AVAILABLE. Answers the waiting requests so that clients look
    /// for another coordinator.
    pub fn shutdown(&self) {
        self.is_active.store(false, Ordering::SeqCst);
        self.stop.cancel();
        for state in self.partitions.clear() {
            self.unload(state);
        }
    }

    /// The partition of `__consumer_offsets` that a group belongs to.
    pub fn partition_for(&self, group_id: &str) -> i32 {
        self.partitions.number_for(group_id)
    }

    pub(super) fn is_active(&self) -> bool {
        self.is_active.load(Ordering::SeqCst)
    }

    pub(super) fn now(&self) -> Now {
        Now {
            monotonic_ms: self.clock.monotonic_ms(),
            wall_ms: self.clock.wall_ms(),
        }
    }

    pub(super) fn next_ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs a task that does not keep the coordinator alive.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// This coordinator, for tasks that may outlive it.
    pub(super) fn handle(&self) -> Weak<Self> {
        self.this.clone()
    }

    /// Whether a partition is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.partitions.is_loading()
    }

    /// Every loaded group.
    pub(super) fn groups(&self) -> Vec<Arc<Group>> {
        let partitions = self.partitions.iter().map(|partition| partition.read());
        partitions
            .flat_map(|partition| partition.state.groups.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Returns the group, `None` if it does not exist, or the error if this broker does not have the group's partition
    /// loaded.
    pub(super) fn find(&self, group_id: &str) -> Result<Option<Arc<Group>>, ErrorCode> {
        let partition = self.partitions.of_key(group_id).read();
        self.check_ownership(&partition)?;
        Ok(partition.state.groups.get(group_id).cloned())
    }

    /// Returns the group. Creates it if it does not exist.
    pub(super) fn find_or_create(&self, group_id: &str) -> Result<Arc<Group>, ErrorCode> {
        if let Some(group) = self.find(group_id)? {
            return Ok(group);
        }
        let number = self.partition_for(group_id);
        let mut partition = self.partitions.of_key(group_id).write();
        self.check_ownership(&partition)?;
        let id: Arc<str> = group_id.into();
        let create = || {
            Group::new(
                number,
                GroupMetadata::new(id.clone(), self.config.limits, self.now()),
            )
        };
        Ok(partition
            .state
            .groups
            .entry(id.clone())
            .or_insert_with(create)
            .clone())
    }

    /// Notes that the producer has an open transaction in the group, so that the transaction's marker finds the group.
    pub(super) fn note_open_transaction(
        &self,
        group_id: &Arc<str>,
        producer: ProducerId,
    ) -> Result<(), ErrorCode> {
        let mut partition = self.partitions.of_key(group_id).write();
        self.check_ownership(&partition)?;
        let groups = partition.state.open_transactions.entry(producer).or_default();
        groups.insert(group_id.clone());
        Ok(())
    }

    fn check_ownership(&self, partition: &Partition<PartitionGroups>) -> Result<(), ErrorCode> {
        match self.is_active() {
            true => partition.check_ownership(),
            false => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }

    /// Applies an event to a group and executes its effects before the next event can be applied to the group.
    pub(super) fn drive<R>(&self, group: &Arc<Group>, event: impl FnOnce(&mut GroupCell, Now) -> R) -> R {
        let now = self.now();
        let mut cell = group.cell.lock();
        let result = event(&mut cell, now);
        if cell
            .metadata
            .wake_at_ms()
            .is_some_and(|at_ms| at_ms <= now.monotonic_ms)
        {
            cell.metadata.tick(now);
        }
        self.carry_out_effects(group, &mut cell, now);
        result
    }

    fn carry_out_effects(&self, group: &Arc<Group>, cell: &mut GroupCell, now: Now) {
        loop {
            let effects = cell.metadata.take_effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                // Sending fails if the client's request was dropped.
                match effect {
                    Effect::AnswerJoin(ticket, result) => {
                        cell.joins.remove(&ticket).map(|waiting| waiting.send(result));
                    }
                    Effect::AnswerSync(ticket, result) => {
                        cell.syncs.remove(&ticket).map(|waiting| waiting.send(result));
                    }
                    Effect::Store(value, then) => {
                        if let GroupStore::Assignment { .. } = then {
                            self.meters.completed_rebalances.mark(1);
                        }
                        self.store(group, cell, &value, then, now);
                    }
                }
            }
        }
        if let Some(wake_at_ms) = cell.metadata.wake_at_ms()
            && cell.scheduled_at_ms.is_none_or(|at_ms| wake_at_ms < at_ms)
        {
            cell.scheduled_at_ms = Some(wake_at_ms);
            self.timers.add(wake_at_ms, Arc::downgrade(group));
        }
    }

    /// Appends a group record and tells the group when the record is replicated. This may be immediately.
    fn store(
        &self,
        group: &Arc<Group>,
        cell: &mut GroupCell,
        value: &GroupMetadataValue,
        then: GroupStore,
        now: Now,
    ) {
        let group_id = cell.metadata.id().clone();
        let record = || Ok((log::group_key(&group_id)?, Some(log::group_value(value)?)));
        let batch = match record().map(|record| self.batch(&[record], now)) {
            Ok(batch) => batch,
            Err(error) => {
                let error: LogFormatError = error;
                error!(group = %group_id, %error, "cannot write a group");
                cell.metadata.on_stored(then, ErrorCode::UnknownServerError, now);
                return;
            }
        };
        let mut append = self.append(group.partition, batch, self.config.required_acks, None);
        let code =
            |stored: Result<Offset, ErrorCode>| stored.err().map_or(ErrorCode::None, group_store_error);
        // The append is often complete already.
        if let Some(stored) = (&mut append).now_or_never() {
            return cell.metadata.on_stored(then, code(stored), now);
        }
        let (this, group) = (self.this.clone(), group.clone());
        self.runtime.spawn(async move {
            let code = code(append.await);
            if let Some(coordinator) = this.upgrade() {
                coordinator.drive(&group, |cell, now| cell.metadata.on_stored(then, code, now));
            }
        });
    }

    /// Appends to a partition of the offsets topic, waiting at most `offsets.commit.timeout.ms`.
    pub(super) fn append(
        &self,
        partition: i32,
        batch: Bytes,
        required_acks: i16,
        guard: Option<VerificationGuard>,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>> {
        let options = AppendOptions {
            required_acks,
            timeout: self.config.commit_timeout,
            guard,
        };
        self.log.append(partition, batch, options)
    }

    /// Builds a batch of records with the timestamp `now`, compressed with `offsets.topic.compression.codec`.
    pub(super) fn batch(&self, records: &[(Bytes, Option<Bytes>)], now: Now) -> Bytes {
        let batch = BatchBuilder::new(0).compression(self.config.compression, None);
        build(batch, records, now)
    }

    /// Builds the same batch as part of a transaction.
    pub(super) fn transactional_batch(
        &self,
        records: &[(Bytes, Option<Bytes>)],
        producer: &TransactionalProducer,
        now: Now,
    ) -> Bytes {
        let batch = BatchBuilder::new(0)
            .compression(self.config.compression, None)
            .producer(producer.producer_id, producer.producer_epoch, NO_SEQUENCE)
            .transactional(true);
        build(batch, records, now)
    }

    /// Calls `tick` on every group whose deadline has passed.
    pub fn tick(&self) {
        for (deadline_ms, group) in self.timers.take_due(self.clock.monotonic_ms()) {
            let Some(group) = group.upgrade() else {
                continue;
            };
            self.drive(&group, |cell, now| {
                if cell.scheduled_at_ms == Some(deadline_ms) {
                    cell.scheduled_at_ms = None;
                    cell.metadata.tick(now);
                }
            });
        }
    }
}

fn build(mut batch: BatchBuilder, records: &[(Bytes, Option<Bytes>)], now: Now) -> Bytes {
    for (key, value) in records {
        batch.append(now.wall_ms, Some(key), value.as_deref(), &[]);
    }
    batch.build()
}

/// Waits for one deadline after another until the coordinator is dropped.
async fn run_timers(coordinator: Weak<GroupCoordinator>) {
    while let Some(this) = coordinator.upgrade() {
        this.tick();
        let delay_ms = this
            .timers
            .next_ms()
            .map(|at_ms| at_ms - this.clock.monotonic_ms());
        let sleep = async {
            match delay_ms {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms.max(0) as u64)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = this.timers.earlier() => {}
        }
    }
}

/// The error code for the members when the group record cannot be written.
fn group_store_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::RequestTimedOut => ErrorCode::RebalanceInProgress,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            error!(%error, "a group's record is larger than the offsets topic allows");
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;

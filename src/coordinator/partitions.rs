//! Owns the partitions of a coordinator's topic that this broker leads, and their state. A partition is loaded when
//! this broker becomes its leader and dropped when another broker does. The state is generic: groups or transactional
//! ids. Kafka 3.9: the same parts of `GroupMetadataManager` and `TransactionStateManager`.
//!
//! ```text
//!            begin_load               finish
//! Elsewhere ------------> Loading ------------> Owned
//!     ^                      |                    |
//!     +---- give_up, resign -+------- resign -----+
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::coordinator_log::CoordinatorLog;
use super::replay::{LoadError, for_each_batch};
use crate::common::clock::SharedClock;
use crate::common::coordinator_key::partition_for;
use crate::common::error::ErrorCode;
use crate::common::ids::LeaderEpoch;
use crate::metrics::{MetricName, Registry, SampledTimes};
use crate::record::RecordBatch;

/// How many partitions of a topic are loaded at the same time. Kafka loads one at a time.
const CONCURRENT_LOADS: usize = 2;

/// Whether this broker owns a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ownership {
    /// Another broker owns the partition, or none does.
    #[default]
    Elsewhere,
    /// This broker owns the partition when it has read the log.
    Loading {
        /// The number of the valid load. Earlier loads are outdated.
        load: u64,
    },
    /// This broker owns the partition.
    Owned,
}

/// One partition and its state.
#[derive(Default)]
pub(super) struct Partition<T> {
    /// The epoch of the latest leadership change. A late change with an earlier epoch is ignored (fact 62).
    latest_epoch: Option<LeaderEpoch>,
    /// The epoch in which this broker became the leader. An election of the current leader does not change it.
    leader_since: Option<LeaderEpoch>,
    ownership: Ownership,
    /// Empty unless the partition is owned.
    pub(super) state: T,
}

impl<T> Partition<T> {
    /// Returns an error if this broker does not own the partition.
    pub(super) fn check_ownership(&self) -> Result<(), ErrorCode> {
        match self.ownership {
            Ownership::Owned => Ok(()),
            Ownership::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
            Ownership::Elsewhere => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Whether the partition is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        matches!(self.ownership, Ownership::Loading { .. })
    }

    fn is_loaded_by(&self, load: Load) -> bool {
        self.ownership == Ownership::Loading { load: load.number }
    }

    /// The epoch in which this broker became the leader. `None` if it never did.
    pub(super) fn leader_since(&self) -> Option<LeaderEpoch> {
        self.leader_since
    }

    /// Records a leadership change. Returns false if a later change was recorded before. A change without an epoch
    /// (StopReplica from an old controller) is always valid.
    fn advance_epoch(&mut self, epoch: Option<LeaderEpoch>) -> bool {
        if epoch.is_some() && epoch < self.latest_epoch {
            return false;
        }
        self.latest_epoch = epoch.or(self.latest_epoch);
        true
    }
}

/// A load in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) partition: i32,
    number: u64,
    begun_ms: i64,
}

/// The configuration of a coordinator's partitions.
pub(super) struct PartitionsConfig {
    /// The coordinator's topic.
    pub(super) topic: &'static str,
    /// The type name of the coordinator's metrics.
    pub(super) metrics_kind: &'static str,
    /// How many partitions the topic has, or gets when it is created. As in Kafka, the number is fixed at start: with
    /// another number, keys would map to other partitions than those that have their state.
    pub(super) count: i32,
    /// The size of one read in bytes.
    pub(super) load_buffer_size: usize,
}

/// All partitions of a coordinator's topic.
pub(super) struct Partitions<T> {
    config: PartitionsConfig,
    partitions: Box<[RwLock<Partition<T>>]>,
    log: Arc<dyn CoordinatorLog>,
    clock: SharedClock,
    next_load: AtomicU64,
    turns: Arc<Semaphore>,
    load_times_ms: Arc<SampledTimes>,
    stop: CancellationToken,
}

impl<T: Default> Partitions<T> {
    /// Creates the partitions; none is owned. Loads end when `stop` is cancelled.
    pub(super) fn new(
        config: PartitionsConfig,
        log: Arc<dyn CoordinatorLog>,
        clock: SharedClock,
        stop: CancellationToken,
        metrics: &Registry,
    ) -> Self {
        let (topic, count) = (config.topic, config.count);
        assert!(count > 0, "{topic} has {count} partitions");
        let name = MetricName::new("kafka.server", config.metrics_kind, "partition-load-time");
        Self {
            partitions: (0..count).map(|_| RwLock::default()).collect(),
            config,
            log,
            clock,
            next_load: AtomicU64::new(0),
            turns: Arc::new(Semaphore::new(CONCURRENT_LOADS)),
            load_times_ms: metrics.sampled_times(name),
            stop,
        }
    }

    /// The number of partitions.
    pub(super) fn count(&self) -> i32 {
        self.config.count
    }

    /// The number of the partition that a key belongs to.
    pub(super) fn number_for(&self, key: &str) -> i32 {
        partition_for(key, self.count())
    }

    /// The partition that a key belongs to.
    pub(super) fn of_key(&self, key: &str) -> &RwLock<Partition<T>> {
        &self.partitions[self.number_for(key) as usize]
    }

    /// The partition with this number. `None` if it did not exist when this broker started.
    pub(super) fn get(&self, partition: i32) -> Option<&RwLock<Partition<T>>> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }

    /// All partitions, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RwLock<Partition<T>>> {
        self.partitions.iter()
    }

    /// Whether a partition is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.iter().any(|partition| partition.read().is_loading())
    }

    /// This broker became leader of a partition in this epoch. Requests for the partition are answered with
    /// COORDINATOR_LOAD_IN_PROGRESS until [`Self::finish`]. `None` if there is nothing to load.
    pub(super) fn begin_load(&self, partition: i32, epoch: LeaderEpoch) -> Option<Load> {
        let (topic, number) = (self.config.topic, partition);
        let Some(entry) = self.get(partition) else {
            error!(
                topic,
                partition,
                "the topic has more partitions than when this broker started, nothing is kept in this one"
            );
            return None;
        };
        let mut partition = entry.write();
        if !partition.advance_epoch(Some(epoch)) {
            let current = partition.latest_epoch;
            info!(
                topic,
                partition = number,
                epoch,
                current,
                "ignoring a late election"
            );
            return None;
        }
        if partition.ownership != Ownership::Elsewhere {
            debug!(topic, partition = number, epoch, "elected again as coordinator");
            return None;
        }
        let load = Load {
            partition: number,
            number: self.next_load.fetch_add(1, Ordering::Relaxed),
            begun_ms: self.clock.monotonic_ms(),
        };
        partition.ownership = Ownership::Loading { load: load.number };
        partition.leader_since = Some(epoch);
        info!(
            topic,
            partition = number,
            epoch,
            "elected as coordinator, loading"
        );
        Some(load)
    }

    /// Runs the blocking work of a load when it is the load's turn. `None` if this broker stops before.
    pub(super) async fn in_turn<R: Send + 'static>(
        &self,
        load: Load,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        let turn = self.turns.clone().acquire_owned();
        let Some(Ok(_turn)) = self.stop.run_until_cancelled(turn).await else {
            return None;
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => Some(result),
            Err(error) => {
                let (topic, partition) = (self.config.topic, load.partition);
                error!(topic, partition, %error, "loading a partition has failed");
                None
            }
        }
    }

    /// Whether the load is still valid.
    pub(super) fn is_current(&self, load: Load) -> bool {
        let entry = self.get(load.partition);
        !self.stop.is_cancelled() && entry.is_some_and(|entry| entry.read().is_loaded_by(load))
    }

    /// Passes every batch of the partition to `apply`. Blocks. Returns false if the partition cannot be read. Then it
    /// does not become owned, because its keys would look unused.
    pub(super) fn replay(&self, load: Load, apply: impl FnMut(&RecordBatch<'_>)) -> bool {
        let Load { partition, .. } = load;
        let is_current = || self.is_current(load);
        match for_each_batch(
            &*self.log,
            partition,
            self.config.load_buffer_size,
            is_current,
            apply,
        ) {
            Ok(()) => true,
            Err(LoadError::Superseded) => false,
            Err(error) => {
                error!(topic = self.config.topic, partition, %error, "cannot load a partition");
                if let Some(mut entry) = self.get(partition).map(RwLock::write)
                    && entry.is_loaded_by(load)
                {
                    entry.ownership = Ownership::Elsewhere;
                }
                false
            }
        }
    }

    /// Stores the loaded state; the partition becomes owned. `settle` runs under the partition's lock, before the first
    /// request can see the state. Returns false if the partition has moved during the load.
    pub(super) fn finish(&self, load: Load, loaded: T, prepare: impl FnOnce(&mut T, T)) -> bool {
        let (topic, number) = (self.config.topic, load.partition);
        let Some(entry) = self.get(number) else {
            return false;
        };
        let mut partition = entry.write();
        if !partition.is_loaded_by(load) {
            debug!(
                topic,
                partition = number,
                "the partition has moved while it was being loaded"
            );
            return false;
        }
        let meanwhile = std::mem::replace(&mut partition.state, loaded);
        partition.ownership = Ownership::Owned;
        prepare(&mut partition.state, meanwhile);
        drop(partition);
        let took_ms = self.clock.monotonic_ms() - load.begun_ms;
        self.load_times_ms.record(took_ms as f64);
        info!(topic, partition = number, took_ms, "loaded a partition");
        true
    }

    /// This broker no longer leads a partition. `epoch` is `None` if the controller sent none. Returns the partition's
    /// state, or `None` if a later leadership change was recorded before.
    pub(super) fn resign(&self, partition: i32, epoch: Option<LeaderEpoch>) -> Option<T> {
        let (topic, number) = (self.config.topic, partition);
        let mut partition = self.get(partition)?.write();
        if !partition.advance_epoch(epoch) {
            let current = partition.latest_epoch;
            info!(
                topic,
                partition = number,
                epoch,
                current,
                "ignoring a late resignation"
            );
            return None;
        }
        let was = std::mem::take(&mut partition.ownership);
        let state = std::mem::take(&mut partition.state);
        drop(partition);
        if was != Ownership::Elsewhere {
            info!(topic, partition = number, epoch, "resigned as coordinator");
        }
        Some(state)
    }

    /// Gives up all partitions. Returns their states.
    pub(super) fn clear(&self) -> Vec<T> {
        let clear = |entry: &RwLock<Partition<T>>| std::mem::take(&mut *entry.write()).state;
        self.iter().map(clear).collect()
    }
}

#[cfg(test)]
mod tests;

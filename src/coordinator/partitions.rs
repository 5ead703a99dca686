//! Which partitions of a coordinator's topic this broker answers for, and what each of them holds: loaded when it begins to
//! lead one, given up when it ceases to. Knows nothing of what that is: groups or transactional ids.
//! Kafka 3.9: what `GroupMetadataManager` and `TransactionStateManager` each have of this.
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

/// How many partitions of a topic are loaded at the same time. Kafka loads one after the other.
const CONCURRENT_LOADS: usize = 2;

/// Whether this broker answers for a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ownership {
    /// Another broker, or none.
    #[default]
    Elsewhere,
    /// This broker, as soon as it has read the log.
    Loading {
        /// Which of the loads that were begun is the valid one.
        load: u64,
    },
    /// This broker.
    Owned,
}

/// One partition and what it holds.
#[derive(Default)]
pub(super) struct Partition<T> {
    /// Of the latest change of leadership; an earlier one that comes late is ignored (fact 62).
    latest_epoch: Option<LeaderEpoch>,
    /// The epoch in which this broker became its leader. Elections of a leader change nothing.
    leader_since: Option<LeaderEpoch>,
    ownership: Ownership,
    /// Empty unless it is owned.
    pub(super) state: T,
}

impl<T> Partition<T> {
    /// Why this broker does not answer for it, if so.
    pub(super) fn check_ownership(&self) -> Result<(), ErrorCode> {
        match self.ownership {
            Ownership::Owned => Ok(()),
            Ownership::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
            Ownership::Elsewhere => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Whether it is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        matches!(self.ownership, Ownership::Loading { .. })
    }

    fn is_loaded_by(&self, load: Load) -> bool {
        self.ownership == Ownership::Loading { load: load.number }
    }

    /// The epoch in which this broker became its leader, if it ever did.
    pub(super) fn leader_since(&self) -> Option<LeaderEpoch> {
        self.leader_since
    }

    /// Takes note of a change of leadership; false if a later one came before it. A change without an epoch (an
    /// old controller's StopReplica) always counts.
    fn advance_epoch(&mut self, epoch: Option<LeaderEpoch>) -> bool {
        if epoch.is_some() && epoch < self.latest_epoch {
            return false;
        }
        self.latest_epoch = epoch.or(self.latest_epoch);
        true
    }
}

/// A load that was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) partition: i32,
    number: u64,
    begun_ms: i64,
}

/// What the partitions of both coordinators have in common.
pub(super) struct PartitionsConfig {
    /// The coordinator's topic.
    pub(super) topic: &'static str,
    /// Type of the coordinator's metrics.
    pub(super) metrics_kind: &'static str,
    /// How many partitions the topic has, or would have. Fixed from now on, as in Kafka: keys would move to other
    /// partitions, and leave what they are about behind.
    pub(super) count: i32,
    /// How many bytes are read at once.
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
    /// None is owned. Loads end when `stop` is cancelled.
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

    /// How many there are.
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

    /// A partition, unless there was none of this number when this broker started.
    pub(super) fn get(&self, partition: i32) -> Option<&RwLock<Partition<T>>> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RwLock<Partition<T>>> {
        self.partitions.iter()
    }

    /// Whether any of them is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.iter().any(|partition| partition.read().is_loading())
    }

    /// This broker leads a partition since this epoch: requests for it are told to wait from now on, until
    /// [`Self::finish`]. `None` if there is nothing to load.
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

    /// Runs what blocks when it is a load's turn; `None` if this broker stops before.
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

    /// Whether anybody still waits for a load.
    pub(super) fn is_current(&self, load: Load) -> bool {
        let entry = self.get(load.partition);
        !self.stop.is_cancelled() && entry.is_some_and(|entry| entry.read().is_loaded_by(load))
    }

    /// Shows every batch of the partition to `apply`; blocks. False if it could not be read: then it is not owned, for its
    /// keys would seem never to have been used.
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

    /// The partition holds what was loaded from now on, and is owned. `prepare` comes before the first request can see it:
    /// the partition is still locked. False if it has moved meanwhile.
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

    /// This broker does not lead a partition any more; no epoch if the controller named none. Returns what it held; `None`
    /// if a later change of leadership came before.
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

    /// Gives everything up; returns what was held.
    pub(super) fn clear(&self) -> Vec<T> {
        let clear = |entry: &RwLock<Partition<T>>| std::mem::take(&mut *entry.write()).state;
        self.iter().map(clear).collect()
    }
}

#[cfg(test)]
mod tests;

//! What is to be known about the replicas on this broker, under Kafka's metric names. Kafka 3.9:
//! `ReplicaManagerMetrics`, the gauges of `Partition`.

use std::sync::Arc;

use parking_lot::Mutex;

use super::manager::ReplicaManager;
use crate::metrics::{MetricName, Registry};

/// How much longer than `transaction.max.timeout.ms` a transaction is silent before it counts as late.
const LATE_TRANSACTION_BUFFER_MS: i64 = 5 * 60 * 1000;

/// The state of all replicas at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaMetrics {
    /// `PartitionCount`: replicas that are served.
    pub partitions: usize,
    /// `LeaderCount`.
    pub leaders: usize,
    /// `OfflineReplicaCount`: replicas in failed log dirs.
    pub offline_replicas: usize,
    /// `UnderReplicatedPartitions`: led here, with fewer replicas in the ISR than assigned.
    pub under_replicated_partitions: usize,
    /// `UnderMinIsrPartitionCount`.
    pub under_min_isr_partitions: usize,
    /// `AtMinIsrPartitionCount`.
    pub at_min_isr_partitions: usize,
    /// `ProducerIdCount`: producers that the logs know.
    pub producer_ids: usize,
    /// `PartitionsWithLateTransactionsCount`: led here, with a transaction that its producer seems to have left open.
    pub partitions_with_late_transactions: usize,
    /// `IsrExpandsPerSec`, counted.
    pub isr_expands: u64,
    /// `IsrShrinksPerSec`, counted.
    pub isr_shrinks: u64,
    /// `FailedIsrUpdatesPerSec`, counted.
    pub failed_isr_updates: u64,
    /// `ReplicaFetcherManager.MaxLag`, in records.
    pub max_lag: i64,
    /// `FailedPartitionsCount`: followers that were given up until the controller speaks of them.
    pub failed_partitions: usize,
    /// `ReplicaAlterLogDirsManager.MaxLag`, in records.
    pub log_dir_move_max_lag: i64,
    /// `FailedPartitionsCount` of moves between log dirs.
    pub failed_log_dir_moves: usize,
    /// `PurgatorySize` of Produce.
    pub delayed_produce: usize,
    /// `PurgatorySize` of Fetch.
    pub delayed_fetch: usize,
    /// `PurgatorySize` of DeleteRecords.
    pub delayed_delete_records: usize,
    /// `NumIncrementalFetchSessions`.
    pub fetch_sessions: usize,
    /// `NumIncrementalFetchPartitionsCached`.
    pub fetch_session_partitions: usize,
}

impl ReplicaManager {
    /// Looks at every partition.
    pub fn metrics(&self) -> ReplicaMetrics {
        let mut metrics = ReplicaMetrics {
            isr_expands: self.alter_partition.counters.expands.count(),
            isr_shrinks: self.alter_partition.counters.shrinks.count(),
            failed_isr_updates: self.alter_partition.counters.failed_updates.count(),
            max_lag: self.fetchers.max_lag(),
            failed_partitions: self.fetchers.failed_partitions(),
            log_dir_move_max_lag: self.log_dirs.mover.max_lag(),
            failed_log_dir_moves: self.log_dirs.mover.failed_partitions(),
            delayed_produce: self.delayed.produce.delayed(),
            delayed_fetch: self.delayed.fetch.delayed(),
            delayed_delete_records: self.delayed.delete_records.delayed(),
            fetch_sessions: self.fetch_sessions.sessions(),
            fetch_session_partitions: self.fetch_sessions.cached_partitions(),
            ..ReplicaMetrics::default()
        };
        metrics.offline_replicas = self.partitions.offline();
        let now_ms = self.clock.wall_ms();
        let late_ms = i64::from(self.config.transaction_max_timeout_ms) + LATE_TRANSACTION_BUFFER_MS;
        for partition in self.online_partitions() {
            metrics.partitions += 1;
            let (producer_ids, oldest_transaction_ms) = partition
                .log()
                .map(|log| log.producer_figures())
                .unwrap_or_default();
            metrics.producer_ids += producer_ids;
            let (state, Ok(log)) = (partition.state(), partition.leader_log()) else {
                continue;
            };
            metrics.leaders += 1;
            let is_late = oldest_transaction_ms.is_some_and(|at| at > 0 && now_ms - at > late_ms);
            metrics.partitions_with_late_transactions += usize::from(is_late);
            let isr = state.isr().committed().len();
            let min_isr = state.effective_min_isr(log.config().min_insync_replicas);
            // Replicas that are being added are not missing yet.
            let assigned = state.assignment().replicas.iter();
            let expected = assigned
                .filter(|id| !state.assignment().adding.contains(id))
                .count();
            metrics.under_replicated_partitions += usize::from(isr < expected);
            metrics.under_min_isr_partitions += usize::from(isr < min_isr);
            metrics.at_min_isr_partitions += usize::from(isr == min_isr);
        }
        metrics
    }
}

/// A gauge of Kafka's: type, name, tag if it has one, and which of the figures it shows.
type Gauge = (
    &'static str,
    &'static str,
    Option<Tag>,
    fn(&ReplicaMetrics) -> f64,
);
type Tag = (&'static str, &'static str);

const FETCHER: Option<Tag> = Some(("clientId", "Replica"));
const MOVER: Option<Tag> = Some(("clientId", "ReplicaAlterLogDirs"));
const PRODUCE: Option<Tag> = Some(("delayedOperation", "Produce"));
const FETCH: Option<Tag> = Some(("delayedOperation", "Fetch"));
const DELETE_RECORDS: Option<Tag> = Some(("delayedOperation", "DeleteRecords"));

#[rustfmt::skip]
const GAUGES: &[Gauge] = &[
    ("ReplicaManager", "PartitionCount", None, |m| m.partitions as f64),
    ("ReplicaManager", "LeaderCount", None, |m| m.leaders as f64),
    ("ReplicaManager", "OfflineReplicaCount", None, |m| m.offline_replicas as f64),
    ("ReplicaManager", "UnderReplicatedPartitions", None, |m| m.under_replicated_partitions as f64),
    ("ReplicaManager", "UnderMinIsrPartitionCount", None, |m| m.under_min_isr_partitions as f64),
    ("ReplicaManager", "AtMinIsrPartitionCount", None, |m| m.at_min_isr_partitions as f64),
    ("ReplicaManager", "ProducerIdCount", None, |m| m.producer_ids as f64),
    ("ReplicaManager", "PartitionsWithLateTransactionsCount", None, |m| m.partitions_with_late_transactions as f64),
    ("ReplicaFetcherManager", "MaxLag", FETCHER, |m| m.max_lag as f64),
    ("ReplicaFetcherManager", "FailedPartitionsCount", FETCHER, |m| m.failed_partitions as f64),
    ("ReplicaAlterLogDirsManager", "MaxLag", MOVER, |m| m.log_dir_move_max_lag as f64),
    ("ReplicaAlterLogDirsManager", "FailedPartitionsCount", MOVER, |m| m.failed_log_dir_moves as f64),
    ("DelayedOperationPurgatory", "PurgatorySize", PRODUCE, |m| m.delayed_produce as f64),
    ("DelayedOperationPurgatory", "PurgatorySize", FETCH, |m| m.delayed_fetch as f64),
    ("DelayedOperationPurgatory", "PurgatorySize", DELETE_RECORDS, |m| m.delayed_delete_records as f64),
    ("FetchSessionCache", "NumIncrementalFetchSessions", None, |m| m.fetch_sessions as f64),
    ("FetchSessionCache", "NumIncrementalFetchPartitionsCached", None, |m| m.fetch_session_partitions as f64),
];

/// For how long the figures that one gauge had counted serve the others, in milliseconds: a scrape asks them all.
const FRESH_MS: i64 = 500;

/// Registers the gauges; they hold the manager weakly.
pub(super) fn register(manager: &Arc<ReplicaManager>, metrics: &Registry) {
    let counted: Arc<Mutex<Option<(i64, ReplicaMetrics)>>> = Arc::default();
    for (kind, name, tag, figure) in GAUGES {
        let name = MetricName::new("kafka.server", kind, *name);
        let name = tag.iter().fold(name, |name, (key, value)| name.tag(*key, *value));
        let (manager, counted) = (Arc::downgrade(manager), counted.clone());
        metrics.gauge(name, move || {
            let Some(manager) = manager.upgrade() else {
                return 0.0;
            };
            let now = manager.clock.monotonic_ms();
            let mut counted = counted.lock();
            match &*counted {
                Some((at, figures)) if now - at < FRESH_MS => figure(figures),
                _ => figure(&counted.insert((now, manager.metrics())).1),
            }
        });
    }
}

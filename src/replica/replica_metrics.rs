//! The metrics of the replicas on this broker, with Kafka's names. Kafka 3.9: `ReplicaManagerMetrics`, the gauges of
//! `Partition`.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::clock::SharedClock;
use crate::metrics::{MetricName, Registry};

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
    /// `ProducerIdCount`: the number of producers that the logs know.
    pub producer_ids: usize,
    /// `PartitionsWithLateTransactionsCount`: partitions led here with an open transaction whose producer has been
    /// silent for too long.
    pub partitions_with_late_transactions: usize,
    /// `IsrExpandsPerSec`: the number of expansions.
    pub isr_expands: u64,
    /// `IsrShrinksPerSec`: the number of shrinks.
    pub isr_shrinks: u64,
    /// `FailedIsrUpdatesPerSec`: the number of failed updates.
    pub failed_isr_updates: u64,
    /// `ReplicaFetcherManager.MaxLag`, in records.
    pub max_lag: i64,
    /// `FailedPartitionsCount`: followers whose fetching was given up until the controller names them again.
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

/// A gauge of Kafka's: type, name, tag if it has one, and the value that it shows.
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

/// The time in milliseconds for which the gauges share one look at the replicas: a scrape reads all gauges.
const FRESH_MS: i64 = 500;

/// Registers the gauges. `read` looks at every replica, and returns `None` when the broker is gone.
pub(super) fn register(
    metrics: &Registry,
    clock: &SharedClock,
    read: impl Fn() -> Option<ReplicaMetrics> + Clone + Send + Sync + 'static,
) {
    let counted: Arc<Mutex<Option<(i64, ReplicaMetrics)>>> = Arc::default();
    for (kind, name, tag, value) in GAUGES {
        let name = MetricName::new("kafka.server", kind, *name);
        let name = tag.iter().fold(name, |name, (key, value)| name.tag(*key, *value));
        let (read, clock, counted) = (read.clone(), clock.clone(), counted.clone());
        metrics.gauge(name, move || {
            let now = clock.monotonic_ms();
            let mut counted = counted.lock();
            match &*counted {
                Some((at, replicas)) if now - at < FRESH_MS => value(replicas),
                _ => read().map_or(0.0, |replicas| value(&counted.insert((now, replicas)).1)),
            }
        });
    }
}

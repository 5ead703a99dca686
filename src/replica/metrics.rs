//! Reads the values of [`ReplicaMetrics`] from every partition of this broker.

use super::manager::ReplicaManager;
use super::replica_metrics::ReplicaMetrics;

/// A transaction is late when it has been silent for `transaction.max.timeout.ms` plus this time.
const LATE_TRANSACTION_BUFFER_MS: i64 = 5 * 60 * 1000;

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
            // A replica that a reassignment is adding does not count as missing yet.
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

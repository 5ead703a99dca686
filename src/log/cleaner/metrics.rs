//! The cleaner's metrics, with Kafka's names and meaning. Kafka 3.9: the gauges of `LogCleaner` and
//! `LogCleanerManager`.

use std::path::Path;
use std::sync::Arc;

use super::LogCleaner;
use super::stats::{CleanerStats, PreCleanStats};
use crate::log::LogManager;
use crate::metrics::{MetricName, Registry};

/// Registers the gauges, which hold a weak reference to the manager.
pub(in crate::log) fn register(manager: &Arc<LogManager>, metrics: &Registry) {
    let gauge = |name: MetricName, value: fn(&LogCleaner) -> f64| {
        let weak = Arc::downgrade(manager);
        metrics.gauge(name, move || {
            weak.upgrade().map_or(0.0, |manager| value(manager.cleaner()))
        });
    };
    let cleaner = |name: &str| MetricName::new("kafka.log", "LogCleaner", name);
    gauge(cleaner("cleaner-recopy-percent"), recopy_percent);
    gauge(cleaner("max-clean-time-secs"), |cleaner| {
        max(cleaner, |stats, _| stats.elapsed_secs()).trunc()
    });
    gauge(cleaner("max-buffer-utilization-percent"), |cleaner| {
        max(cleaner, |stats, _| 100.0 * stats.buffer_utilization).trunc()
    });
    gauge(cleaner("max-compaction-delay-secs"), |cleaner| {
        max(cleaner, |_, pre_clean| {
            pre_clean.max_compaction_delay_ms as f64 / 1000.0
        })
        .trunc()
    });
    gauge(cleaner("DeadThreadCount"), |cleaner| {
        cleaner.dead_threads() as f64
    });
    gauge(of_manager("max-dirty-percent"), |cleaner| {
        (100.0 * cleaner.manager().dirtiest_ratio()).trunc()
    });
    gauge(of_manager("time-since-last-run-ms"), |cleaner| {
        cleaner.manager().time_since_last_run_ms() as f64
    });
    for dir in manager.cleaner().manager().dirs() {
        let path = dir.dir.path().to_owned();
        per_dir(
            manager,
            metrics,
            "uncleanable-partitions-count",
            &path,
            |cleaner, dir| {
                let all = cleaner.manager().uncleanable_partitions();
                all.iter()
                    .filter(|(_, quarantined)| quarantined.dir == *dir)
                    .count() as f64
            },
        );
        per_dir(manager, metrics, "uncleanable-bytes", &path, |cleaner, dir| {
            cleaner.manager().uncleanable_bytes(dir) as f64
        });
    }
}

fn of_manager(name: &str) -> MetricName {
    MetricName::new("kafka.log", "LogCleanerManager", name)
}

fn per_dir(
    manager: &Arc<LogManager>,
    metrics: &Registry,
    name: &str,
    dir: &Path,
    value: fn(&LogCleaner, &Path) -> f64,
) {
    let (weak, path) = (Arc::downgrade(manager), dir.to_path_buf());
    metrics.gauge(of_manager(name).tag("logDirectory", dir.display()), move || {
        weak.upgrade()
            .map_or(0.0, |manager| value(manager.cleaner(), &path))
    });
}

/// The largest value among the threads' last rounds.
fn max(cleaner: &LogCleaner, value: impl Fn(&CleanerStats, &PreCleanStats) -> f64) -> f64 {
    let rounds = cleaner.last_rounds();
    rounds
        .iter()
        .map(|(stats, pre_clean)| value(stats, pre_clean))
        .fold(0.0, f64::max)
}

/// Percentage of the bytes read by the last cleans that they wrote again.
fn recopy_percent(cleaner: &LogCleaner) -> f64 {
    let rounds = cleaner.last_rounds();
    let written: u64 = rounds.iter().map(|(stats, _)| stats.bytes_written).sum();
    let read: u64 = rounds.iter().map(|(stats, _)| stats.bytes_read).sum();
    (100.0 * written as f64 / read.max(1) as f64).trunc()
}

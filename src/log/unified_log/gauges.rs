//! The gauges of each log under Kafka's names. Kafka 3.9: `UnifiedLog.newMetrics`.

use std::path::Path;

use super::UnifiedLog;
use crate::log::names::{PartitionDirKind, parse_partition_dir};
use crate::metrics::MetricName;

/// Reads the value of a gauge from its log.
type GaugeValue = fn(&UnifiedLog) -> f64;

/// The gauges of a log.
const GAUGES: [(&str, GaugeValue); 4] = [
    ("NumLogSegments", |log| log.number_of_segments() as f64),
    ("LogStartOffset", |log| log.log_start_offset() as f64),
    ("LogEndOffset", |log| log.log_end_offset() as f64),
    ("Size", |log| log.size() as f64),
];

impl UnifiedLog {
    /// Registers the gauges of the log in this directory.
    pub(super) fn register_metrics(&self, path: &Path) {
        for (name, read) in GAUGES {
            let me = self.me.clone();
            let value = move || me.upgrade().map_or(0.0, |log| read(&log));
            self.context
                .metrics
                .registry
                .gauge(self.metric(name, path), value);
        }
    }

    /// Removes these gauges.
    pub(super) fn unregister_metrics(&self, path: &Path) {
        for (name, _) in GAUGES {
            self.context.metrics.registry.remove(&self.metric(name, path));
        }
    }

    fn metric(&self, name: &str, path: &Path) -> MetricName {
        let metric = MetricName::new("kafka.log", "Log", name)
            .tag("topic", &self.partition.topic)
            .tag("partition", self.partition.partition);
        let directory = path.file_name().and_then(|name| name.to_str());
        match directory.and_then(parse_partition_dir) {
            Some((_, PartitionDirKind::Future)) => metric.tag("is-future", true),
            _ => metric,
        }
    }
}

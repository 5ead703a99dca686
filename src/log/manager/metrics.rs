//! The metrics of the log dirs, with Kafka's names. Kafka 3.9: the gauges of `LogManager`.

use std::sync::{Arc, Weak};

use super::LogManager;
use crate::metrics::{MetricName, Registry};

/// Registers the gauges, which hold a weak reference to the manager.
pub(super) fn register(manager: &Arc<LogManager>, metrics: &Registry) {
    let weak = Arc::downgrade(manager);
    metrics.gauge(name("OfflineLogDirectoryCount"), move || {
        let count = |manager: Arc<LogManager>| manager.dirs.iter().filter(|d| d.dir.is_offline()).count();
        weak.upgrade().map_or(0.0, |manager| count(manager) as f64)
    });
    for (i, managed) in manager.dirs.iter().enumerate() {
        let weak: Weak<LogManager> = Arc::downgrade(manager);
        let name = name("LogDirectoryOffline").tag("logDirectory", managed.dir.path().display());
        metrics.gauge(name, move || {
            let is_offline = |manager: Arc<LogManager>| manager.dirs[i].dir.is_offline();
            f64::from(u8::from(weak.upgrade().is_some_and(is_offline)))
        });
    }
}

pub(super) fn name(name: &str) -> MetricName {
    MetricName::new("kafka.log", "LogManager", name)
}

//! What is to be known about the groups on this broker, under Kafka's metric names. Kafka 3.9: the gauges of
//! `GroupMetadataManager`.

use std::sync::Arc;

use super::coordinator::GroupCoordinator;
use crate::metrics::{MetricName, Registry};

/// Registers the gauges; they hold the coordinator weakly.
pub(super) fn register(coordinator: &Arc<GroupCoordinator>, metrics: &Registry) {
    let weak = Arc::downgrade(coordinator);
    let name = MetricName::new("kafka.coordinator.group", "GroupMetadataManager", "NumGroups");
    metrics.gauge(name, move || {
        weak.upgrade()
            .map_or(0.0, |coordinator| coordinator.groups().len() as f64)
    });
}

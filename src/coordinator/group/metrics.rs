//! What is to be known about the groups on this broker, under Kafka's metric names. Kafka 3.9: the gauges and sensors of
//! `GroupMetadataManager`.

use std::sync::{Arc, Weak};

use super::coordinator::GroupCoordinator;
use super::state::GroupState;
use crate::metrics::{Histogram, Meter, MetricName, Registry};

/// What is counted when it happens.
pub(super) struct GroupMeters {
    /// Offsets that were committed.
    pub(super) offset_commits: Arc<Meter>,
    /// Offsets whose retention was over.
    pub(super) offset_expirations: Arc<Meter>,
    /// Offsets that were deleted by request or with their topic.
    pub(super) offset_deletions: Arc<Meter>,
    /// How long it took to read a partition, in milliseconds.
    pub(super) partition_load_time_ms: Arc<Histogram>,
}

impl GroupMeters {
    pub(super) fn new(metrics: &Registry) -> Self {
        let name = |name: &str| MetricName::new("kafka.server", "group-coordinator-metrics", name);
        Self {
            offset_commits: metrics.meter(name("offset-commit")),
            offset_expirations: metrics.meter(name("offset-expiration")),
            offset_deletions: metrics.meter(name("offset-deletion")),
            partition_load_time_ms: metrics.histogram(name("partition-load-time")),
        }
    }
}

/// Registers the gauges; they hold the coordinator weakly.
pub(super) fn register(coordinator: &Arc<GroupCoordinator>, metrics: &Registry) {
    let gauge = |name: String, value: Box<dyn Fn(&GroupCoordinator) -> usize + Send + Sync>| {
        let weak: Weak<GroupCoordinator> = Arc::downgrade(coordinator);
        let name = MetricName::new("kafka.coordinator.group", "GroupMetadataManager", name);
        metrics.gauge(name, move || {
            weak.upgrade()
                .map_or(0.0, |coordinator| value(&coordinator) as f64)
        });
    };
    gauge("NumGroups".into(), Box::new(|c| c.groups().len()));
    gauge("NumOffsets".into(), Box::new(number_of_offsets));
    for state in GroupState::ALL {
        let in_state = move |c: &GroupCoordinator| {
            let groups = c.groups().into_iter();
            groups.filter(|group| group.view(|g| g.state() == state)).count()
        };
        gauge(format!("NumGroups{}", state.name()), Box::new(in_state));
    }
}

fn number_of_offsets(coordinator: &GroupCoordinator) -> usize {
    let groups = coordinator.groups().into_iter();
    groups.map(|group| group.view(|g| g.offsets.len())).sum()
}

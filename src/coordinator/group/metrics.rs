//! Owns the metrics of the groups on this broker, under Kafka's metric names. Kafka 3.9: the gauges and sensors of
//! `GroupMetadataManager`.

use std::sync::Arc;

use super::partition_groups::Group;
use super::state::GroupState;
use crate::metrics::{MetricName, Registry, SampledRate};

/// The type name of metrics from Kafka's own metrics library.
pub(super) const METRICS_KIND: &str = "group-coordinator-metrics";

/// The meters that count events.
pub(super) struct GroupMeters {
    /// Committed offsets.
    pub(super) offset_commits: Arc<SampledRate>,
    /// Expired offsets.
    pub(super) offset_expirations: Arc<SampledRate>,
    /// Offsets deleted by a request.
    pub(super) offset_deletions: Arc<SampledRate>,
    /// Rebalances whose assignment is in the log.
    pub(super) completed_rebalances: Arc<SampledRate>,
}

impl GroupMeters {
    pub(super) fn new(metrics: &Registry) -> Self {
        let rate = |name| metrics.sampled_rate(MetricName::new("kafka.server", METRICS_KIND, name));
        Self {
            offset_commits: rate("offset-commit"),
            offset_expirations: rate("offset-expiration"),
            offset_deletions: rate("offset-deletion"),
            completed_rebalances: rate("group-completed-rebalance"),
        }
    }
}

/// Registers the gauges. `groups` returns the groups of this broker.
pub(super) fn register(
    metrics: &Registry,
    groups: impl Fn() -> Vec<Arc<Group>> + Clone + Send + Sync + 'static,
) {
    let gauge = |name: String, value: Box<dyn Fn(Vec<Arc<Group>>) -> usize + Send + Sync>| {
        let groups = groups.clone();
        let name = MetricName::new("kafka.coordinator.group", "GroupMetadataManager", name);
        metrics.gauge(name, move || value(groups()) as f64);
    };
    gauge("NumGroups".into(), Box::new(|groups| groups.len()));
    gauge("NumOffsets".into(), Box::new(number_of_offsets));
    for state in GroupState::ALL {
        let in_state = move |groups: Vec<Arc<Group>>| {
            let groups = groups.into_iter();
            groups.filter(|group| group.view(|g| g.state() == state)).count()
        };
        gauge(format!("NumGroups{}", state.name()), Box::new(in_state));
    }
}

fn number_of_offsets(groups: Vec<Arc<Group>>) -> usize {
    let groups = groups.into_iter();
    groups.map(|group| group.view(|g| g.offsets.len())).sum()
}

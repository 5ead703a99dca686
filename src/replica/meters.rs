//! Counts ISR changes and expired requests under Kafka's metric names.

use std::sync::Arc;

use crate::metrics::{Meter, MetricName, Registry};

/// Counts the outcomes of ISR changes.
pub(super) struct IsrCounters {
    pub(super) expands: Arc<Meter>,
    pub(super) shrinks: Arc<Meter>,
    pub(super) failed_updates: Arc<Meter>,
}

impl IsrCounters {
    pub(super) fn new(metrics: &Registry) -> Self {
        let meter = |name: &str| metrics.meter(MetricName::new("kafka.server", "ReplicaManager", name));
        Self {
            expands: meter("IsrExpandsPerSec"),
            shrinks: meter("IsrShrinksPerSec"),
            failed_updates: meter("FailedIsrUpdatesPerSec"),
        }
    }
}

/// Counts requests that timed out while they waited.
pub(super) struct Expirations {
    pub(super) produce: Arc<Meter>,
    pub(super) fetch_of_follower: Arc<Meter>,
    pub(super) fetch_of_consumer: Arc<Meter>,
}

impl Expirations {
    pub(super) fn new(metrics: &Registry) -> Self {
        let name = |of: &'static str| MetricName::new("kafka.server", of, "ExpiresPerSec");
        let fetch = |of: &str| metrics.meter(name("DelayedFetchMetrics").tag("fetcherType", of));
        Self {
            produce: metrics.meter(name("DelayedProduceMetrics")),
            fetch_of_follower: fetch("follower"),
            fetch_of_consumer: fetch("consumer"),
        }
    }
}

//! Owns the metrics of the markers that are being sent, under Kafka's metric names. Kafka 3.9: the gauges of
//! `TransactionMarkerChannelManager`.

use std::sync::{Arc, Weak};

use super::marker_channel::MarkerChannel;
use crate::metrics::{Meter, MetricName, Registry};

/// Counts the failed attempts to write a marker. Kafka does not have this metric.
pub(super) fn retries(metrics: &Registry) -> Arc<Meter> {
    metrics.meter(name("MarkerRetriesPerSec"))
}

fn name(name: &str) -> MetricName {
    MetricName::new(
        "kafka.coordinator.transaction",
        "TransactionMarkerChannelManager",
        name,
    )
}

/// Registers the gauges. They do not keep the channel alive.
pub(super) fn register(markers: &Arc<MarkerChannel>, metrics: &Registry) {
    let gauge = |of: &str, size: fn(&MarkerChannel) -> usize| {
        let weak: Weak<MarkerChannel> = Arc::downgrade(markers);
        metrics.gauge(name(of), move || {
            weak.upgrade().map_or(0.0, |markers| size(&markers) as f64)
        });
    };
    gauge(
        "UnknownDestinationQueueSize",
        MarkerChannel::unknown_destination_queue_size,
    );
    gauge(
        "LogAppendRetryQueueSize",
        MarkerChannel::log_append_retry_queue_size,
    );
}

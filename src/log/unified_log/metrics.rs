//! The metrics of each log, with Kafka's names. Kafka 3.9: `UnifiedLog.newMetrics`, `LogFlushStats`.

use std::sync::Arc;

use crate::metrics::{MetricName, Registry, Timer};

/// The metrics of the logs of a dir.
pub struct LogMetrics {
    pub(super) registry: Registry,
    /// How often segments are flushed, and how long it takes.
    pub flush: Arc<Timer>,
}

impl LogMetrics {
    /// Metrics in this registry.
    pub fn new(registry: &Registry) -> Self {
        let flush = MetricName::new("kafka.log", "LogFlushStats", "LogFlushRateAndTimeMs");
        Self {
            registry: registry.clone(),
            flush: registry.timer(flush),
        }
    }
}

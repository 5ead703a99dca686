//! Where the logs of a log dir report, and how often their segments are flushed. Kafka 3.9: `LogFlushStats`.

use std::sync::Arc;

use crate::metrics::{MetricName, Registry, Timer};

/// Where the logs of a dir report.
pub struct LogMetrics {
    pub(super) registry: Registry,
    /// How often segments go to disk and how long it takes.
    pub flush: Arc<Timer>,
}

impl LogMetrics {
    /// What reports to this registry.
    pub fn new(registry: &Registry) -> Self {
        let flush = MetricName::new("kafka.log", "LogFlushStats", "LogFlushRateAndTimeMs");
        Self {
            registry: registry.clone(),
            flush: registry.timer(flush),
        }
    }
}

//! Owns the metrics of requests: their number, and the time of each phase. Kafka 3.9: `RequestMetrics`,
//! `RequestChannel.Metrics`.
//!
//! The metrics of an API, and of a version, are created at its first request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::metrics::{Histogram, Meter, MetricName, Registry, Timer};
use crate::protocol::ApiKey;

/// The array sizes: above the highest API key and, for `VERSIONS`, above the highest version of any API.
const API_KEYS: usize = 96;
const VERSIONS: usize = 24;

/// The metrics of all APIs.
pub(super) struct RequestMetrics {
    registry: Registry,
    apis: [OnceLock<Box<ApiMetrics>>; API_KEYS],
}

/// The metrics of one API.
pub(super) struct ApiMetrics {
    requests: [OnceLock<Arc<Meter>>; VERSIONS],
    bytes: Arc<Histogram>,
    queue: Arc<Timer>,
    local: Arc<Timer>,
    remote: Arc<Timer>,
    send: Arc<Timer>,
    total: Arc<Timer>,
}

/// The time of each phase of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestTimes {
    /// Until the handler starts.
    pub(super) queue: Duration,
    /// Until the handler is done or waits.
    pub(super) local: Duration,
    /// The time in a purgatory.
    pub(super) remote: Duration,
    /// Until the operating system has the response.
    pub(super) send: Duration,
}

fn name(api: ApiKey, name: &str) -> MetricName {
    MetricName::new("kafka.network", "RequestMetrics", name).tag("request", api.name())
}

impl RequestMetrics {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            apis: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// Records a request that is answered or needs no answer.
    pub(super) fn record(&self, api: ApiKey, version: i16, bytes: usize, times: RequestTimes) {
        let Some(slot) = self.apis.get(api.code() as usize) else {
            return;
        };
        let metrics = slot.get_or_init(|| Box::new(self.register(api)));
        // Only ApiVersions is answered in a version that the API does not support.
        let version = version.clamp(*api.versions().start(), *api.versions().end());
        if let Some(requests) = metrics.requests.get(version as usize) {
            let name = || name(api, "RequestsPerSec").tag("version", version);
            requests.get_or_init(|| self.registry.meter(name())).mark(1);
        }
        metrics.bytes.update(bytes as u64);
        metrics.queue.update(times.queue);
        metrics.local.update(times.local);
        metrics.remote.update(times.remote);
        metrics.send.update(times.send);
        metrics
            .total
            .update(times.queue + times.local + times.remote + times.send);
    }

    fn register(&self, api: ApiKey) -> ApiMetrics {
        let timer = |metric| self.registry.timer(name(api, metric));
        ApiMetrics {
            requests: std::array::from_fn(|_| OnceLock::new()),
            bytes: self.registry.histogram(name(api, "RequestBytes")),
            queue: timer("RequestQueueTimeMs"),
            local: timer("LocalTimeMs"),
            remote: timer("RemoteTimeMs"),
            send: timer("ResponseSendTimeMs"),
            total: timer("TotalTimeMs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_and_version_has_its_place() {
        let registry = Registry::default();
        let metrics = RequestMetrics::new(registry.clone());
        for &api in ApiKey::ALL {
            for version in api.versions() {
                let times = RequestTimes {
                    local: Duration::from_millis(2),
                    ..RequestTimes::default()
                };
                metrics.record(api, version, 100, times);
                let meter = registry.meter(name(api, "RequestsPerSec").tag("version", version));
                assert_eq!(meter.count(), 1, "{api:?} {version}");
            }
        }
        let of_fetch = registry.timer(name(ApiKey::Fetch, "TotalTimeMs"));
        assert_eq!(of_fetch.count(), 18);
        assert_eq!(of_fetch.snapshot().min, 2000);
    }
}

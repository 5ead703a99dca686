//! Owns the metrics of one listener's connections. Kafka 3.9: `Selector.SelectorMetrics`, MBean
//! `kafka.server:type=socket-server-metrics,listener=L,networkProcessor=0`.
//!
//! Kafka has one set for each network thread; here a listener has one. Connections without TLS and SASL count in no
//! authentication metric. A TLS handshake counts as an authentication.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::{MetricName, Registry, SampledRate, SampledTimes};

/// The metrics of one listener.
pub(super) struct ListenerMetrics {
    pub(super) successful_authentication: Arc<SampledRate>,
    pub(super) failed_authentication: Arc<SampledRate>,
    pub(super) successful_reauthentication: Arc<SampledRate>,
    pub(super) failed_reauthentication: Arc<SampledRate>,
    /// In milliseconds.
    pub(super) reauthentication_latency: Arc<SampledTimes>,
    pub(super) connection_creation: Arc<SampledRate>,
    pub(super) connection_close: Arc<SampledRate>,
    /// Authentications of clients that cannot renew their session: those that use SaslAuthenticate 0 or bare tokens.
    successful_without_reauthentication: Arc<AtomicU64>,
    /// Connections closed because a request came after the end of the session.
    expired_killed: Arc<AtomicU64>,
}

impl ListenerMetrics {
    /// Registers the metrics of a listener.
    pub(super) fn new(registry: &Registry, listener: &str) -> Self {
        let name = |name: &str| {
            MetricName::new("kafka.server", "socket-server-metrics", name)
                .tag("listener", listener)
                .tag("networkProcessor", 0)
        };
        let rate = |stem: &str| {
            let rate = registry.sampled_rate(name(stem));
            let total = rate.clone();
            registry.gauge(name(&format!("{stem}-total")), move || total.count() as f64);
            rate
        };
        let counter = |attribute: &str| {
            let counter = Arc::new(AtomicU64::new(0));
            let shown = counter.clone();
            registry.gauge(name(attribute), move || shown.load(Ordering::Relaxed) as f64);
            counter
        };
        let connection_creation = rate("connection-creation");
        let connection_close = rate("connection-close");
        let (created, closed) = (connection_creation.clone(), connection_close.clone());
        registry.gauge(name("connection-count"), move || {
            let closed = closed.count();
            created.count().saturating_sub(closed) as f64
        });
        Self {
            successful_authentication: rate("successful-authentication"),
            failed_authentication: rate("failed-authentication"),
            successful_reauthentication: rate("successful-reauthentication"),
            failed_reauthentication: rate("failed-reauthentication"),
            reauthentication_latency: registry.sampled_times(name("reauthentication-latency")),
            connection_creation,
            connection_close,
            successful_without_reauthentication: counter("successful-authentication-no-reauth-total"),
            expired_killed: counter("expired-connections-killed-count"),
        }
    }

    /// A client that cannot renew its session has proved its identity.
    pub(super) fn authenticated_for_good(&self) {
        self.successful_without_reauthentication
            .fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed at the end of its session.
    pub(super) fn killed_expired(&self) {
        self.expired_killed.fetch_add(1, Ordering::Relaxed);
    }
}

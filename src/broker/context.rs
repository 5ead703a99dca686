//! What all parts of one broker are built with.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::common::clock::SharedClock;
use crate::config::BrokerConfig;
use crate::metrics::Registry;
use crate::zk::ZkStore;

/// The configuration, the session, the clock and the metrics of one broker.
pub(super) struct BrokerContext {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) zk: Arc<dyn ZkStore>,
    pub(super) clock: SharedClock,
    pub(super) metrics: Registry,
    /// Ends the tasks that are not stopped in an order of their own.
    pub(super) stop: CancellationToken,
}

impl BrokerContext {
    pub(super) fn new(config: Arc<BrokerConfig>, zk: Arc<dyn ZkStore>, clock: SharedClock) -> Self {
        Self {
            config,
            zk,
            metrics: Registry::new(clock.clone()),
            clock,
            stop: CancellationToken::new(),
        }
    }
}

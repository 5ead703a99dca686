//! Owns the objects that all parts of one broker share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::common::clock::SharedClock;
use crate::config::BrokerConfig;
use crate::metrics::Registry;
use crate::network::{ChannelBuilder, ListenerSecurities};
use crate::zk::ZkStore;

/// The configuration, the session, the clock and the metrics of one broker.
pub(super) struct BrokerContext {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) zk: Arc<dyn ZkStore>,
    pub(super) clock: SharedClock,
    pub(super) metrics: Registry,
    /// Opens the connections to other brokers.
    pub(super) channels: ChannelBuilder,
    /// What the listeners want of their clients.
    pub(super) securities: ListenerSecurities,
    /// Stops the tasks for which the order of stopping does not matter.
    pub(super) stop: CancellationToken,
}

impl BrokerContext {
    pub(super) fn new(
        config: &Arc<BrokerConfig>,
        zk: &Arc<dyn ZkStore>,
        clock: &SharedClock,
        channels: ChannelBuilder,
        securities: ListenerSecurities,
    ) -> Self {
        Self {
            config: config.clone(),
            zk: zk.clone(),
            metrics: Registry::new(clock.clone()),
            clock: clock.clone(),
            channels,
            securities,
            stop: CancellationToken::new(),
        }
    }
}

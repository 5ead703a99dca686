//! Holds the broker's current configuration, for components that read settings that may change at run time. Kafka 3.9:
//! `KafkaConfig.currentConfig`.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::broker::BrokerConfig;

/// One configuration that all its clones share: a new configuration that is stored through one clone is seen by all.
#[derive(Clone)]
pub struct CurrentConfig(Arc<ArcSwap<BrokerConfig>>);

impl CurrentConfig {
    /// Starts with the configuration that the broker is started with.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// The current configuration.
    pub fn load(&self) -> Arc<BrokerConfig> {
        self.0.load_full()
    }

    /// Replaces the current configuration.
    pub fn store(&self, config: Arc<BrokerConfig>) {
        self.0.store(config);
    }
}

/// Shows no values: they are many, and some are secret.
impl fmt::Debug for CurrentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentConfig")
    }
}

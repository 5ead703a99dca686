//! The broker's configuration as it is now, for those who read settings that may change at run time.
//! Kafka 3.9: `KafkaConfig.currentConfig`.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::broker::BrokerConfig;

/// One configuration, shared: who stores another one changes it for every holder.
#[derive(Clone)]
pub struct CurrentConfig(Arc<ArcSwap<BrokerConfig>>);

impl CurrentConfig {
    /// Begins with what the broker is started with.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// The configuration at this moment.
    pub fn load(&self) -> Arc<BrokerConfig> {
        self.0.load_full()
    }

    /// Puts another one in its place.
    pub fn store(&self, config: Arc<BrokerConfig>) {
        self.0.store(config);
    }
}

/// The configuration itself is long, and its values may be secret.
impl fmt::Debug for CurrentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentConfig")
    }
}

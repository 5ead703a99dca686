//! The configurations as they are now: what the file says, overlaid by what ZooKeeper says.
//! Kafka 3.9: `DynamicBrokerConfig`, `ZkConfigRepository`.
//!
//! A broker's setting is looked for in `/config/brokers/ID`, then `/config/brokers/<default>`, then the file, then
//! Kafka's defaults; a topic's in `/config/topics/T`, then its broker's settings. Entities are replaced whole, never
//! merged (trap 10).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tracing::warn;

use super::entity_config::{self, Overrides};
use crate::common::ids::TopicName;
use crate::config::definition::{
    ConfigKey, Support, UpdateMode, broker_key, broker_synonyms, dynamic_broker_key, topic_keys,
};
use crate::config::{BrokerConfig, ConfigError, LogConfig, Origin, Properties};
use crate::zk::paths::{self, ConfigEntityType, DEFAULT_ENTITY};
use crate::zk::{ZkError, ZkStore, cluster};

/// The configurations of this broker and of all topics.
pub struct DynamicConfigs {
    /// What the broker was started with, its id resolved.
    started_with: Arc<BrokerConfig>,
    brokers: Mutex<BrokerLayers>,
    current: ArcSwap<BrokerConfig>,
    topics: RwLock<HashMap<TopicName, Overrides>>,
}

/// What ZooKeeper says of brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerLayers {
    /// `/config/brokers/ID` of this broker.
    pub broker: Overrides,
    /// `/config/brokers/<default>`.
    pub default: Overrides,
}

/// Broker settings that their owners follow at run time, beside those that topics inherit.
const FOLLOWED: &[&str] = &[
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
    "producer.id.expiration.ms",
    "transaction.partition.verification.enable",
];

/// Whether a change at run time reaches whoever uses the setting.
pub fn is_reconfigurable(key: &ConfigKey) -> bool {
    if FOLLOWED.contains(&key.name) {
        return true;
    }
    let is_inherited = |topic_key: &ConfigKey| {
        topic_key.support == Support::Honoured && topic_key.inherits.contains(&key.name)
    };
    let is_dynamic_only = broker_key(key.name).is_none();
    key.update != UpdateMode::ReadOnly && (is_dynamic_only || topic_keys().iter().any(is_inherited))
}

impl DynamicConfigs {
    /// Knows the file only. `config.broker_id` is the resolved one.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        Self {
            current: ArcSwap::new(config.clone()),
            started_with: config,
            brokers: Mutex::default(),
            topics: RwLock::default(),
        }
    }

    /// This broker's configuration.
    pub fn current(&self) -> Arc<BrokerConfig> {
        self.current.load_full()
    }

    /// A topic's configuration: its own settings over this broker's.
    pub fn topic_config(&self, topic: &str) -> LogConfig {
        let current = self.current.load();
        match self.topics.read().get(topic) {
            Some(overrides) => LogConfig::from_stored(&current.log_defaults, overrides).0,
            None => current.log_defaults.clone(),
        }
    }

    /// The topics with settings of their own.
    pub fn topics_with_overrides(&self) -> Vec<TopicName> {
        self.topics.read().keys().cloned().collect()
    }

    /// Replaces a topic's own settings; true if they were others before.
    pub fn set_topic(&self, topic: &str, overrides: Overrides) -> bool {
        let mut topics = self.topics.write();
        let before = match overrides.is_empty() {
            true => topics.remove(topic),
            false => topics.insert(topic.into(), overrides.clone()),
        };
        drop(topics);
        if before.unwrap_or_default() == overrides {
            return false;
        }
        for error in LogConfig::from_stored(&self.current.load().log_defaults, &overrides).1 {
            warn!(topic, %error, "part of a topic's configuration is not usable");
        }
        true
    }

    /// What ZooKeeper says of brokers, as it stands there.
    pub fn broker_layers(&self) -> BrokerLayers {
        self.brokers.lock().clone()
    }

    /// Replaces what ZooKeeper says of this broker (its id as name) or of all of them; true if this broker's
    /// configuration is another one now. What is said of other brokers is ignored.
    pub fn set_broker(&self, name: &str, overrides: Overrides) -> bool {
        let mut layers = self.brokers.lock();
        let layer = if name == DEFAULT_ENTITY {
            &mut layers.default
        } else if name == self.started_with.broker_id.to_string() {
            &mut layers.broker
        } else {
            return false;
        };
        if *layer == overrides {
            return false;
        }
        *layer = overrides;
        for (key, _) in layer
            .iter()
            .filter(|(key, _)| !dynamic_broker_key(key).is_some_and(is_reconfigurable))
        {
            warn!(
                key,
                entity = name,
                "a broker's dynamic setting is not honoured yet"
            );
        }
        match self.configured_with(&layers) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                true
            }
            Err(error) => {
                warn!(%error, entity = name, "a broker's dynamic configuration is not usable");
                false
            }
        }
    }

    /// This broker's configuration under other dynamic settings, or why they will not do. Settings that cannot
    /// change at run time are passed over.
    pub fn configured_with(&self, layers: &BrokerLayers) -> Result<BrokerConfig, ConfigError> {
        let (mut config, _) = BrokerConfig::from_properties(&self.effective(layers))?;
        config.broker_id = self.started_with.broker_id;
        config.originals = self.started_with.originals.clone();
        Ok(config)
    }

    /// The file, overlaid by the dynamic settings that are acted on. A setting replaces all its synonyms, also
    /// those that would win over it within one layer.
    pub(super) fn effective(&self, layers: &BrokerLayers) -> Properties {
        let mut properties = self.started_with.originals.clone();
        for (key, value) in layers.default.iter().chain(&layers.broker) {
            if !dynamic_broker_key(key).is_some_and(is_reconfigurable) {
                continue;
            }
            for synonym in broker_synonyms(key) {
                properties.remove(synonym);
            }
            properties.insert(key.clone(), value.clone(), Origin::Dynamic);
        }
        properties
    }

    /// Reads every configuration of brokers and topics and returns the topics whose own settings are others now,
    /// and whether this broker's configuration is.
    pub async fn load(&self, zk: &dyn ZkStore) -> Result<(Vec<TopicName>, bool), ZkError> {
        let own = self.started_with.broker_id.to_string();
        let mut broker_changed = false;
        for name in [DEFAULT_ENTITY, own.as_str()] {
            let overrides = entity_config::read(zk, ConfigEntityType::Brokers, name).await?;
            broker_changed |= self.set_broker(name, overrides);
        }
        let parent = paths::config_entity_type(ConfigEntityType::Topics);
        let mut names = cluster::children(zk, &parent, false).await?;
        let gone = self
            .topics_with_overrides()
            .into_iter()
            .map(|topic| topic.to_string());
        names.extend(gone);
        names.sort_unstable();
        names.dedup();
        Ok((self.load_topics(zk, &names).await?, broker_changed))
    }

    /// Reads the configurations of these topics and returns those whose own settings are others now. A new topic's
    /// are told by no notification: read them before its log is created.
    pub async fn load_topics(&self, zk: &dyn ZkStore, topics: &[String]) -> Result<Vec<TopicName>, ZkError> {
        let mut found = cluster::configs(zk, ConfigEntityType::Topics, topics).await?;
        let changed = topics.iter().filter(|topic| {
            let overrides = found.remove(*topic).unwrap_or_default().config;
            self.set_topic(topic, overrides)
        });
        Ok(changed.map(|topic| topic.as_str().into()).collect())
    }
}

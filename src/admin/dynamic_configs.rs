//! The configurations as they are now: what the file says, overlaid by what ZooKeeper says.
//! Kafka 3.9: `DynamicBrokerConfig`, `ZkConfigRepository`.
//!
//! A broker's setting is looked for in `/config/brokers/ID`, then `/config/brokers/<default>`, then the file, then
//! Kafka's defaults; a topic's in `/config/topics/T`, then its broker's settings. Entities are replaced whole, never
//! merged (fact 10).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tracing::{error, warn};

use super::entity_config::{self, Overrides};
use crate::common::ids::TopicName;
use crate::config::definition::{ConfigKey, broker_synonyms, dynamic_broker_key};
use crate::config::providers::resolve_dynamic;
use crate::config::{BrokerConfig, ConfigError, CurrentConfig, LogConfig, Origin, Properties};
use crate::zk::paths::{self, ConfigEntityType, DEFAULT_ENTITY};
use crate::zk::{ZkError, ZkStore, cluster};

/// The configurations of this broker and of all topics.
pub struct DynamicConfigs {
    /// What the broker was started with, its id resolved.
    started_with: Arc<BrokerConfig>,
    brokers: Mutex<BrokerLayers>,
    current: CurrentConfig,
    topics: RwLock<HashMap<TopicName, Overrides>>,
    /// Topics whose settings were read for a new log; the other logs have not been told of them.
    untold: Mutex<BTreeSet<TopicName>>,
}

/// What ZooKeeper says of brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerLayers {
    /// `/config/brokers/ID` of this broker.
    pub broker: Overrides,
    /// `/config/brokers/<default>`.
    pub default: Overrides,
}

impl DynamicConfigs {
    /// Knows the file only. `config.broker_id` is the resolved one.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        Self {
            current: CurrentConfig::new(config.clone()),
            started_with: config,
            brokers: Mutex::default(),
            topics: RwLock::default(),
            untold: Mutex::default(),
        }
    }

    /// This broker's configuration.
    pub fn current(&self) -> Arc<BrokerConfig> {
        self.current.load()
    }

    /// This broker's configuration as it changes.
    pub fn shared(&self) -> CurrentConfig {
        self.current.clone()
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

    /// Replaces a topic's own settings; true if there is something to tell to those who follow them.
    pub fn set_topic(&self, topic: &str, overrides: Overrides) -> bool {
        let is_other = self.replace_topic(topic, overrides);
        self.untold.lock().remove(topic) || is_other
    }

    /// True if the settings were others before.
    fn replace_topic(&self, topic: &str, overrides: Overrides) -> bool {
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
        for (key, value) in layer.iter() {
            let is_variable = value.contains("${");
            match dynamic_broker_key(key).map(|known| (known.is_reconfigurable(), known.parse(value))) {
                Some((true, Err(error))) if !is_variable => {
                    warn!(%error, entity = name, "a broker's dynamic setting is not usable");
                }
                Some((false, _)) => warn!(
                    key,
                    entity = name,
                    "a broker's dynamic setting is not honoured yet"
                ),
                _ => {}
            }
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

    /// The file, overlaid by the dynamic settings that are acted on, and those that Kafka does not know. A setting
    /// replaces all its synonyms, also those that would win over it within one layer.
    pub(super) fn effective(&self, layers: &BrokerLayers) -> Properties {
        let mut properties = self.started_with.originals.clone();
        for layer in [&layers.default, &layers.broker] {
            let resolved = resolve_dynamic(layer).unwrap_or_else(|error| {
                warn!(%error, "variables of dynamic settings cannot be resolved");
                layer.clone()
            });
            for (key, value) in resolved {
                let is_usable = |known: &ConfigKey| known.is_reconfigurable() && known.parse(&value).is_ok();
                if !dynamic_broker_key(&key).is_none_or(is_usable) {
                    continue;
                }
                for synonym in broker_synonyms(&key) {
                    properties.remove(synonym);
                }
                properties.insert(key, value, Origin::Dynamic);
            }
        }
        properties
    }

    /// Reads every configuration of brokers and topics and returns the topics that are to be told that their own
    /// settings are others now, and whether this broker's configuration is another.
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
        names.extend(self.untold.lock().iter().map(|topic| topic.to_string()));
        names.sort_unstable();
        names.dedup();
        let mut found = cluster::configs(zk, ConfigEntityType::Topics, &names).await?;
        names.retain(|topic| {
            let overrides = found.remove(topic).unwrap_or_default().config;
            self.set_topic(topic, overrides)
        });
        let topics = names.iter().map(|topic| topic.as_str().into());
        Ok((topics.collect(), broker_changed))
    }

    /// Reads the configurations of these topics, whose logs are about to be created: a new topic's are told by no
    /// notification. Where they are others than before, their notification is still to come, or [`Self::load`], and
    /// tells the topic's other logs. Returns these topics.
    pub async fn load_topics(&self, zk: &dyn ZkStore, topics: &[String]) -> Result<Vec<TopicName>, ZkError> {
        let mut found = cluster::configs(zk, ConfigEntityType::Topics, topics).await?;
        let changed = topics.iter().filter(|topic| {
            let overrides = found.remove(*topic).unwrap_or_default().config;
            self.replace_topic(topic, overrides)
        });
        let changed: Vec<TopicName> = changed.map(|topic| topic.as_str().into()).collect();
        self.untold.lock().extend(changed.iter().cloned());
        Ok(changed)
    }

    /// [`Self::load_topics`] for a caller that cannot wait for ZooKeeper longer than `limit`. What is not read by then is
    /// read on, and `on_late` hears which topics' settings are others than those that the caller went on with. After a
    /// session everything is read anyway.
    pub async fn load_topics_within(
        self: &Arc<Self>,
        limit: Duration,
        zk: &Arc<dyn ZkStore>,
        topics: Vec<String>,
        on_late: impl FnOnce(Vec<TopicName>) + Send + 'static,
    ) {
        if topics.is_empty() {
            return;
        }
        let (configs, zk, names) = (self.clone(), zk.clone(), topics.clone());
        let mut reading = tokio::spawn(async move { configs.load_topics(&*zk, &names).await });
        match tokio::time::timeout(limit, &mut reading).await {
            Ok(Ok(Ok(_))) => return,
            Ok(Ok(Err(error))) => {
                warn!(%error, ?topics, "new topics begin with the configuration known so far");
                return;
            }
            Ok(Err(error)) => {
                error!(%error, ?topics, "the configurations of new topics were not read");
                return;
            }
            Err(_) => warn!(
                ?topics,
                "ZooKeeper does not answer: new topics begin with the configuration known so far"
            ),
        }
        tokio::spawn(async move {
            match reading.await {
                Ok(Ok(changed)) => on_late(changed),
                Ok(Err(error)) => warn!(%error, ?topics, "the configurations of new topics cannot be read"),
                Err(error) => error!(%error, ?topics, "the configurations of new topics were not read"),
            }
        });
    }
}

//! Owns the current configurations: the file, overridden by the settings in ZooKeeper. Kafka 3.9:
//! `DynamicBrokerConfig`, `ZkConfigRepository`.
//!
//! A broker's setting comes from the first place that has it: `/config/brokers/ID`, `/config/brokers/<default>`, the
//! file, Kafka's defaults. A topic's setting comes from `/config/topics/T`, or else from its broker's settings. The
//! settings of an entity are replaced as a whole, never merged (fact 10).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tracing::{error, warn};

use super::broker_passwords::BrokerPasswords;
use super::entity_config::{self, Overrides};
use super::user_credentials;
use crate::common::ids::TopicName;
use crate::config::definition::{ConfigKey, broker_synonyms, dynamic_broker_key};
use crate::config::providers::resolve_dynamic;
use crate::config::{BrokerConfig, ConfigError, CurrentConfig, LogConfig, Origin, Properties};
use crate::security::sasl::ScramCredentialCache;
use crate::zk::paths::{self, ConfigEntityType, DEFAULT_ENTITY};
use crate::zk::{ZkError, ZkStore, cluster};

/// The configurations of this broker and of all topics.
pub struct DynamicConfigs {
    /// The configuration at the start of the broker, with the resolved id.
    started_with: Arc<BrokerConfig>,
    /// The passwords in `brokers` are in the clear.
    brokers: Mutex<BrokerLayers>,
    pub(super) passwords: BrokerPasswords,
    current: CurrentConfig,
    topics: RwLock<HashMap<TopicName, Overrides>>,
    /// What the settings of users say of their passwords.
    scram_credentials: ScramCredentialCache,
    /// Topics whose changed settings were read for a new log, but not yet passed on to their other logs.
    untold: Mutex<BTreeSet<TopicName>>,
}

/// The settings of brokers in ZooKeeper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerLayers {
    /// `/config/brokers/ID` of this broker.
    pub broker: Overrides,
    /// `/config/brokers/<default>`.
    pub default: Overrides,
}

impl DynamicConfigs {
    /// Starts with the settings of the file only. `config.broker_id` is the resolved id.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        Self {
            current: CurrentConfig::new(config.clone()),
            passwords: BrokerPasswords::new(&config),
            started_with: config,
            brokers: Mutex::default(),
            topics: RwLock::default(),
            scram_credentials: ScramCredentialCache::default(),
            untold: Mutex::default(),
        }
    }

    /// This broker's configuration.
    pub fn current(&self) -> Arc<BrokerConfig> {
        self.current.load()
    }

    /// This broker's configuration, as a handle that always has the current one.
    pub fn shared(&self) -> CurrentConfig {
        self.current.clone()
    }

    /// The users' credentials, as a handle that always has the current ones.
    pub fn scram_credentials(&self) -> &ScramCredentialCache {
        &self.scram_credentials
    }

    /// A topic's configuration: its own settings, and this broker's for all other keys.
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

    /// Replaces a topic's own settings. Returns true if the topic's logs must learn of a change.
    pub fn set_topic(&self, topic: &str, overrides: Overrides) -> bool {
        let is_other = self.replace_topic(topic, overrides);
        self.untold.lock().remove(topic) || is_other
    }

    /// Returns true if the settings changed.
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

    /// The settings of brokers as they are in ZooKeeper.
    pub fn broker_layers(&self) -> BrokerLayers {
        self.brokers.lock().clone()
    }

    /// Replaces the settings in ZooKeeper of this broker (`name` is its id) or of all brokers. `stored` has them as
    /// they are there, with encoded passwords. Returns true if this broker's configuration changed. Settings of other
    /// brokers are ignored.
    pub fn set_broker(&self, name: &str, stored: Overrides) -> bool {
        if name != DEFAULT_ENTITY && name != self.started_with.broker_id.to_string() {
            return false;
        }
        // Decoding is slow on purpose, so it does not hold the lock.
        let overrides = self.passwords.decode(stored);
        let mut layers = self.brokers.lock();
        let layer = if name == DEFAULT_ENTITY {
            &mut layers.default
        } else {
            &mut layers.broker
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

    /// This broker's configuration with other dynamic settings, or the error if it is invalid. Settings that cannot
    /// change at run time are skipped.
    pub fn configured_with(&self, layers: &BrokerLayers) -> Result<BrokerConfig, ConfigError> {
        let (mut config, _) = BrokerConfig::from_properties(&self.effective(layers))?;
        config.broker_id = self.started_with.broker_id;
        config.originals = self.started_with.originals.clone();
        config.system_properties = self.started_with.system_properties.clone();
        Ok(config)
    }

    /// The settings of the file, overridden by the dynamic settings that can take effect and by those that Kafka does
    /// not know. A dynamic setting replaces all its synonyms, even those that have priority over it within one layer.
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

    /// Encodes the passwords of this broker again that only `password.encoder.old.secret` decodes.
    pub async fn encode_passwords_again(&self, zk: &dyn ZkStore) -> Result<(), ZkError> {
        let own = self.started_with.broker_id.to_string();
        self.passwords.encode_again(zk, &own).await
    }

    /// Reads the configurations of this broker, of all users and of all topics. Returns the topics whose logs must
    /// learn of a change, and whether this broker's configuration changed.
    pub async fn load(&self, zk: &dyn ZkStore) -> Result<(Vec<TopicName>, bool), ZkError> {
        let own = self.started_with.broker_id.to_string();
        let mut broker_changed = false;
        for name in [DEFAULT_ENTITY, own.as_str()] {
            let overrides = entity_config::read(zk, ConfigEntityType::Brokers, name).await?;
            broker_changed |= self.set_broker(name, overrides);
        }
        user_credentials::load(zk, &self.scram_credentials).await?;
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

    /// Reads the configurations of topics whose logs are about to be created: no notification announces the settings of
    /// a new topic. Returns the topics whose settings changed. Their other logs learn of the change later, by its
    /// notification or by [`Self::load`].
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

    /// Does the same as [`Self::load_topics`], for a caller that cannot wait for ZooKeeper longer than `limit`. After
    /// that time the read continues in the background, and `on_late` gets the topics whose settings differ from those
    /// that the caller used. When a new session starts, all settings are read anyway.
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

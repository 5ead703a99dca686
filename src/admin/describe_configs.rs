//! Describes configurations: every setting with its source and its synonyms. Kafka 3.9: `ConfigHelper`.

use std::sync::Arc;

use super::dynamic_configs::BrokerLayers;
use super::entity_config::{self, Overrides};
use super::error::AdminError;
use super::manager::AdminManager;
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::common::topic_name;
use crate::config::definition::{
    ConfigKey, ConfigType, UpdateMode, Value, broker_key, broker_keys, broker_synonyms, documentation,
    topic_keys,
};
use crate::config::{BrokerConfig, Properties};
use crate::zk::paths::ConfigEntityType;

const TOPIC: i8 = 2;
/// The number of the resource type BROKER in requests.
pub const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;

/// Kafka's message for requests that make no sense.
const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or the \
                         message was sent to an incompatible broker. See the broker logs for more details.";

/// The resource that has a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// This broker.
    Broker,
    /// The dynamic default of all brokers.
    BrokerDefault,
    /// The loggers of this broker's process.
    BrokerLogger,
}

impl ConfigResource {
    /// The resource to describe, or the error if it has no configuration here: a broker answers only for itself.
    pub fn to_describe(kind: i8, name: &str, own_id: BrokerId) -> Result<Self, AdminError> {
        let refuse = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
        let own = |resource, what, other: Sentence| if_own(resource, name, own_id, what, other);
        match kind {
            BROKER if name.is_empty() => Ok(Self::BrokerDefault),
            BROKER => own(Self::Broker, "Broker", &|id| {
                format!("Unexpected broker id, expected {own_id} or empty string, but received {id}")
            }),
            CLIENT_METRICS if name.is_empty() => {
                refuse("Client metrics subscription name must not be empty".into())
            }
            CLIENT_METRICS => refuse("Config type client-metrics is only supported on KRaft clusters".into()),
            BROKER_LOGGER if name.is_empty() => refuse("Broker id must not be empty".into()),
            BROKER_LOGGER => own(Self::BrokerLogger, "Broker", &|id| {
                format!("Unexpected broker id, expected {own_id} but received {id}")
            }),
            TOPIC => Ok(Self::Topic(name.to_string())),
            _ => refuse(MALFORMED.into()),
        }
    }

    /// The resource whose settings are to be replaced, or the error if that is not possible. Loggers can only be
    /// changed key by key.
    pub fn to_replace(kind: i8, name: &str, own_id: BrokerId) -> Result<Self, AdminError> {
        match kind {
            BROKER_LOGGER => Err(AdminError::new(
                ErrorCode::InvalidRequest,
                format!("Unknown resource type {kind}"),
            )),
            _ => Self::to_alter(kind, name, own_id),
        }
    }

    /// The resource to alter, or the error if it cannot be altered here.
    pub fn to_alter(kind: i8, name: &str, own_id: BrokerId) -> Result<Self, AdminError> {
        let refuse = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
        let own = |resource, what, other: Sentence| if_own(resource, name, own_id, what, other);
        match kind {
            BROKER if name.is_empty() => Ok(Self::BrokerDefault),
            BROKER => own(Self::Broker, "Node", &|id| {
                format!("Unexpected broker id, expected {own_id}, but received {id}")
            }),
            CLIENT_METRICS => refuse(
                "AlterConfigs is only supported for topics and brokers, but resource type is CLIENT_METRICS"
                    .into(),
            ),
            BROKER_LOGGER => {
                // Kafka's message says that it received this broker's own id.
                own(Self::BrokerLogger, "Node", &|id| {
                    format!("Unexpected node id. Expected {own_id}, but received {id}")
                })
            }
            TOPIC => Ok(Self::Topic(name.to_string())),
            _ => refuse(format!("Unknown resource type {kind}")),
        }
    }
}

/// The message about the id of another broker.
type Sentence<'a> = &'a dyn Fn(BrokerId) -> String;

/// The resource, if its name is this broker's id. Kafka's message about a wrong id differs by request.
fn if_own(
    resource: ConfigResource,
    name: &str,
    own_id: BrokerId,
    what: &str,
    other: Sentence,
) -> Result<ConfigResource, AdminError> {
    let message = match name.parse::<BrokerId>() {
        Ok(id) if id == own_id => return Ok(resource),
        Ok(id) => other(id),
        Err(_) => format!("{what} id must be an integer, but it is: {name}"),
    };
    Err(AdminError::new(ErrorCode::InvalidRequest, message))
}

/// The source of a value; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, clippy::enum_variant_names, reason = "Kafka's own names")]
#[repr(i8)]
pub enum ConfigSource {
    TopicConfig = 1,
    DynamicBrokerConfig = 2,
    DynamicDefaultBrokerConfig = 3,
    StaticBrokerConfig = 4,
    DefaultConfig = 5,
    DynamicBrokerLoggerConfig = 6,
}

/// One setting.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigEntry {
    /// Its key.
    pub name: String,
    /// Its value; `None` if it is null or a secret.
    pub value: Option<String>,
    /// The source of the value.
    pub source: ConfigSource,
    /// Whether only the file can change it.
    pub read_only: bool,
    /// Whether the value is a secret.
    pub sensitive: bool,
    /// Its type; `None` for a key that Kafka does not know.
    pub kind: Option<ConfigType>,
    /// Every place that has a value for the setting; the place that has priority comes first.
    pub synonyms: Vec<ConfigSynonym>,
    /// The documentation of the key; `None` for a key that Kafka does not know.
    pub documentation: Option<&'static str>,
}

/// A place that has a value for a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The name of the key in that place.
    pub name: String,
    /// The value in that place; `None` if it is a secret.
    pub value: Option<String>,
    /// The source that the place stands for.
    pub source: ConfigSource,
}

impl AdminManager {
    /// Every setting of a resource.
    pub async fn describe_configs(&self, resource: &ConfigResource) -> Result<Vec<ConfigEntry>, AdminError> {
        match resource {
            ConfigResource::Topic(topic) => {
                topic_name::validate(topic)
                    .map_err(|why| AdminError::new(ErrorCode::InvalidTopicException, why))?;
                if !self.metadata.snapshot().topics.contains_key(topic.as_str()) {
                    return Err(ErrorCode::UnknownTopicOrPartition.into());
                }
                let overrides = entity_config::read(&*self.zk, ConfigEntityType::Topics, topic).await?;
                Ok(self.topic_entries(&overrides))
            }
            ConfigResource::Broker => Ok(self.view().broker_entries()),
            ConfigResource::BrokerDefault => Ok(self.view().broker_default_entries()),
            ConfigResource::BrokerLogger => Ok(self.logger_entries()),
        }
    }

    fn logger_entries(&self) -> Vec<ConfigEntry> {
        let described = self.loggers.describe().into_iter();
        let entry = |(name, level): (&str, &str)| ConfigEntry {
            name: name.to_owned(),
            value: Some(level.to_owned()),
            source: ConfigSource::DynamicBrokerLoggerConfig,
            read_only: false,
            sensitive: false,
            kind: None,
            synonyms: vec![],
            documentation: None,
        };
        described.map(entry).collect()
    }

    /// Every setting of a topic that has these overrides.
    pub(super) fn topic_entries(&self, overrides: &Overrides) -> Vec<ConfigEntry> {
        self.view().topic_entries(overrides)
    }

    fn view(&self) -> View {
        let layers = self.configs.broker_layers();
        View {
            config: self.configs.current(),
            effective: self.configs.effective(&layers),
            layers,
        }
    }
}

/// The key that a listener's own key replaces. The key of a mechanism of the listener has none here, as in Kafka.
fn key_of_listener(name: &str) -> Option<&'static ConfigKey> {
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    broker_key(base)
}

/// The configuration at one moment, with all its layers.
struct View {
    config: Arc<BrokerConfig>,
    effective: Properties,
    layers: BrokerLayers,
}

impl View {
    fn broker_entries(&self) -> Vec<ConfigEntry> {
        let known = broker_keys().filter(|key| !key.is_internal());
        let known = known.map(|key| self.broker_entry(key.name, Some(key), self.broker_value(key)));
        let unknown = self
            .effective
            .iter()
            .filter(|(name, _)| broker_key(name).is_none());
        let unknown = unknown.map(|(name, property)| {
            self.broker_entry(name, key_of_listener(name), Some(property.value.clone()))
        });
        let mut entries: Vec<ConfigEntry> = known.chain(unknown).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// The settings of the dynamic default only; keys that are not set in it are left out.
    fn broker_default_entries(&self) -> Vec<ConfigEntry> {
        let entry = |(name, value): (&String, &String)| {
            let key = broker_key(name).or_else(|| key_of_listener(name));
            let mut entry = self.broker_entry(name, key, Some(value.clone()));
            entry
                .synonyms
                .retain(|s| s.source == ConfigSource::DynamicDefaultBrokerConfig);
            entry.source = entry
                .synonyms
                .first()
                .map_or(ConfigSource::DefaultConfig, |s| s.source);
            entry
        };
        self.layers.default.iter().map(entry).collect()
    }

    /// Describes one broker key. A key that Kafka does not know may have any value, so it counts as secret.
    fn broker_entry(&self, name: &str, key: Option<&ConfigKey>, value: Option<String>) -> ConfigEntry {
        let sensitive = key.is_none_or(ConfigKey::is_sensitive);
        let synonyms = self.synonyms(name, sensitive);
        ConfigEntry {
            name: name.to_string(),
            value: value.filter(|_| !sensitive),
            source: synonyms.first().map_or(ConfigSource::DefaultConfig, |s| s.source),
            // As in Kafka, the keys of a listener count as read-only, although they can change.
            read_only: key.is_none_or(|key| key.update == UpdateMode::ReadOnly || key.name != name),
            sensitive,
            kind: key.map(|key| key.kind),
            synonyms,
            documentation: documentation::of_broker_key(name),
        }
    }

    /// The value of a broker key, as Kafka writes a value of its type.
    fn broker_value(&self, key: &ConfigKey) -> Option<String> {
        let text = self.effective.get(key.name).or(key.default)?;
        Some(
            key.parse(text)
                .map_or_else(|_| text.to_string(), |value| value.to_string()),
        )
    }

    /// Every place that has a value for `name` or one of its synonyms, layer by layer. As in Kafka, places before the
    /// first one that has `name` itself are left out.
    fn synonyms(&self, name: &str, sensitive: bool) -> Vec<ConfigSynonym> {
        let names = broker_synonyms(name);
        let mut synonyms = Vec::new();
        let mut add = |name: &str, value: Option<&str>, source| {
            if let Some(value) = value {
                synonyms.push(ConfigSynonym {
                    name: name.to_string(),
                    value: Some(value.to_string()).filter(|_| !sensitive),
                    source,
                });
            }
        };
        for name in &names {
            let value = self.layers.broker.get(*name).map(String::as_str);
            add(name, value, ConfigSource::DynamicBrokerConfig);
        }
        for name in &names {
            let value = self.layers.default.get(*name).map(String::as_str);
            add(name, value, ConfigSource::DynamicDefaultBrokerConfig);
        }
        for name in &names {
            add(
                name,
                self.config.originals.get(name),
                ConfigSource::StaticBrokerConfig,
            );
        }
        for name in &names {
            add(
                name,
                broker_key(name).and_then(|key| key.default),
                ConfigSource::DefaultConfig,
            );
        }
        synonyms.into_iter().skip_while(|s| s.name != name).collect()
    }

    fn topic_entries(&self, overrides: &Overrides) -> Vec<ConfigEntry> {
        topic_keys()
            .iter()
            .map(|key| self.topic_entry(key, overrides.get(key.name)))
            .collect()
    }

    /// Describes one topic key. A stored value that cannot be used counts as not set, as it does for the topic's logs.
    fn topic_entry(&self, key: &ConfigKey, set: Option<&String>) -> ConfigEntry {
        let set = set.and_then(|text| Some(key.parse(text).ok()?.to_string()));
        let value = set.clone().or_else(|| self.inherited_value(key));
        let set = set.map(|value| ConfigSynonym {
            name: key.name.to_string(),
            value: Some(value),
            source: ConfigSource::TopicConfig,
        });
        let inherited = key
            .inherits
            .first()
            .map(|name| self.synonyms(name, key.is_sensitive()));
        let synonyms: Vec<ConfigSynonym> = set.into_iter().chain(inherited.unwrap_or_default()).collect();
        ConfigEntry {
            name: key.name.to_string(),
            value,
            source: synonyms.first().map_or(ConfigSource::DefaultConfig, |s| s.source),
            read_only: false,
            sensitive: key.is_sensitive(),
            kind: Some(key.kind),
            synonyms,
            documentation: documentation::of_topic_key(key.name),
        }
    }

    /// The value for a topic that does not set the key. If the broker has several keys for it or uses other units, the
    /// value comes from the broker's typed configuration.
    fn inherited_value(&self, key: &ConfigKey) -> Option<String> {
        let defaults = &self.config.log_defaults;
        let computed = match key.name {
            "segment.ms" => defaults.segment_ms,
            "segment.jitter.ms" => defaults.segment_jitter_ms,
            "flush.ms" => defaults.flush_ms,
            "retention.ms" => defaults.retention_ms,
            "message.timestamp.before.max.ms" => defaults.message_timestamp_before_max_ms,
            "message.timestamp.after.max.ms" => defaults.message_timestamp_after_max_ms,
            _ => {
                return match key.inherits.first().and_then(|name| broker_key(name)) {
                    Some(broker_key) => self.broker_value(broker_key),
                    None => key.default.map(str::to_string),
                };
            }
        };
        Some(Value::Integer(computed).to_string())
    }
}

//! Alters configurations: AlterConfigs replaces them as a whole, IncrementalAlterConfigs changes single keys. Kafka
//! 3.9: `ZkAdminManager`, `ConfigAdminManager`.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::describe_configs::ConfigResource;
use super::dynamic_configs::BrokerLayers;
use super::entity_config::{self, Overrides};
use super::error::AdminError;
use super::listener_configs;
use super::manager::AdminManager;
use crate::common::error::ErrorCode;
use crate::common::loggers::{self, Loggers};
use crate::config::definition::{ConfigKey, ConfigType, UpdateMode, dynamic_broker_key, topic_key};
use crate::config::providers::resolve_dynamic;
use crate::config::{ConfigError, LogConfig, Properties};
use crate::zk::paths::{self, ConfigEntityType, DEFAULT_ENTITY};

/// The operation on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterOperation {
    /// Sets the value.
    Set,
    /// Removes the value, so that the key inherits its value again.
    Delete,
    /// Adds the values to the key's list that are not in it yet.
    Append,
    /// Removes the values from the key's list.
    Subtract,
}

impl AlterOperation {
    /// The operation with this number in IncrementalAlterConfigs.
    pub fn from_i8(value: i8) -> Option<Self> {
        match value {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// The change that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigAlteration {
    /// The resource gets these settings and no others.
    Replace(Vec<(String, Option<String>)>),
    /// The resource gets these changes, in this order.
    Incremental(Vec<(String, AlterOperation, Option<String>)>),
}

impl ConfigAlteration {
    fn keys(&self) -> Vec<&str> {
        match self {
            Self::Replace(settings) => settings.iter().map(|(key, _)| key.as_str()).collect(),
            Self::Incremental(changes) => changes.iter().map(|(key, _, _)| key.as_str()).collect(),
        }
    }

    /// Checks the rules that hold for every resource.
    fn validate(&self) -> Result<(), AdminError> {
        let refuse = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
        let keys = self.keys();
        if keys.iter().collect::<BTreeSet<_>>().len() != keys.len() {
            return refuse("Error due to duplicate config keys".into());
        }
        let without_value: Vec<&str> = match self {
            Self::Replace(settings) => {
                let nulls = settings.iter().filter(|(_, value)| value.is_none());
                nulls.map(|(key, _)| key.as_str()).collect()
            }
            Self::Incremental(changes) => {
                let nulls = changes
                    .iter()
                    .filter(|(_, op, value)| *op != AlterOperation::Delete && value.is_none());
                nulls.map(|(key, _, _)| key.as_str()).collect()
            }
        };
        if !without_value.is_empty() {
            return refuse(format!(
                "Null value not supported for : {}",
                without_value.join(", ")
            ));
        }
        Ok(())
    }

    /// The overrides after the alteration. `find` looks up a key.
    fn apply(
        &self,
        mut overrides: Overrides,
        find: impl Fn(&str) -> Option<&'static ConfigKey>,
    ) -> Result<Overrides, AdminError> {
        match self {
            Self::Replace(settings) => {
                let settings = settings.iter().cloned();
                return Ok(settings.filter_map(|(key, value)| Some((key, value?))).collect());
            }
            Self::Incremental(changes) => {
                for (key, operation, value) in changes {
                    let value = value.as_deref().unwrap_or_default();
                    match operation {
                        AlterOperation::Set => overrides.insert(key.clone(), value.to_string()),
                        AlterOperation::Delete => overrides.remove(key),
                        AlterOperation::Append | AlterOperation::Subtract => {
                            let list = altered_list(find(key), key, *operation, overrides.get(key), value)?;
                            overrides.insert(key.clone(), list)
                        }
                    };
                }
            }
        }
        Ok(overrides)
    }
}

/// The list after values were added or removed. If the key is not set, the list starts with Kafka's default.
fn altered_list(
    key: Option<&ConfigKey>,
    name: &str,
    operation: AlterOperation,
    present: Option<&String>,
    values: &str,
) -> Result<String, AdminError> {
    let Some(key) = key.filter(|key| key.kind == ConfigType::List) else {
        let what = match operation {
            AlterOperation::Append => "append",
            _ => "subtract",
        };
        let message = format!("Config value {what} is not allowed for config key: {name}");
        return Err(AdminError::new(ErrorCode::InvalidConfig, message));
    };
    let present = present.map(String::as_str).or(key.default).unwrap_or_default();
    let mut list: Vec<&str> = present
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    for value in values.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let position = list.iter().position(|item| *item == value);
        match (operation, position) {
            (AlterOperation::Subtract, Some(position)) => drop(list.remove(position)),
            (AlterOperation::Append, None) => list.push(value),
            _ => {}
        }
    }
    Ok(list.join(","))
}

impl AdminManager {
    /// Alters the configuration of a resource. With `validate_only` it only checks whether the alteration is possible.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        alteration: &ConfigAlteration,
        validate_only: bool,
    ) -> Result<(), AdminError> {
        alteration.validate()?;
        match resource {
            ConfigResource::Topic(topic) => self.alter_topic(topic, alteration, validate_only).await,
            ConfigResource::Broker => {
                let name = self.configs.current().broker_id.to_string();
                self.alter_broker(&name, UpdateMode::PerBroker, alteration, validate_only)
                    .await
            }
            ConfigResource::BrokerDefault => {
                self.alter_broker(DEFAULT_ENTITY, UpdateMode::ClusterWide, alteration, validate_only)
                    .await
            }
            ConfigResource::BrokerLogger => self.alter_loggers(alteration, validate_only),
        }
    }

    async fn alter_topic(
        &self,
        topic: &str,
        alteration: &ConfigAlteration,
        validate_only: bool,
    ) -> Result<(), AdminError> {
        if topic.is_empty() {
            return Err(AdminError::new(
                ErrorCode::InvalidRequest,
                "Default topic resources are not allowed.",
            ));
        }
        let known = self.metadata.snapshot().topics.contains_key(topic);
        if !known || self.zk.exists(&paths::topic(topic), false).await?.is_none() {
            let message = format!("The topic '{topic}' does not exist.");
            return Err(AdminError::new(ErrorCode::UnknownTopicOrPartition, message));
        }
        let present = entity_config::read(&*self.zk, ConfigEntityType::Topics, topic).await?;
        let overrides = alteration.apply(present, topic_key)?;
        let valid = LogConfig::from_overrides(&self.configs.current().log_defaults, &overrides);
        valid.map_err(|error| refused_of_topic(topic, &error))?;
        if validate_only {
            return Ok(());
        }
        info!(topic, ?overrides, "changing topic configuration");
        entity_config::change(&*self.zk, ConfigEntityType::Topics, topic, &overrides).await
    }

    /// Changes the levels of loggers, key by key. Only this process changes; nothing is stored.
    fn alter_loggers(&self, alteration: &ConfigAlteration, validate_only: bool) -> Result<(), AdminError> {
        let ConfigAlteration::Incremental(changes) = alteration else {
            return Err(AdminError::new(
                ErrorCode::InvalidRequest,
                "Unknown resource type 8",
            ));
        };
        for (name, operation, value) in changes {
            require_alterable_logger(name, *operation, value.as_deref().unwrap_or_default())?;
        }
        if validate_only {
            return Ok(());
        }
        let levels = changes.iter().map(|(name, operation, value)| {
            let level = value.as_deref().filter(|_| *operation == AlterOperation::Set);
            (name.as_str(), level)
        });
        let changed = self.loggers.change(levels);
        changed.map_err(|error| AdminError::new(ErrorCode::UnknownServerError, error))?;
        warn!(?changes, "changed what is logged");
        Ok(())
    }

    async fn alter_broker(
        &self,
        name: &str,
        scope: UpdateMode,
        alteration: &ConfigAlteration,
        validate_only: bool,
    ) -> Result<(), AdminError> {
        let stored = entity_config::read(&*self.zk, ConfigEntityType::Brokers, name).await?;
        let present = self.configs.passwords.decode(stored);
        let overrides = alteration.apply(present, dynamic_broker_key)?;
        let refuse = |error: ConfigError| AdminError::new(ErrorCode::InvalidRequest, error.on_the_wire());
        let resolved = resolve_dynamic(&overrides).map_err(refuse)?;
        let keys = alteration.keys().into_iter();
        let altered: Vec<_> = keys
            .filter_map(|key| Some((key, resolved.get(key)?.as_str())))
            .collect();
        require_alterable(&altered, scope)?;
        let mut layers: BrokerLayers = self.configs.broker_layers();
        let present = self.configs.effective(&layers);
        match scope {
            UpdateMode::ClusterWide => layers.default = overrides.clone(),
            _ => layers.broker = overrides.clone(),
        }
        let config = self.configs.configured_with(&layers).map_err(refuse)?;
        listener_configs::validate_stores(&self.configs.current(), &config)?;
        validate_reconfiguration(&present, &self.configs.effective(&layers))?;
        if validate_only {
            return Ok(());
        }
        let stored = self.configs.passwords.encode(name, &overrides)?;
        info!(broker = name, keys = ?alteration.keys(), "changing broker configuration");
        entity_config::change(&*self.zk, ConfigEntityType::Brokers, name, &stored).await
    }
}

/// The error for a topic that cannot have these settings. As in Kafka, the message names the topic if a single value is
/// the cause.
fn refused_of_topic(topic: &str, error: &ConfigError) -> AdminError {
    let reason = error.on_the_wire();
    let message = match error.is_of_a_value() {
        true => {
            format!("Invalid config value for resource ConfigResource(type=TOPIC, name='{topic}'): {reason}")
        }
        false => reason,
    };
    AdminError::new(ErrorCode::InvalidConfig, message)
}

/// The sizes of thread pools. The rules hold even for pools that do not exist here, as in Kafka.
const THREAD_POOLS: &[&str] = &[
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

/// Refuses changes that are not allowed at run time, although a broker could start with the new values. Kafka 3.9:
/// `validateReconfiguration`.
fn validate_reconfiguration(present: &Properties, altered: &Properties) -> Result<(), AdminError> {
    for name in THREAD_POOLS {
        require_gradual(name, integer(present, name), integer(altered, name))?;
    }
    let name = "max.connections";
    match (integer(present, name), integer(altered, name)) {
        (present, 0) if present != 0 => {
            let message = format!("{name}: value must be at least 1 at run time");
            Err(AdminError::new(ErrorCode::InvalidRequest, message))
        }
        _ => Ok(()),
    }
}

/// The value of a number that already meets its key's rule.
fn integer(properties: &Properties, name: &str) -> i64 {
    let key = dynamic_broker_key(name).filter(|key| key.kind == ConfigType::Int);
    let text = key.and_then(|key| properties.get(name).or(key.default));
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or_else(|| unreachable!("{name} is a number and has a default"))
}

/// Refuses a number of threads above double or below half the present number. The messages are Kafka's.
fn require_gradual(name: &str, present: i64, altered: i64) -> Result<(), AdminError> {
    let (too_few, too_small, too_large) = match name {
        "log.cleaner.threads" => (
            "Log cleaner threads should be at least 1".to_owned(),
            format!("Log cleaner threads cannot be reduced to less than half the current value {present}"),
            format!(
                "Log cleaner threads cannot be increased to more than double the current value {present}"
            ),
        ),
        _ => {
            let refused = format!("Dynamic thread count update validation failed for {name}={altered}");
            (
                format!("{refused}, value should be at least 1"),
                format!("{refused}, value should be at least half the current value {present}"),
                format!("{refused}, value should not be greater than double the current value {present}"),
            )
        }
    };
    let reason = match altered {
        _ if altered == present => return Ok(()),
        ..1 => too_few,
        _ if altered < present / 2 => too_small,
        _ if altered > present * 2 => too_large,
        _ => return Ok(()),
    };
    Err(AdminError::new(ErrorCode::InvalidRequest, reason))
}

/// Refuses changes of a logger that are not possible. The messages are Kafka's.
fn require_alterable_logger(name: &str, operation: AlterOperation, level: &str) -> Result<(), AdminError> {
    let refuse = |code, message: String| Err(AdminError::new(code, message));
    let not_allowed = |operation: &str| {
        let message = format!("{operation} operation is not allowed for the BROKER_LOGGER resource");
        refuse(ErrorCode::InvalidRequest, message)
    };
    match operation {
        AlterOperation::Append => not_allowed("APPEND"),
        AlterOperation::Subtract => not_allowed("SUBTRACT"),
        _ if !Loggers::exists(name) => {
            refuse(ErrorCode::InvalidConfig, format!("Logger {name} does not exist!"))
        }
        AlterOperation::Set if !loggers::LEVELS.contains(&level) => {
            let levels = loggers::LEVELS.join(", ");
            let message = format!(
                "Cannot set the log level of {name} to {level} as it is not a supported log level. Valid log levels are \
                 {levels}"
            );
            refuse(ErrorCode::InvalidConfig, message)
        }
        AlterOperation::Delete if name == loggers::ROOT => {
            let message = format!("Removing the log level of the {name} logger is not allowed");
            refuse(ErrorCode::InvalidRequest, message)
        }
        _ => Ok(()),
    }
}

/// Refuses keys that cannot change at run time. Kafka's answer to all of these is INVALID_REQUEST (KAFKA-13609). A key
/// that Kafka does not know may have any value.
fn require_alterable(settings: &[(&str, &str)], scope: UpdateMode) -> Result<(), AdminError> {
    let such = |is_such: &dyn Fn(&ConfigKey) -> bool| {
        let names = settings.iter().map(|(name, _)| *name);
        let such = names.filter(|name| dynamic_broker_key(name).is_some_and(is_such));
        such.collect::<Vec<_>>().join(", ")
    };
    let read_only = such(&|key| key.update == UpdateMode::ReadOnly);
    let of_one_broker = such(&|key| key.update == UpdateMode::PerBroker && scope == UpdateMode::ClusterWide);
    let not_yet = such(&|key| !key.is_reconfigurable());
    let names = || settings.iter().map(|(name, _)| *name);
    let stores = listener_configs::without_listener(names());
    let of_one_listener = match scope {
        UpdateMode::ClusterWide => listener_configs::of_one_broker(names()),
        _ => String::new(),
    };
    let message = if !read_only.is_empty() {
        format!("Cannot update these configs dynamically: Set({read_only})")
    } else if !stores.is_empty() {
        format!(
            "These security configs can be dynamically updated only per-listener using the listener prefix: \
             HashSet({stores})"
        )
    } else if !of_one_listener.is_empty() {
        format!(
            "Cannot update these configs at default cluster level, broker id must be specified: Set({of_one_listener})"
        )
    } else if !of_one_broker.is_empty() {
        format!(
            "Cannot update these configs at default cluster level, broker id must be specified: Set({of_one_broker})"
        )
    } else if let Some(limit) = names().find(|name| listener_configs::is_limit(name)) {
        format!("{limit}: the limit of a single listener cannot be set yet")
    } else if !not_yet.is_empty() {
        format!("{not_yet}: cannot be changed at run time yet")
    } else {
        let known = settings
            .iter()
            .filter_map(|(name, value)| Some((dynamic_broker_key(name)?, value)));
        for (key, value) in known {
            let parsed = key.parse(value);
            parsed.map_err(|error| AdminError::new(ErrorCode::InvalidRequest, error.on_the_wire()))?;
        }
        return Ok(());
    };
    Err(AdminError::new(ErrorCode::InvalidRequest, message))
}

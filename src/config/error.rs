//! Defines the errors and warnings about a configuration.

use std::fmt;
use std::path::Path;

use super::origin::Origin;

/// An error in a configuration. Callers only show it; they do not inspect it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    origin: Option<Origin>,
    key: Option<String>,
    value: Option<String>,
    reason: String,
}

/// Writes `server.properties:12: num.io.threads=0: Value must be at least 1`, with the parts that are known.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, "{key}={value}: ")?,
            (Some(key), None) => write!(f, "{key}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.reason)
    }
}

impl ConfigError {
    /// An error about a value that does not fit its key.
    pub fn invalid(key: &str, value: &str, reason: impl Into<String>) -> Self {
        Self {
            origin: None,
            key: Some(key.into()),
            value: Some(value.into()),
            reason: reason.into(),
        }
    }

    /// An error about a key whose value is secret or not the cause.
    pub fn key(key: &str, reason: impl Into<String>) -> Self {
        Self {
            origin: None,
            key: Some(key.into()),
            value: None,
            reason: reason.into(),
        }
    }

    /// An error about values that do not fit together.
    pub fn conflict(reason: impl Into<String>) -> Self {
        Self {
            origin: None,
            key: None,
            value: None,
            reason: reason.into(),
        }
    }

    /// The message for clients, in Kafka's words. It leaves out where the value was given, because clients must not see
    /// that.
    pub fn on_the_wire(&self) -> String {
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => {
                format!("Invalid value {value} for configuration {key}: {}", self.reason)
            }
            (Some(key), None) => format!("Invalid value [hidden] for configuration {key}: {}", self.reason),
            (None, _) => self.reason.clone(),
        }
    }

    /// Whether a single value is the cause.
    pub fn is_of_a_value(&self) -> bool {
        self.value.is_some()
    }

    pub(super) fn at(origin: Origin, reason: &str) -> Self {
        Self {
            origin: Some(origin),
            ..Self::conflict(reason)
        }
    }

    pub(super) fn file(path: &Path, reason: &str) -> Self {
        Self::conflict(format!("cannot read {}: {reason}", path.display()))
    }

    /// The same error, with the place where the value was given.
    pub fn with_origin(self, origin: &Origin) -> Self {
        Self {
            origin: Some(origin.clone()),
            ..self
        }
    }
}

/// A setting that works, but perhaps not as the operator expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The place where the setting was given.
    pub origin: Origin,
    /// The key.
    pub key: String,
    /// A sentence for people, without a full stop.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.reason)
    }
}

//! What is wrong with a configuration, and what is merely worth knowing about it.

use std::fmt;
use std::path::Path;

use super::origin::Origin;

/// A configuration that cannot be worked with. Callers show it; none of them looks inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    origin: Option<Origin>,
    key: Option<String>,
    value: Option<String>,
    reason: String,
}

/// `server.properties:12: num.io.threads=0: Value must be at least 1`, with what is known of it.
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
    /// A value that does not fit its key.
    pub fn invalid(key: &str, value: &str, reason: impl Into<String>) -> Self {
        Self {
            origin: None,
            key: Some(key.into()),
            value: Some(value.into()),
            reason: reason.into(),
        }
    }

    /// Something about a key whose value is not to be shown or not the point.
    pub fn key(key: &str, reason: impl Into<String>) -> Self {
        Self {
            origin: None,
            key: Some(key.into()),
            value: None,
            reason: reason.into(),
        }
    }

    /// Values that do not fit together.
    pub fn conflict(reason: impl Into<String>) -> Self {
        Self {
            origin: None,
            key: None,
            value: None,
            reason: reason.into(),
        }
    }

    /// What clients are told, in Kafka's words: where the value stands is no business of theirs.
    pub fn on_the_wire(&self) -> String {
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => {
                format!("Invalid value {value} for configuration {key}: {}", self.reason)
            }
            (Some(key), None) => format!("Invalid value [hidden] for configuration {key}: {}", self.reason),
            (None, _) => self.reason.clone(),
        }
    }

    /// Whether a single value is at fault.
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

    /// The same error, told where the value stands.
    pub fn with_origin(self, origin: &Origin) -> Self {
        Self {
            origin: Some(origin.clone()),
            ..self
        }
    }
}

/// A setting that works, but perhaps not as its author thinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub origin: Origin,
    /// The key.
    pub key: String,
    /// A sentence for people, without final stop.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.reason)
    }
}

//! Reads properties as typed values, with the table of keys. Kafka 3.9: `AbstractConfig`.

use super::definition::{ConfigKey, Value, dynamic_broker_key};
use super::error::ConfigError;
use super::properties::Properties;

/// Properties together with the table of broker keys: a missing value gets its default, and types and rules are
/// checked.
pub(super) struct Reader<'a> {
    properties: &'a Properties,
}

impl<'a> Reader<'a> {
    pub(super) fn new(properties: &'a Properties) -> Self {
        Self { properties }
    }

    /// Whether the key was given.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.properties.get(name).is_some()
    }

    /// The value, in the type of the field that it is read for.
    pub(super) fn read<T: FromValue>(&self, name: &str) -> Result<T, ConfigError> {
        let key = dynamic_broker_key(name).unwrap_or_else(|| panic!("{name} is not in the table of keys"));
        let text = self.properties.get(name).or(key.default);
        let value = text.map(|text| key.parse(text)).transpose();
        value
            .and_then(|value| T::from_value(key, value))
            .map_err(|e| self.located(name, e))
    }

    /// Adds to the error the place where the key was given.
    pub(super) fn located(&self, name: &str, error: ConfigError) -> ConfigError {
        match self.properties.property(name) {
            Some(property) => error.with_origin(&property.origin),
            None => error,
        }
    }

    /// An error about a key's value.
    pub(super) fn refuse(&self, name: &str, reason: impl Into<String>) -> ConfigError {
        let error = match self.properties.get(name) {
            Some(value) => ConfigError::invalid(name, value, reason),
            None => ConfigError::key(name, reason),
        };
        self.located(name, error)
    }
}

/// A Rust type that can hold the value of a key.
pub(super) trait FromValue: Sized {
    /// Converts the value; `None` is null. The value already meets its key's rule, so only a narrower type can fail.
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError>;
}

fn mismatch(key: &ConfigKey) -> ! {
    panic!("{} is read as another type than {:?}", key.name, key.kind)
}

impl FromValue for bool {
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
        match value {
            Some(Value::Boolean(value)) => Ok(value),
            _ => mismatch(key),
        }
    }
}

impl FromValue for f64 {
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
        match value {
            Some(Value::Double(value)) => Ok(value),
            _ => mismatch(key),
        }
    }
}

impl FromValue for String {
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
        match value {
            Some(Value::Text(value)) => Ok(value),
            None => Err(ConfigError::key(key.name, "is required and has no default")),
            _ => mismatch(key),
        }
    }
}

impl FromValue for Vec<String> {
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
        match value {
            Some(Value::List(items)) => Ok(items),
            _ => mismatch(key),
        }
    }
}

/// An empty text is a value, not null.
impl FromValue for Option<String> {
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
        match value {
            Some(Value::Text(value)) => Ok(Some(value)),
            None => Ok(None),
            _ => mismatch(key),
        }
    }
}

/// Integers, signed or unsigned, also where null is allowed. Unsigned types are used for times, sizes and counts: where
/// Kafka accepts a negative number, it has the same meaning as 0. A number that is too large for its type becomes the
/// type's largest number.
macro_rules! integers {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
                let Some(Value::Integer(number)) = value else {
                    mismatch(key);
                };
                let (min, max) = (<$type>::MIN as i128, <$type>::MAX as i128);
                Ok(i128::from(number).clamp(min, max) as Self)
            }
        }

        impl FromValue for Option<$type> {
            fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
                value.map(|value| <$type>::from_value(key, Some(value))).transpose()
            }
        }
    )*};
}
integers!(i16, i32, i64, u32, u64, usize);

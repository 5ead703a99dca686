//! Reads properties as typed values, with the table of keys. Kafka 3.9: `AbstractConfig`.

use super::definition::{ConfigKey, Value, dynamic_broker_key};
use super::error::ConfigError;
use super::properties::{Properties, Property};
use super::security::Password;

/// Properties together with the table of broker keys: a missing value gets its default, and types and rules are
/// checked.
pub(super) struct Reader<'a> {
    properties: &'a Properties,
    /// What may stand before a key, the most specific one first. The key alone comes after them.
    prefixes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(properties: &'a Properties) -> Self {
        Self {
            properties,
            prefixes: Vec::new(),
        }
    }

    /// A reader for which keys with one of these prefixes replace the keys without.
    pub(super) fn with_prefixes(&self, prefixes: Vec<String>) -> Self {
        Self {
            properties: self.properties,
            prefixes,
        }
    }

    /// Whether the key was given.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find_prefixed(&self, name: &str) -> Option<&Property> {
        let mut names = self.prefixes.iter().map(|prefix| format!("{prefix}{name}"));
        names.find_map(|name| self.properties.property(&name))
    }

    fn find(&self, name: &str) -> Option<&Property> {
        self.find_prefixed(name)
            .or_else(|| self.properties.property(name))
    }

    /// The value of a key that counts only with a prefix.
    pub(super) fn read_prefixed<T: FromValue>(&self, name: &str) -> Result<T, ConfigError> {
        let key = dynamic_broker_key(name).unwrap_or_else(|| panic!("{name} is not in the table of keys"));
        self.convert(key, self.find_prefixed(name))
    }

    /// The value, in the type of the field that it is read for.
    pub(super) fn read<T: FromValue>(&self, name: &str) -> Result<T, ConfigError> {
        let key = dynamic_broker_key(name).unwrap_or_else(|| panic!("{name} is not in the table of keys"));
        self.convert(key, self.find(name))
    }

    fn convert<T: FromValue>(&self, key: &ConfigKey, found: Option<&Property>) -> Result<T, ConfigError> {
        let text = found.map(|property| property.value.as_str()).or(key.default);
        let value = text.map(|text| key.parse(text)).transpose();
        let value = value.and_then(|value| T::from_value(key, value));
        value.map_err(|error| match found {
            Some(property) => error.with_origin(&property.origin),
            None => error,
        })
    }

    /// Adds to the error the place where the key was given.
    pub(super) fn located(&self, name: &str, error: ConfigError) -> ConfigError {
        match self.find(name) {
            Some(property) => error.with_origin(&property.origin),
            None => error,
        }
    }

    /// An error about a key's value.
    pub(super) fn refuse(&self, name: &str, reason: impl Into<String>) -> ConfigError {
        let error = match self.find(name) {
            Some(property) => ConfigError::invalid(name, &property.value, reason),
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

impl FromValue for Option<Vec<String>> {
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
        value.map(|value| Vec::from_value(key, Some(value))).transpose()
    }
}

/// The value of a sensitive key.
impl FromValue for Option<Password> {
    fn from_value(key: &ConfigKey, value: Option<Value>) -> Result<Self, ConfigError> {
        Ok(Option::<String>::from_value(key, value)?.map(Password::new))
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

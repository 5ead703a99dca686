//! A JSON reader that works like Kafka's decoders: reads by key, checks types strictly, ignores other keys.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::ZnodeError;
use crate::common::ids::{BrokerId, TopicPartition};

/// A JSON object that knows its key, for error messages.
pub struct Object(Map<String, Value>);

impl Object {
    /// Parses the first JSON value of `data`, which must be an object. Like Jackson it ignores what follows the value,
    /// and if a key occurs twice, the last value counts.
    pub fn parse(data: &[u8]) -> Result<Self, ZnodeError> {
        match serde_json::Deserializer::from_slice(data)
            .into_iter::<Value>()
            .next()
        {
            Some(Ok(Value::Object(map))) => Ok(Self(map)),
            Some(Ok(_)) => Err(ZnodeError::Malformed("not a JSON object".to_owned())),
            Some(Err(error)) => Err(ZnodeError::Malformed(error.to_string())),
            None => Err(ZnodeError::Malformed("no data".to_owned())),
        }
    }

    fn from_value(value: &Value, key: &str) -> Result<Self, ZnodeError> {
        match value {
            Value::Object(map) => Ok(Self(map.clone())),
            _ => Err(wrong_type(key, "an object")),
        }
    }

    /// The value; `None` if there is no such key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    fn require(&self, key: &str) -> Result<&Value, ZnodeError> {
        self.get(key)
            .ok_or_else(|| ZnodeError::MissingKey(key.to_owned()))
    }

    /// A whole number of 32 bits.
    pub fn i32(&self, key: &str) -> Result<i32, ZnodeError> {
        to_i32(self.require(key)?, key)
    }

    /// A whole number of 32 bits that may be missing.
    pub fn opt_i32(&self, key: &str) -> Result<Option<i32>, ZnodeError> {
        self.get(key).map(|value| to_i32(value, key)).transpose()
    }

    /// A string.
    pub fn str(&self, key: &str) -> Result<&str, ZnodeError> {
        to_str(self.require(key)?, key)
    }

    /// A string that may be missing or null.
    pub fn opt_str(&self, key: &str) -> Result<Option<&str>, ZnodeError> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => to_str(value, key).map(Some),
        }
    }

    /// A 64-bit number that is written as a string.
    pub fn i64_in_str(&self, key: &str) -> Result<i64, ZnodeError> {
        self.str(key)?
            .parse()
            .map_err(|_| wrong_type(key, "a number in a string"))
    }

    /// A list of broker ids.
    pub fn brokers(&self, key: &str) -> Result<Vec<BrokerId>, ZnodeError> {
        to_brokers(self.require(key)?, key)
    }

    /// A list of strings.
    pub fn strings(&self, key: &str) -> Result<Vec<String>, ZnodeError> {
        let list = to_list(self.require(key)?, key)?;
        list.iter()
            .map(|value| to_str(value, key).map(str::to_owned))
            .collect()
    }

    /// A list of objects.
    pub fn objects(&self, key: &str) -> Result<Vec<Object>, ZnodeError> {
        let list = to_list(self.require(key)?, key)?;
        list.iter().map(|value| Object::from_value(value, key)).collect()
    }

    /// An object that may be missing or null.
    pub fn opt_object(&self, key: &str) -> Result<Option<Object>, ZnodeError> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => Object::from_value(value, key).map(Some),
        }
    }

    /// Every key and value, in the order of the text.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Every value as a string.
    pub fn string_values(&self) -> Result<BTreeMap<String, String>, ZnodeError> {
        self.entries()
            .map(|(key, value)| Ok((key.clone(), to_str(value, key)?.to_owned())))
            .collect()
    }

    /// Every key as a partition's number, every value as a list of brokers.
    pub fn brokers_by_partition(&self) -> Result<BTreeMap<i32, Vec<BrokerId>>, ZnodeError> {
        self.entries()
            .map(|(key, value)| {
                let partition = key.parse().map_err(|_| wrong_type(key, "a partition's number"))?;
                Ok((partition, to_brokers(value, key)?))
            })
            .collect()
    }

    /// The partition in an object with the keys `topic` and `partition`.
    pub fn topic_partition(&self) -> Result<TopicPartition, ZnodeError> {
        Ok(TopicPartition::new(self.str("topic")?, self.i32("partition")?))
    }
}

/// The bytes of a JSON value, without blanks.
pub fn to_bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// The error that `key` holds something other than `expected`.
pub fn wrong_type(key: &str, expected: &'static str) -> ZnodeError {
    ZnodeError::WrongType {
        key: key.to_owned(),
        expected,
    }
}

/// A whole number of 32 bits; like Kafka this accepts neither `1.0` nor `"1"`.
pub fn to_i32(value: &Value, key: &str) -> Result<i32, ZnodeError> {
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| wrong_type(key, "a whole number of 32 bits"))
}

fn to_str<'a>(value: &'a Value, key: &str) -> Result<&'a str, ZnodeError> {
    value.as_str().ok_or_else(|| wrong_type(key, "a string"))
}

fn to_list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, ZnodeError> {
    value.as_array().ok_or_else(|| wrong_type(key, "a list"))
}

fn to_brokers(value: &Value, key: &str) -> Result<Vec<BrokerId>, ZnodeError> {
    to_list(value, key)?.iter().map(|id| to_i32(id, key)).collect()
}

/// Text that is only a decimal number.
pub fn number_text<T: std::str::FromStr>(data: &[u8]) -> Result<T, ZnodeError> {
    let text = std::str::from_utf8(data).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| ZnodeError::Malformed("not a decimal number".to_owned()))
}

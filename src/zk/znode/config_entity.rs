//! `/config/TYPE/ENTITY`: the dynamic configuration of one entity, JSON version 1. Kafka 3.9: `ConfigEntityZNode`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::ZnodeError;
use super::json::{Object, to_bytes, wrong_type};

/// The overrides of one entity: always all of them, never a difference (fact 10). A missing znode means no overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigEntity {
    /// By key.
    pub config: BTreeMap<String, String>,
}

impl ConfigEntity {
    /// The JSON. Keys are sorted; Kafka leaves them in the order of a hash table.
    pub fn encode(&self) -> Bytes {
        to_bytes(&json!({"version": 1, "config": self.config}))
    }

    /// As in Kafka, a znode without data, without JSON or without a `config` object means no overrides. Only a value
    /// that is not a string is an error.
    pub fn decode(data: &[u8]) -> Result<Self, ZnodeError> {
        let Ok(object) = Object::parse(data) else {
            return Ok(Self::default());
        };
        let Some(Value::Object(config)) = object.get("config") else {
            return Ok(Self::default());
        };
        let config: Result<_, _> = config
            .iter()
            .map(|(key, value)| {
                let value = value.as_str().ok_or_else(|| wrong_type(key, "a string"))?;
                Ok((key.clone(), value.to_owned()))
            })
            .collect();
        Ok(Self { config: config? })
    }
}

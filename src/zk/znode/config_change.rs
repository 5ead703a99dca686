//! `/config/changes/config_change_N`: which configuration changed, JSON version 2.
//! Kafka 3.9: `ConfigEntityChangeNotificationSequenceZNode`, `ZkConfigManager`.

use bytes::Bytes;
use serde_json::json;

use super::ZnodeError;
use super::json::{Object, to_bytes, wrong_type};
use crate::zk::paths::ConfigEntityType;

/// A notification. Its reader reads the entity's whole znode again and replaces its old values (fact 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The entity's path below `/config`, such as `topics/orders` or `users/alice/clients/c`; names are
    /// sanitized.
    pub entity_path: String,
}

impl ConfigChange {
    /// A notification that this entity changed.
    pub fn of(entity_type: ConfigEntityType, name: &str) -> Self {
        Self {
            entity_path: format!("{entity_type}/{name}"),
        }
    }

    /// Type and name of the entity: `topics` and `orders`, or `users` and `alice/clients/c`. `None` if a ZooKeeper
    /// cluster does not have this type.
    pub fn entity(&self) -> Option<(ConfigEntityType, &str)> {
        let (entity_type, name) = self.entity_path.split_once('/')?;
        Some((ConfigEntityType::parse(entity_type)?, name))
    }

    /// The JSON.
    pub fn encode(&self) -> Bytes {
        to_bytes(&json!({"version": 2, "entity_path": self.entity_path}))
    }

    /// Reads version 2 and version 1, which has `entity_type` (topics or clients) and `entity_name` instead. Kafka
    /// ignores a notification that is not JSON and fails on others that are malformed; callers should do the same.
    pub fn decode(data: &[u8]) -> Result<Self, ZnodeError> {
        let object = Object::parse(data)?;
        match object.i32("version")? {
            1 => {
                let entity_type = ConfigEntityType::parse(object.str("entity_type")?);
                let entity_type = entity_type
                    .filter(|t| matches!(t, ConfigEntityType::Topics | ConfigEntityType::Clients))
                    .ok_or_else(|| wrong_type("entity_type", "topics or clients"))?;
                Ok(Self::of(entity_type, object.str("entity_name")?))
            }
            2 => {
                let change = Self {
                    entity_path: object.str("entity_path")?.to_owned(),
                };
                match change.entity() {
                    Some(_) => Ok(change),
                    None => Err(wrong_type("entity_path", "a path of a known entity type")),
                }
            }
            version => Err(ZnodeError::UnsupportedVersion(version)),
        }
    }
}

//! `/feature`: finalized features of the cluster, JSON version 2. Kafka 3.9: `FeatureZNode` (KIP-584).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ZnodeError;
use super::json::{Object, to_bytes, wrong_type};

/// Whether the features are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureStatus {
    /// Not in use.
    Disabled = 0,
    /// In use.
    Enabled = 1,
}

/// The cluster's finalized features. Their epoch is the znode's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureZnode {
    /// Whether they are in use.
    pub status: FeatureStatus,
    /// The finalized level of each feature; none in a cluster without KRaft.
    pub features: BTreeMap<String, i16>,
}

impl FeatureZnode {
    /// The value that a controller creates if the znode is missing.
    pub fn enabled() -> Self {
        Self {
            status: FeatureStatus::Enabled,
            features: BTreeMap::new(),
        }
    }

    /// The JSON.
    pub fn encode(&self) -> Bytes {
        let features: Map<String, Value> = self
            .features
            .iter()
            .map(|(name, level)| (name.clone(), json!({"max_version_level": level})))
            .collect();
        to_bytes(&json!({"features": features, "version": 2, "status": self.status as i32}))
    }

    /// Reads version 2 and version 1, in which a feature also has `min_version_level`. All keys are required.
    pub fn decode(data: &[u8]) -> Result<Self, ZnodeError> {
        let object = Object::parse(data)?;
        let version = object.i32("version")?;
        if !(1..=2).contains(&version) {
            return Err(ZnodeError::UnsupportedVersion(version));
        }
        let status = match object.i32("status")? {
            0 => FeatureStatus::Disabled,
            1 => FeatureStatus::Enabled,
            _ => return Err(wrong_type("status", "0 or 1")),
        };
        let features = object
            .opt_object("features")?
            .ok_or_else(|| ZnodeError::MissingKey("features".to_owned()))?;
        let features: Result<_, ZnodeError> = features
            .entries()
            .map(|(name, levels)| Ok((name.clone(), decode_level(name, levels, version)?)))
            .collect();
        Ok(Self {
            status,
            features: features?,
        })
    }
}

fn decode_level(name: &str, levels: &Value, version: i32) -> Result<i16, ZnodeError> {
    let level = |key: &str| {
        let level = levels
            .get(key)
            .and_then(Value::as_i64)
            .and_then(|level| i16::try_from(level).ok());
        level
            .filter(|level| *level >= 1)
            .ok_or_else(|| wrong_type(name, "an object with levels from 1 up"))
    };
    let max = level("max_version_level")?;
    if version == 1 && level("min_version_level")? > max {
        return Err(wrong_type(name, "a range of levels"));
    }
    Ok(max)
}

//! Checks each znode by itself: Kafka knows its path, it is ephemeral or not as it should be, its data can be read, and
//! its version exists.
//!
//! Data is valid if barnabas and Kafka can read it. Both ignore unknown keys, so an unknown key is no fault.

use std::collections::BTreeSet;

use super::finding::{Finding, Snapshot};
use super::index::{Data, Entry, Index, Kind};
use crate::zk::paths;
use crate::zk::store::Stat;
use crate::zk::znode::*;

/// The highest version of each schema. All versions begin at 1, except for `migration.json`, whose only version is 0.
const VERSIONS: &[(&str, i64)] = &[
    ("acl.json", 1),
    ("broker_id.json", 5),
    ("cluster_id.json", 1),
    ("config_change.json", 2),
    ("config_entity.json", 1),
    ("controller.json", 2),
    ("delegation_token.json", 3),
    ("extended_acl_change.json", 1),
    ("feature.json", 2),
    ("isr_change.json", 1),
    ("log_dir_event.json", 1),
    ("migration.json", 0),
    ("partition_state.json", 1),
    ("preferred_replica_election.json", 1),
    ("producer_id_block.json", 1),
    ("reassign_partitions.json", 1),
    ("topic.json", 3),
];

/// Below these paths every znode must be one that Kafka knows. Elsewhere old consumers and other users of the same
/// ZooKeeper may keep their own znodes.
const KAFKAS_OWN: [&str; 6] = [
    paths::BROKERS,
    paths::ADMIN,
    paths::CONFIG,
    paths::CLUSTER,
    paths::ISR_CHANGE_NOTIFICATION,
    paths::LOG_DIR_EVENT_NOTIFICATION,
];

/// Reports every invalid znode.
pub(super) fn violations(snapshot: &Snapshot) -> BTreeSet<Finding> {
    let index = Index::load();
    let mut findings = BTreeSet::new();
    for (path, (data, stat)) in snapshot {
        let Some(entry) = index.entry(path) else {
            if KAFKAS_OWN.iter().any(|own| is_below(path, own)) {
                findings.insert(Finding::new(path, "no cluster of Kafka 3.9 has such a znode"));
            }
            continue;
        };
        findings.extend(misplaced(entry, stat).map(|reason| Finding::new(path, reason)));
        findings.extend(unreadable(entry, data).map(|reason| Finding::new(path, reason)));
    }
    findings
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn misplaced(entry: &Entry, stat: &Stat) -> Option<&'static str> {
    match (entry.kind, stat.ephemeral_owner) {
        (Kind::Ephemeral, 0) => Some("persistent, though it should go with a session"),
        (Kind::Persistent | Kind::PersistentSequential, owner) if owner != 0 => {
            Some("goes with a session, though it should be persistent")
        }
        _ => None,
    }
}

fn unreadable(entry: &Entry, data: &[u8]) -> Option<String> {
    match entry.data {
        // Kafka does not read this data, and some tools write something here.
        Data::None | Data::Text => None,
        Data::Decimal => match std::str::from_utf8(data)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
        {
            Some(_) => None,
            None => Some(format!("not a number: {}", data.escape_ascii())),
        },
        Data::Json if data.is_empty() && entry.nullable => None,
        Data::Json => {
            let schema = entry.schema.as_deref().unwrap_or_default();
            decode(schema, data)
                .err()
                .map(|error| error.to_string())
                .or_else(|| unknown_version(schema, data))
        }
    }
}

/// Decodes the data with the codec that its reader uses.
fn decode(schema: &str, data: &[u8]) -> Result<(), ZnodeError> {
    match schema {
        "broker_id.json" => BrokerInfo::decode(data).map(drop),
        "cluster_id.json" => cluster_id::decode(data).map(drop),
        "config_change.json" => ConfigChange::decode(data).map(drop),
        "config_entity.json" => ConfigEntity::decode(data).map(drop),
        "controller.json" => ControllerRegistration::decode(data).map(drop),
        "feature.json" => FeatureZnode::decode(data).map(drop),
        "isr_change.json" => isr_change::decode(data).map(drop),
        "log_dir_event.json" => log_dir_event::decode(data).map(drop),
        "partition_state.json" => partition_state::decode(data, 0).map(drop),
        "preferred_replica_election.json" => preferred_replica_election::decode(data).map(drop),
        "producer_id_block.json" => ProducerIdBlock::decode(data).map(drop),
        "reassign_partitions.json" => reassign_partitions::decode(data).map(drop),
        "topic.json" => TopicAssignment::decode(data).map(drop),
        // barnabas does not read these znodes yet; the check only demands JSON.
        _ => serde_json::from_slice::<serde_json::Value>(data)
            .map(drop)
            .map_err(|error| ZnodeError::Malformed(error.to_string())),
    }
}

/// Reports a version that Kafka 3.9 does not write: newer software wrote the znode. The version of `/cluster/id` is
/// text.
fn unknown_version(schema: &str, data: &[u8]) -> Option<String> {
    let json: serde_json::Value = match serde_json::from_slice(data) {
        Ok(json) => json,
        // Kafka treats some of these as empty.
        Err(error) => return Some(format!("not JSON: {error}")),
    };
    let version = json.get("version")?;
    let number = version
        .as_i64()
        .or_else(|| version.as_str().and_then(|text| text.parse().ok()));
    let (_, highest) = VERSIONS.iter().find(|(name, _)| *name == schema)?;
    let known = number.is_some_and(|number| (0..=*highest).contains(&number));
    (!known).then(|| format!("version {version} is not known, the highest is {highest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_schemas() {
        for (schema, highest) in VERSIONS {
            let path = format!("{}/zk-schema/{schema}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            // Some files have one schema for each version.
            let each = json["oneOf"].as_array().cloned().unwrap_or_else(|| vec![json]);
            let versions = each.iter().flat_map(|schema| {
                let version = &schema["properties"]["version"];
                let constant = || vec![version["const"].clone()];
                version["enum"].as_array().cloned().unwrap_or_else(constant)
            });
            let numbers = versions.map(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()).unwrap());
            let last = numbers.max();
            assert_eq!(last, Some(*highest), "{schema}");
        }
    }
}

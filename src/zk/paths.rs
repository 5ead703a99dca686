//! The path of every znode, each defined once. Kafka 3.9: `ZkData`.
//!
//! All paths are below the chroot of `zookeeper.connect`. The functions are pure: they do not talk to ZooKeeper.

use std::fmt;

use crate::common::ids::BrokerId;

/// Parent of the old consumers' znodes; OffsetCommit and OffsetFetch version 0 still use them.
pub const CONSUMERS: &str = "/consumers";

/// Parent of everything about brokers and topics.
pub const BROKERS: &str = "/brokers";
/// Registrations of the brokers that are alive; its children are their ids.
pub const BROKER_IDS: &str = "/brokers/ids";
/// Its children are the topics.
pub const TOPICS: &str = "/brokers/topics";
/// The version of this znode is the source of generated broker ids.
pub const BROKER_SEQUENCE_ID: &str = "/brokers/seqid";

/// Ephemeral: the controller's registration.
pub const CONTROLLER: &str = "/controller";
/// How many controllers there have been; every controller write checks its version (fact 4).
pub const CONTROLLER_EPOCH: &str = "/controller_epoch";

/// Parent of [`CLUSTER_ID`].
pub const CLUSTER: &str = "/cluster";
/// The cluster's id.
pub const CLUSTER_ID: &str = "/cluster/id";

/// Parent of every dynamic configuration.
pub const CONFIG: &str = "/config";
/// Notifications of changed configurations.
pub const CONFIG_CHANGES: &str = "/config/changes";
/// Names of the children of [`CONFIG_CHANGES`] start with this.
pub const CONFIG_CHANGE_PREFIX: &str = "config_change_";
/// Prefix of a new sequential notification.
pub const CONFIG_CHANGE_SEQUENCE: &str = "/config/changes/config_change_";
/// The entity whose configuration every other entity of its type inherits.
pub const DEFAULT_ENTITY: &str = "<default>";

/// Notifications of changed in-sync replicas by brokers older than 2.7; a controller still consumes them.
pub const ISR_CHANGE_NOTIFICATION: &str = "/isr_change_notification";
/// Prefix of a new sequential notification.
#[cfg(test)]
pub const ISR_CHANGE_SEQUENCE: &str = "/isr_change_notification/isr_change_";

/// Notifications of failed log directories.
pub const LOG_DIR_EVENT_NOTIFICATION: &str = "/log_dir_event_notification";
/// Prefix of a new sequential notification.
pub const LOG_DIR_EVENT_SEQUENCE: &str = "/log_dir_event_notification/log_dir_event_";

/// Parent of administrators' requests to the controller.
pub const ADMIN: &str = "/admin";
/// Has a child for each topic that the controller has to delete.
pub const DELETE_TOPICS: &str = "/admin/delete_topics";
/// The old way to ask for a reassignment; still honoured.
pub const REASSIGN_PARTITIONS: &str = "/admin/reassign_partitions";
/// The old way to ask for an election of preferred leaders; still honoured.
pub const PREFERRED_REPLICA_ELECTION: &str = "/admin/preferred_replica_election";

/// The last block of producer ids that was given out. Never pre-created (fact 1).
pub const PRODUCER_ID_BLOCK: &str = "/latest_producer_id_block";
/// Finalized features (KIP-584).
pub const FEATURE: &str = "/feature";
/// Exists only while the cluster migrates to KRaft (fact 11).
pub const MIGRATION: &str = "/migration";

/// ACLs of literal resource names.
pub const ACLS: &str = "/kafka-acl";
/// ACLs of patterns other than literal.
pub const EXTENDED_ACLS: &str = "/kafka-acl-extended";
/// Notifications of changed literal ACLs.
pub const ACL_CHANGES: &str = "/kafka-acl-changes";
/// Notifications of changed ACLs of patterns other than literal.
pub const EXTENDED_ACL_CHANGES: &str = "/kafka-acl-extended-changes";

/// Parent of the delegation tokens.
pub const DELEGATION_TOKEN: &str = "/delegation_token";
/// Its children are the tokens.
pub const DELEGATION_TOKENS: &str = "/delegation_token/tokens";
/// Notifications of changed tokens.
#[cfg(test)]
pub const DELEGATION_TOKEN_CHANGES: &str = "/delegation_token/token_changes";

/// Paths that every broker creates without data at its start if they are missing.
///
/// Kafka also creates `/latest_producer_id_block`, with null data. This ZooKeeper client can only write empty data,
/// which a Java controller cannot read. The allocation of the first block creates that znode instead (fact 1).
pub const PERSISTENT_PATHS: [&str; 13] = [
    CONSUMERS,
    BROKER_IDS,
    TOPICS,
    CONFIG_CHANGES,
    DELETE_TOPICS,
    BROKER_SEQUENCE_ID,
    ISR_CHANGE_NOTIFICATION,
    LOG_DIR_EVENT_NOTIFICATION,
    "/config/topics",
    "/config/clients",
    "/config/users",
    "/config/brokers",
    "/config/ips",
];

/// Types of entities that have dynamic configurations. Kafka 3.9: `ConfigType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "Kafka's own names")]
pub enum ConfigEntityType {
    Topics,
    Clients,
    Users,
    Brokers,
    Ips,
}

impl ConfigEntityType {
    /// Every type, in Kafka's order.
    pub const ALL: [Self; 5] = [Self::Topics, Self::Clients, Self::Users, Self::Brokers, Self::Ips];

    /// The name in paths and notifications.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Clients => "clients",
            Self::Users => "users",
            Self::Brokers => "brokers",
            Self::Ips => "ips",
        }
    }

    /// The type with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|entity_type| entity_type.as_str() == name)
    }
}

impl fmt::Display for ConfigEntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `/brokers/ids/N`
pub fn broker_id(id: BrokerId) -> String {
    format!("{BROKER_IDS}/{id}")
}

/// `/brokers/topics/T`
pub fn topic(topic: &str) -> String {
    format!("{TOPICS}/{topic}")
}

/// `/brokers/topics/T/partitions`
pub fn topic_partitions(topic: &str) -> String {
    format!("{TOPICS}/{topic}/partitions")
}

/// `/brokers/topics/T/partitions/P`
pub fn topic_partition(topic: &str, partition: i32) -> String {
    format!("{TOPICS}/{topic}/partitions/{partition}")
}

/// `/brokers/topics/T/partitions/P/state`
pub fn topic_partition_state(topic: &str, partition: i32) -> String {
    format!("{TOPICS}/{topic}/partitions/{partition}/state")
}

/// `/config/topics` and so on
pub fn config_entity_type(entity_type: ConfigEntityType) -> String {
    format!("{CONFIG}/{entity_type}")
}

/// `/config/topics/T` and so on. The name must be sanitized already where Kafka sanitizes it
/// (users, clients and ips: percent-encoded).
pub fn config_entity(entity_type: ConfigEntityType, name: &str) -> String {
    format!("{CONFIG}/{entity_type}/{name}")
}

/// `/config/changes/config_change_NNNNNNNNNN` from the name of a child.
pub fn config_change(child: &str) -> String {
    format!("{CONFIG_CHANGES}/{child}")
}

/// `/admin/delete_topics/T`
pub fn delete_topic(topic: &str) -> String {
    format!("{DELETE_TOPICS}/{topic}")
}

/// `/consumers/G/offsets/T/P`
pub fn consumer_offset(group: &str, topic: &str, partition: i32) -> String {
    format!("{CONSUMERS}/{group}/offsets/{topic}/{partition}")
}

/// The number at the end of a sequential znode's name: 17 of `config_change_0000000017`.
pub fn sequence_number(name: &str, prefix: &str) -> Option<i64> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// The path one level up; `None` for the root.
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/') {
        None => None,
        Some(0) if path.len() == 1 => None,
        Some(0) => Some("/"),
        Some(at) => Some(&path[..at]),
    }
}

/// The path of a child. Unlike plain formatting it handles the slash at the end of the root.
pub fn child(parent: &str, name: &str) -> String {
    if parent == "/" {
        format!("/{name}")
    } else {
        format!("{parent}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kafkas() {
        assert_eq!(broker_id(7), "/brokers/ids/7");
        assert_eq!(topic("a"), "/brokers/topics/a");
        assert_eq!(topic_partitions("a"), "/brokers/topics/a/partitions");
        assert_eq!(topic_partition("a", 3), "/brokers/topics/a/partitions/3");
        assert_eq!(
            topic_partition_state("a", 3),
            "/brokers/topics/a/partitions/3/state"
        );
        assert_eq!(config_entity_type(ConfigEntityType::Ips), "/config/ips");
        assert_eq!(
            config_entity(ConfigEntityType::Brokers, DEFAULT_ENTITY),
            "/config/brokers/<default>"
        );
        assert_eq!(
            config_change("config_change_0000000001"),
            format!("{CONFIG_CHANGE_SEQUENCE}0000000001")
        );
        assert_eq!(delete_topic("a"), "/admin/delete_topics/a");
        assert_eq!(consumer_offset("g", "t", 0), "/consumers/g/offsets/t/0");
    }

    #[test]
    fn every_type_of_configuration_has_a_pre_created_parent() {
        for entity_type in ConfigEntityType::ALL {
            assert_eq!(ConfigEntityType::parse(entity_type.as_str()), Some(entity_type));
            assert!(PERSISTENT_PATHS.contains(&config_entity_type(entity_type).as_str()));
        }
        assert_eq!(ConfigEntityType::parse("client-metrics"), None);
        assert!(!PERSISTENT_PATHS.contains(&PRODUCER_ID_BLOCK), "fact 1");
    }

    #[test]
    fn sequence_numbers_are_read_from_names() {
        assert_eq!(
            sequence_number("config_change_0000000017", CONFIG_CHANGE_PREFIX),
            Some(17)
        );
        assert_eq!(sequence_number("config_change_", CONFIG_CHANGE_PREFIX), None);
        assert_eq!(
            sequence_number("isr_change_0000000017", CONFIG_CHANGE_PREFIX),
            None
        );
    }

    #[test]
    fn parents_and_children() {
        assert_eq!(parent("/a/b"), Some("/a"));
        assert_eq!(parent("/a"), Some("/"));
        assert_eq!(parent("/"), None);
        assert_eq!(child("/", "a"), "/a");
        assert_eq!(child("/a", "b"), "/a/b");
    }
}

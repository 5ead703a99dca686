//! Tests that compare `zk-schema/` with the znodes of Apache Kafka 3.9.1, with those of barnabas, and with its README.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jsonschema::Validator;
use serde_json::Value;

use super::acl::NodeAcl;
use super::check::index::matches;
use super::memory::MemoryZooKeeper;
use super::paths::{self, ConfigEntityType};
use super::recursive::create_recursive;
use super::registration::Registration;
use super::store::{CreateMode, ZkStore as _};
use super::znode::*;
use super::{cluster, znode};
use crate::common::clock::ManualClock;
use crate::common::ids::{TopicPartition, random_uuid};
use crate::common::leader_and_isr::{
    LeaderAndIsr, LeaderIsrAndControllerEpoch, LeaderRecoveryState, ReplicaAssignment,
};
use crate::config::{Endpoint, SecurityProtocol};

const CAPTURE: &str = include_str!("../../zk-schema/captures/kafka-3.9.1.txt");

/// One znode of `index.json`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    path: String,
    kind: Kind,
    data: Data,
    schema: Option<String>,
    #[serde(default)]
    nullable: bool,
    pre_created: bool,
    writers: Vec<String>,
    #[expect(dead_code, reason = "for people; parsed so that it cannot be missing")]
    watchers: Vec<String>,
    acl: AclKind,
    summary: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Persistent,
    Ephemeral,
    PersistentSequential,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Data {
    None,
    Json,
    Decimal,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AclKind {
    Default,
    Sensitive,
    Open,
}

#[derive(serde::Deserialize)]
struct Index {
    znodes: Vec<Entry>,
}

/// The index with its compiled schemas.
struct Schemas {
    index: Index,
    validators: BTreeMap<String, Validator>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("zk-schema")
}

fn read_json(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Schemas {
    fn load() -> Self {
        let index: Index = serde_json::from_value(read_json("index.json")).unwrap();
        let names: BTreeSet<_> = index
            .znodes
            .iter()
            .filter_map(|entry| entry.schema.clone())
            .collect();
        let validators = names.into_iter().map(|name| {
            let schema = read_json(&name);
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            let validator = jsonschema::validator_for(&schema).unwrap();
            (name, validator)
        });
        Self {
            validators: validators.collect(),
            index,
        }
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        let matching = self
            .index
            .znodes
            .iter()
            .filter(|entry| matches(&entry.path, path));
        matching.min_by_key(|entry| entry.path.matches('{').count())
    }

    /// The problem of a znode, as text; `None` if it is valid.
    fn violation(&self, path: &str, data: &[u8]) -> Option<String> {
        let Some(entry) = self.entry(path) else {
            return Some(format!("{path} is in no cluster of Kafka 3.9"));
        };
        if data.is_empty() && (entry.nullable || entry.data == Data::None) {
            return None;
        }
        let text = String::from_utf8_lossy(data);
        let wrong = match entry.data {
            Data::None => Some("it should have no data".to_owned()),
            Data::Text => None,
            Data::Decimal => text.parse::<i64>().err().map(|error| error.to_string()),
            Data::Json => match serde_json::from_slice(data) {
                Ok(json) => {
                    let validator = &self.validators[entry.schema.as_deref().unwrap()];
                    validator.validate(&json).err().map(|error| error.to_string())
                }
                Err(error) => Some(error.to_string()),
            },
        };
        wrong.map(|wrong| format!("{path}: {wrong}: {text}"))
    }
}

#[test]
fn the_index_is_consistent() {
    let schemas = Schemas::load();
    let mut seen = BTreeSet::new();
    for entry in &schemas.index.znodes {
        assert!(seen.insert(&entry.path), "{} is there twice", entry.path);
        assert_eq!(entry.schema.is_some(), entry.data == Data::Json, "{}", entry.path);
        assert!(
            !entry.writers.is_empty() && entry.summary.ends_with('.'),
            "{}",
            entry.path
        );
        let sequential = entry.path.ends_with("_{sequence}");
        assert_eq!(
            entry.kind == Kind::PersistentSequential,
            sequential,
            "{}",
            entry.path
        );
        let acl = match NodeAcl::of(&entry.path, true) {
            NodeAcl::Open => AclKind::Open,
            NodeAcl::Sensitive => AclKind::Sensitive,
            NodeAcl::Readable => AclKind::Default,
        };
        assert_eq!(entry.acl, acl, "{}", entry.path);
        if let Some(parent) = paths::parent(&entry.path) {
            assert!(
                schemas.entry(parent).is_some(),
                "the parent of {} is missing",
                entry.path
            );
        }
    }
    let files = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> = files
        .filter(|name| name.ends_with(".json") && name != "index.json")
        .collect();
    assert_eq!(
        files,
        schemas.validators.keys().cloned().collect(),
        "schemas that no znode has"
    );
}

#[test]
fn every_path_of_the_code_is_in_the_index() {
    let schemas = Schemas::load();
    let pre_created: BTreeSet<_> = schemas
        .index
        .znodes
        .iter()
        .filter(|entry| entry.pre_created)
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(pre_created, BTreeSet::from(paths::PERSISTENT_PATHS));
    for (path, kind) in [
        (paths::broker_id(1), Kind::Ephemeral),
        (paths::CONTROLLER.to_owned(), Kind::Ephemeral),
        (paths::CONTROLLER_EPOCH.to_owned(), Kind::Persistent),
        (paths::CLUSTER_ID.to_owned(), Kind::Persistent),
        (paths::topic_partition_state("t", 0), Kind::Persistent),
        ("/config/users/u/clients/c".to_owned(), Kind::Persistent),
        (
            paths::config_change("config_change_0000000001"),
            Kind::PersistentSequential,
        ),
        (
            paths::child(paths::ISR_CHANGE_NOTIFICATION, "isr_change_0000000001"),
            Kind::PersistentSequential,
        ),
        (
            paths::child(paths::LOG_DIR_EVENT_NOTIFICATION, "log_dir_event_0000000001"),
            Kind::PersistentSequential,
        ),
        (paths::delete_topic("t"), Kind::Persistent),
        (paths::consumer_offset("g", "t", 0), Kind::Persistent),
        (paths::REASSIGN_PARTITIONS.to_owned(), Kind::Persistent),
        (paths::PREFERRED_REPLICA_ELECTION.to_owned(), Kind::Persistent),
        (paths::PRODUCER_ID_BLOCK.to_owned(), Kind::Persistent),
        (paths::FEATURE.to_owned(), Kind::Persistent),
        (paths::MIGRATION.to_owned(), Kind::Persistent),
        (paths::ACLS.to_owned(), Kind::Persistent),
        (paths::EXTENDED_ACLS.to_owned(), Kind::Persistent),
        (paths::ACL_CHANGES.to_owned(), Kind::Persistent),
        (paths::EXTENDED_ACL_CHANGES.to_owned(), Kind::Persistent),
        (paths::DELEGATION_TOKEN_CHANGES.to_owned(), Kind::Persistent),
    ] {
        assert_eq!(schemas.entry(&path).map(|entry| entry.kind), Some(kind), "{path}");
    }
    for entity_type in ConfigEntityType::ALL {
        let path = paths::config_entity(entity_type, paths::DEFAULT_ENTITY);
        assert_eq!(
            schemas.entry(&path).unwrap().schema.as_deref(),
            Some("config_entity.json")
        );
    }
}

#[test]
fn the_readme_has_every_znode() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with("| `/"));
    let described: Vec<_> = rows.map(str::to_owned).collect();
    let expected: Vec<_> = Schemas::load()
        .index
        .znodes
        .iter()
        .map(
            |Entry {
                 path, kind, summary, ..
             }| {
                let kind = match kind {
                    Kind::Persistent => "",
                    Kind::Ephemeral => "ephemeral",
                    Kind::PersistentSequential => "sequential",
                };
                format!("| `{path}` | {kind} | {summary} |")
            },
        )
        .collect();
    assert_eq!(described, expected);
}

#[test]
fn what_kafka_wrote_fits() {
    let schemas = Schemas::load();
    let mut with_data = 0;
    for line in CAPTURE.lines() {
        let columns: Vec<_> = line.split(" |").map(str::trim).collect();
        let data = if columns[1] == "null" { "" } else { columns[1] };
        assert_eq!(schemas.violation(columns[0], data.as_bytes()), None);
        let ephemeral = schemas.entry(columns[0]).unwrap().kind == Kind::Ephemeral;
        assert_eq!(columns[2] == "EPHEMERAL", ephemeral, "{line}");
        with_data += usize::from(!data.is_empty());
    }
    assert_eq!(with_data, 31);
}

#[test]
fn what_does_not_fit_is_found() {
    let schemas = Schemas::load();
    for (path, data) in [
        ("/unknown", ""),
        ("/brokers/topics/a/partitions/0/state/more", ""),
        ("/config/changes/other_0000000001", ""),
        ("/brokers/ids", "{}"),
        ("/controller_epoch", "one"),
        ("/cluster/id", ""),
        ("/cluster/id", "{"),
        ("/cluster/id", r#"{"version":1,"id":"x"}"#),
        ("/controller", r#"{"version":2,"brokerid":"1","timestamp":"1"}"#),
        ("/controller", r#"{"version":2,"brokerid":1,"timestamp":1}"#),
        ("/brokers/topics/a", r#"{"version":3,"partitions":{"0":[1]}}"#),
        ("/brokers/topics/a", r#"{"version":1,"partitions":{"x":[1]}}"#),
        (
            "/brokers/ids/1",
            r#"{"version":5,"host":"h","port":1,"jmx_port":-1,"timestamp":"1","endpoints":["P://h:1"]}"#,
        ),
        (
            "/brokers/topics/a/partitions/0/state",
            r#"{"version":1,"leader":-1,"leader_epoch":0,"controller_epoch":1,"isr":[]}"#,
        ),
        (
            "/config/changes/config_change_0000000001",
            r#"{"version":2,"entity_path":"planets/a"}"#,
        ),
        (
            "/latest_producer_id_block",
            r#"{"version":1,"broker":1,"block_start":0,"block_end":999}"#,
        ),
    ] {
        assert!(
            schemas.violation(path, data.as_bytes()).is_some(),
            "{path} {data}"
        );
    }
}

fn broker_info(rack: Option<&str>, security_protocol: SecurityProtocol) -> BrokerInfo {
    let endpoint = Endpoint {
        listener: "INTERNAL".to_owned(),
        security_protocol,
        host: "::1".to_owned(),
        port: 9092,
    };
    BrokerInfo::new(vec![endpoint], rack.map(str::to_owned), 1_700_000_000_000)
}

fn partition_state(leader: i32, recovery_state: LeaderRecoveryState) -> Bytes {
    znode::partition_state::encode(&LeaderIsrAndControllerEpoch {
        leader_and_isr: LeaderAndIsr {
            recovery_state,
            ..LeaderAndIsr::initial(leader, vec![1])
        },
        controller_epoch: 1,
    })
}

#[test]
fn what_our_encoders_write_fits() {
    let schemas = Schemas::load();
    let topic = TopicAssignment {
        topic_id: Some(random_uuid()),
        partitions: BTreeMap::from([
            (0, ReplicaAssignment::of(vec![1, 2])),
            (
                1,
                ReplicaAssignment {
                    replicas: vec![1, 2, 3],
                    adding: vec![3],
                    removing: vec![1],
                },
            ),
        ]),
    };
    let config = ConfigEntity {
        config: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
    };
    let partitions = [TopicPartition::new("a", 0)];
    let state = paths::topic_partition_state("a", 0);
    let topic_path = paths::topic("a");
    let without_id = TopicAssignment {
        topic_id: None,
        ..topic.clone()
    };
    for (path, data) in [
        (
            "/brokers/ids/1",
            broker_info(None, SecurityProtocol::Plaintext).encode(),
        ),
        (
            "/brokers/ids/1",
            broker_info(Some("r"), SecurityProtocol::SaslSsl).encode(),
        ),
        (&topic_path, topic.encode()),
        (&topic_path, without_id.encode()),
        (&state, partition_state(1, LeaderRecoveryState::Recovered)),
        (&state, partition_state(-1, LeaderRecoveryState::Recovering)),
        (paths::CONTROLLER, ControllerRegistration::new(1, 5).encode()),
        (paths::CONTROLLER_EPOCH, znode::controller_epoch::encode(7)),
        ("/config/users/a/clients/b", config.encode()),
        ("/config/topics/a", ConfigEntity::default().encode()),
        (
            "/config/changes/config_change_0000000000",
            ConfigChange::of(ConfigEntityType::Topics, "a").encode(),
        ),
        (
            "/isr_change_notification/isr_change_0000000000",
            znode::isr_change::encode(&partitions),
        ),
        (
            "/log_dir_event_notification/log_dir_event_0000000000",
            znode::log_dir_event::encode(1),
        ),
        (
            paths::PREFERRED_REPLICA_ELECTION,
            znode::preferred_replica_election::encode(&partitions),
        ),
        (
            paths::REASSIGN_PARTITIONS,
            znode::reassign_partitions::encode(&[(partitions[0].clone(), vec![2])]),
        ),
        (
            paths::PRODUCER_ID_BLOCK,
            ProducerIdBlock::next(None, 1).unwrap().encode(),
        ),
        (paths::FEATURE, FeatureZnode::enabled().encode()),
        ("/consumers/g/offsets/t/0", znode::consumer_offset::encode(42)),
    ] {
        assert_eq!(schemas.violation(path, &data), None);
    }
}

#[tokio::test]
async fn what_a_broker_writes_at_its_start_fits() {
    let zookeeper = MemoryZooKeeper::new(ManualClock::at(1));
    let store = zookeeper.connect();
    cluster::create_persistent_paths(&*store).await.unwrap();
    cluster::get_or_create_cluster_id(&*store).await.unwrap();
    cluster::generate_broker_id(&*store, 1000).await.unwrap();
    let info = broker_info(None, SecurityProtocol::Plaintext);
    Registration::new(1).register(&*store, &info).await.unwrap();
    let change = ConfigChange::of(ConfigEntityType::Topics, "a").encode();
    store
        .create(
            paths::CONFIG_CHANGE_SEQUENCE,
            change,
            CreateMode::PersistentSequential,
        )
        .await
        .unwrap();
    create_recursive(&*store, &paths::delete_topic("a"), Bytes::new())
        .await
        .unwrap();
    let schemas = Schemas::load();
    let znodes = zookeeper.snapshot();
    assert!(znodes.len() > 20);
    for (path, data) in znodes {
        assert_eq!(schemas.violation(&path, &data), None);
    }
}

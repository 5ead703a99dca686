//! Tests of every codec against znodes of Apache Kafka 3.9.1, byte for byte, and against input that Kafka tolerates.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::common::ids::{TopicPartition, uuid_from_base64};
use crate::common::leader_and_isr::{
    LeaderAndIsr, LeaderIsrAndControllerEpoch, LeaderRecoveryState, ReplicaAssignment,
};
use crate::config::{Endpoint, SecurityProtocol};
use crate::zk::paths::ConfigEntityType;

/// Lines of `path | data | EPHEMERAL or nothing | vN`: the znodes of a running Apache Kafka 3.9.1.
const CAPTURE: &str = include_str!("../../../zk-schema/captures/kafka-3.9.1.txt");

/// Decodes `data` and encodes it again with the codec for `path`; `None` for znodes without data.
fn recode(path: &str, data: &[u8]) -> Option<Result<Bytes, ZnodeError>> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match parts[..] {
        ["brokers", "ids", _] => BrokerInfo::decode(data).map(|z| z.encode()),
        ["brokers", "topics", _] => TopicAssignment::decode(data).map(|z| z.encode()),
        ["brokers", "topics", _, "partitions", _, "state"] => {
            partition_state::decode(data, 0).map(|z| partition_state::encode(&z))
        }
        ["cluster", "id"] => cluster_id::decode(data).map(|z| cluster_id::encode(&z)),
        ["config", "changes", _] => ConfigChange::decode(data).map(|z| z.encode()),
        ["config", _, _] => ConfigEntity::decode(data).map(|z| z.encode()),
        ["controller"] => ControllerRegistration::decode(data).map(|z| z.encode()),
        ["controller_epoch"] => controller_epoch::decode(data).map(controller_epoch::encode),
        ["feature"] => FeatureZnode::decode(data).map(|z| z.encode()),
        ["latest_producer_id_block"] => ProducerIdBlock::decode(data).map(|z| z.encode()),
        _ => return None,
    })
}

#[test]
fn what_kafka_wrote_comes_out_as_kafka_wrote_it() {
    let mut seen = 0;
    for line in CAPTURE.lines() {
        let mut columns = line.split(" |").map(str::trim);
        let (path, data) = (columns.next().unwrap(), columns.next().unwrap());
        let Some(recoded) = recode(path, data.as_bytes()) else {
            assert_eq!(data, "null", "{path} has data, but no codec");
            continue;
        };
        seen += 1;
        let recoded = recoded.unwrap_or_else(|error| panic!("{path}: {error}"));
        let recoded = std::str::from_utf8(&recoded).unwrap();
        if path.starts_with("/config/") && !path.starts_with("/config/changes") {
            // Kafka writes these keys in the order of a hash table.
            let value = |text| serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text).unwrap();
            assert_eq!(value(recoded), value(data), "{path}");
        } else {
            assert_eq!(recoded, data, "{path}");
        }
    }
    assert_eq!(seen, 31, "znodes with data in the capture");
}

fn endpoint(listener: &str, security_protocol: SecurityProtocol, host: &str, port: u16) -> Endpoint {
    Endpoint {
        listener: listener.to_owned(),
        security_protocol,
        host: host.to_owned(),
        port,
    }
}

#[test]
fn a_registration_with_rack_and_without_plaintext() {
    let info = BrokerInfo::new(
        vec![
            endpoint("INTERNAL", SecurityProtocol::SaslSsl, "::1", 9093),
            endpoint("EXTERNAL", SecurityProtocol::Ssl, "example.org", 9094),
        ],
        Some("r1".to_owned()),
        5,
    );
    let expected = concat!(
        r#"{"features":{},"listener_security_protocol_map":{"INTERNAL":"SASL_SSL","EXTERNAL":"SSL"},"#,
        r#""endpoints":["INTERNAL://[::1]:9093","EXTERNAL://example.org:9094"],"rack":"r1","jmx_port":-1,"#,
        r#""port":-1,"host":null,"version":5,"timestamp":"5"}"#
    );
    assert_eq!(info.encode(), expected);
    assert_eq!(BrokerInfo::decode(expected.as_bytes()), Ok(info.clone()));
    assert_eq!(info.endpoint("EXTERNAL").unwrap().port, 9094);
}

#[test]
fn registrations_of_older_brokers() {
    let v1 = br#"{"jmx_port":-1,"timestamp":"1","host":"h","version":1,"port":9092}"#;
    let expected = vec![endpoint("PLAINTEXT", SecurityProtocol::Plaintext, "h", 9092)];
    assert_eq!(BrokerInfo::decode(v1).unwrap().endpoints, expected);
    let v3 = br#"{"jmx_port":9999,"host":"h","version":3,"port":9092,"rack":"r","endpoints":["PLAINTEXT://h:9092","SSL://h:9093"]}"#;
    let info = BrokerInfo::decode(v3).unwrap();
    assert_eq!(
        info.endpoints[1],
        endpoint("SSL", SecurityProtocol::Ssl, "h", 9093)
    );
    assert_eq!(
        (info.rack.as_deref(), info.jmx_port, info.timestamp_ms),
        (Some("r"), 9999, -1)
    );
}

#[test]
fn broken_registrations_are_errors() {
    for (broken, missing) in [
        (r#"{"jmx_port":-1,"endpoints":[]}"#, "version"),
        (r#"{"version":5,"endpoints":[]}"#, "jmx_port"),
        (r#"{"version":5,"jmx_port":-1}"#, "endpoints"),
        (r#"{"version":1,"jmx_port":-1,"port":1}"#, "host"),
    ] {
        assert_eq!(
            BrokerInfo::decode(broken.as_bytes()),
            Err(ZnodeError::MissingKey(missing.to_owned()))
        );
    }
    for broken in [
        r#"{"version":5,"jmx_port":-1,"endpoints":["X://h:1"]}"#,
        r#"{"version":5,"jmx_port":-1,"endpoints":["PLAINTEXT://h"]}"#,
        r#"{"version":5,"jmx_port":-1,"endpoints":["PLAINTEXT://h:70000"]}"#,
        r#"{"version":"5","jmx_port":-1,"endpoints":[]}"#,
        r#"{"version":0,"jmx_port":-1,"endpoints":[]}"#,
        "",
        "[]",
        "{",
    ] {
        assert!(BrokerInfo::decode(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn a_topic_that_is_being_reassigned() {
    let mut topic = TopicAssignment {
        topic_id: None,
        partitions: (0..12).map(|p| (p, ReplicaAssignment::of(vec![1, 2]))).collect(),
    };
    topic.partitions.insert(
        3,
        ReplicaAssignment {
            replicas: vec![3, 1, 2],
            adding: vec![3],
            removing: vec![1],
        },
    );
    let encoded = topic.encode();
    let text = std::str::from_utf8(&encoded).unwrap();
    assert!(
        text.ends_with(r#","adding_replicas":{"3":[3]},"removing_replicas":{"3":[1]},"version":3}"#),
        "{text}"
    );
    assert!(!text.contains("topic_id"));
    assert_eq!(TopicAssignment::decode(&encoded), Ok(topic));
}

#[test]
fn topics_of_older_clusters() {
    let v1 = br#"{"version":1,"partitions":{"10":[1],"2":[2,1]}}"#;
    let topic = TopicAssignment::decode(v1).unwrap();
    assert_eq!(topic.topic_id, None);
    assert_eq!(topic.partitions.keys().copied().collect::<Vec<_>>(), [2, 10]);
    assert_eq!(TopicAssignment::decode(b"{}"), Ok(TopicAssignment::default()));
    for broken in [
        r#"{"topic_id":"x"}"#,
        r#"{"partitions":{"a":[]}}"#,
        r#"{"partitions":{"0":["1"]}}"#,
    ] {
        assert!(TopicAssignment::decode(broken.as_bytes()).is_err(), "{broken}");
    }
    let id = "mZJDz3pZQ-OQQbw_-HYL_Q";
    let with_id = format!(r#"{{"topic_id":"{id}"}}"#);
    assert_eq!(
        TopicAssignment::decode(with_id.as_bytes()).unwrap().topic_id,
        uuid_from_base64(id)
    );
}

#[test]
fn a_state_tells_its_recovery_only_while_it_lasts() {
    let state = LeaderIsrAndControllerEpoch {
        leader_and_isr: LeaderAndIsr {
            leader: 1,
            leader_epoch: 4,
            isr: vec![1],
            recovery_state: LeaderRecoveryState::Recovering,
            partition_epoch: 9,
        },
        controller_epoch: 2,
    };
    let expected = r#"{"controller_epoch":2,"leader":1,"version":1,"leader_recovery_state":1,"leader_epoch":4,"isr":[1]}"#;
    assert_eq!(partition_state::encode(&state), expected);
    assert_eq!(partition_state::decode(expected.as_bytes(), 9), Ok(state));
    for key in ["leader", "leader_epoch", "isr", "controller_epoch"] {
        let without = expected.replace(&format!("\"{key}\""), "\"unknown\"");
        let error = ZnodeError::MissingKey(key.to_owned());
        assert_eq!(partition_state::decode(without.as_bytes(), 9), Err(error));
    }
    let broken = expected.replace("state\":1", "state\":2");
    assert!(partition_state::decode(broken.as_bytes(), 9).is_err());
}

#[test]
fn a_controller_of_kraft_is_told_apart() {
    let old = ControllerRegistration::decode(br#"{"version":1,"brokerid":3,"timestamp":"8"}"#).unwrap();
    assert_eq!((old.broker_id, old.timestamp_ms, old.is_kraft()), (3, 8, false));
    let kraft = br#"{"brokerid":3000,"kraftControllerEpoch":7}"#;
    assert!(ControllerRegistration::decode(kraft).unwrap().is_kraft());
    assert!(ControllerRegistration::decode(br#"{"version":1}"#).is_err());
}

#[test]
fn numbers_as_text() {
    assert_eq!(controller_epoch::encode(7), "7");
    assert_eq!(controller_epoch::decode(b"7"), Ok(7));
    assert_eq!(consumer_offset::encode(1 << 40), "1099511627776");
    assert_eq!(consumer_offset::decode(b"1099511627776"), Ok(1 << 40));
    for broken in [&b""[..], b"x", b"1.0", b"\xff", b"99999999999"] {
        assert!(controller_epoch::decode(broken).is_err(), "{broken:?}");
    }
}

#[test]
fn configurations_are_read_as_leniently_as_kafka_does() {
    for empty in [
        "",
        "null",
        "no json",
        "[]",
        "{}",
        r#"{"config":1}"#,
        r#"{"config":{}}"#,
    ] {
        assert_eq!(
            ConfigEntity::decode(empty.as_bytes()),
            Ok(ConfigEntity::default()),
            "{empty}"
        );
    }
    assert!(ConfigEntity::decode(br#"{"config":{"a":1}}"#).is_err());
}

#[test]
fn notifications_of_configurations() {
    let v1 = br#"{"version":1,"entity_type":"topics","entity_name":"a"}"#;
    assert_eq!(
        ConfigChange::decode(v1).unwrap().entity(),
        Some((ConfigEntityType::Topics, "a"))
    );
    let user_client = br#"{"version":2,"entity_path":"users/u/clients/c"}"#;
    let change = ConfigChange::decode(user_client).unwrap();
    assert_eq!(change.entity(), Some((ConfigEntityType::Users, "u/clients/c")));
    for broken in [
        r#"{"version":3,"entity_path":"topics/a"}"#,
        r#"{"version":2,"entity_path":"topics"}"#,
        r#"{"version":2,"entity_path":"planets/a"}"#,
        r#"{"version":1,"entity_type":"users","entity_name":"a"}"#,
        "topics/a",
    ] {
        assert!(ConfigChange::decode(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn notifications_for_the_controller() {
    let partitions = vec![TopicPartition::new("a", 0), TopicPartition::new("b", 1)];
    let expected = r#"{"version":1,"partitions":[{"topic":"a","partition":0},{"topic":"b","partition":1}]}"#;
    assert_eq!(isr_change::encode(&partitions), expected);
    assert_eq!(isr_change::decode(expected.as_bytes()), Ok(partitions.clone()));
    assert_eq!(preferred_replica_election::encode(&partitions), expected);
    assert_eq!(
        preferred_replica_election::decode(expected.as_bytes()),
        Ok(partitions)
    );
    assert!(isr_change::decode(b"{}").is_err());

    assert_eq!(log_dir_event::encode(4), r#"{"version":1,"broker":4,"event":1}"#);
    assert_eq!(log_dir_event::decode(br#"{"broker":4}"#), Ok(4));

    let reassignment = vec![(TopicPartition::new("a", 0), vec![2, 1])];
    let expected = r#"{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":[2,1]}]}"#;
    assert_eq!(reassign_partitions::encode(&reassignment), expected);
    assert_eq!(reassign_partitions::decode(expected.as_bytes()), Ok(reassignment));
}

#[test]
fn blocks_of_producer_ids_follow_each_other() {
    let first = ProducerIdBlock::next(None, 1).unwrap();
    assert_eq!((first.first, first.last), (0, 999));
    let second = ProducerIdBlock::next(Some(&first), 2).unwrap();
    assert_eq!(
        second.encode(),
        r#"{"version":1,"broker":2,"block_start":"1000","block_end":"1999"}"#
    );
    let last = ProducerIdBlock {
        last: i64::MAX - 500,
        ..first
    };
    assert_eq!(ProducerIdBlock::next(Some(&last), 1), None);
    assert!(
        ProducerIdBlock::decode(b"").is_err(),
        "fact 1: no data is no block"
    );
}

#[test]
fn features_of_both_versions() {
    let v1 = br#"{"version":1,"status":1,"features":{"f":{"min_version_level":1,"max_version_level":3}}}"#;
    let feature = FeatureZnode::decode(v1).unwrap();
    assert_eq!(feature.features["f"], 3);
    assert_eq!(
        feature.encode(),
        r#"{"features":{"f":{"max_version_level":3}},"version":2,"status":1}"#
    );
    assert_eq!(
        FeatureZnode::enabled().encode(),
        r#"{"features":{},"version":2,"status":1}"#
    );
    for broken in [
        r#"{"version":3,"status":1,"features":{}}"#,
        r#"{"version":2,"status":2,"features":{}}"#,
        r#"{"version":2,"features":{}}"#,
        r#"{"version":2,"status":1}"#,
        r#"{"version":2,"status":1,"features":{"f":{}}}"#,
        r#"{"version":1,"status":1,"features":{"f":{"max_version_level":3}}}"#,
        r#"{"version":1,"status":1,"features":{"f":{"min_version_level":4,"max_version_level":3}}}"#,
    ] {
        assert!(FeatureZnode::decode(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn json_is_read_like_jackson_reads_it() {
    // Of two equal keys the last counts, text after the object is ignored, null means missing.
    let text = br#"{"version":2,"brokerid":1,"brokerid":2,"kraftControllerEpoch":-1} trailing"#;
    assert_eq!(ControllerRegistration::decode(text).unwrap().broker_id, 2);
    let text = br#"{"version":5,"jmx_port":-1,"endpoints":[],"rack":null,"features":null}"#;
    assert_eq!(BrokerInfo::decode(text).unwrap().rack, None);
    let text = br#"{"broker":1.0}"#;
    assert!(log_dir_event::decode(text).is_err());
}

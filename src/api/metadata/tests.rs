//! Three brokers, of which one is down and one has no address on the clients' listener.

use super::*;
use crate::common::ids::TopicPartition;
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch};
use crate::config::{Endpoint, SecurityProtocol};
use crate::metadata::BrokerMetadata;
use crate::protocol::messages::metadata_request::MetadataRequestTopic;
use crate::protocol::{ApiKey, codec};

fn endpoint(listener: &str, id: BrokerId) -> Endpoint {
    Endpoint {
        listener: listener.to_string(),
        security_protocol: SecurityProtocol::Plaintext,
        host: format!("{}-{id}", listener.to_lowercase()),
        port: 9092,
    }
}

fn broker(id: BrokerId, listeners: &[&str], rack: Option<&str>) -> BrokerMetadata {
    BrokerMetadata {
        id,
        endpoints: listeners.iter().map(|listener| endpoint(listener, id)).collect(),
        rack: rack.map(str::to_string),
    }
}

fn partition(leader: BrokerId, isr: &[BrokerId], offline: &[BrokerId]) -> PartitionMetadata {
    PartitionMetadata {
        state: LeaderIsrAndControllerEpoch {
            leader_and_isr: LeaderAndIsr {
                leader_epoch: 5,
                ..LeaderAndIsr::initial(leader, isr.to_vec())
            },
            controller_epoch: 1,
        },
        replicas: vec![1, 2, 3],
        offline_replicas: offline.to_vec(),
    }
}

const ID: TopicId = TopicId::from_u128(77);

/// Broker 3 is down; broker 2 has no address on EXTERNAL.
fn cluster() -> MetadataSnapshot {
    let mut snapshot = MetadataSnapshot {
        controller_id: Some(2),
        ..MetadataSnapshot::default()
    };
    snapshot
        .brokers
        .insert(1, broker(1, &["INTERNAL", "EXTERNAL"], Some("a")));
    snapshot.brokers.insert(2, broker(2, &["INTERNAL"], None));
    for (index, state) in [
        (0, partition(1, &[1], &[3])),
        (1, partition(2, &[2, 1], &[])),
        (2, partition(3, &[3], &[3])),
        (3, partition(NO_BROKER, &[3], &[3])),
    ] {
        snapshot.upsert_partition(&TopicPartition::new("t", index), ID, state);
    }
    let offsets = TopicPartition::new("__consumer_offsets", 0);
    snapshot.upsert_partition(&offsets, TopicId::nil(), partition(1, &[1], &[]));
    snapshot
}

fn answer<'a>(snapshot: &'a MetadataSnapshot, listener: &'a str, version: i16) -> Answer<'a> {
    Answer {
        snapshot,
        listener,
        version,
        topic_operations: NOT_ASKED,
    }
}

fn by_name(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(wire_text(name).into()));
    MetadataRequest::default().with_topics(Some(names.iter().map(topic).collect()))
}

fn names_of(topics: &[MetadataResponseTopic]) -> Vec<&str> {
    let mut names: Vec<&str> = topics.iter().map(|t| t.name.as_ref().unwrap().as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn brokers_are_where_the_listener_says() {
    let snapshot = cluster();
    let inside = answer(&snapshot, "INTERNAL", 12).brokers();
    let hosts: Vec<&str> = inside.iter().map(|b| b.host.as_str()).collect();
    assert_eq!(hosts, ["internal-1", "internal-2"]);
    assert_eq!(inside[0].rack.as_deref(), Some("a"));
    let outside = answer(&snapshot, "EXTERNAL", 12).brokers();
    assert_eq!(outside.len(), 1);
    assert_eq!(
        (outside[0].node_id.0, outside[0].host.as_str()),
        (1, "external-1")
    );
}

#[test]
fn leaders_are_those_that_the_client_can_reach() {
    use ErrorCode::*;
    let snapshot = cluster();
    let errors_of = |listener, version| {
        let topic = answer(&snapshot, listener, version).topic("t").unwrap();
        let of = |p: &MetadataResponsePartition| (p.leader_id.0, ErrorCode::from_code(p.error_code));
        topic.partitions.iter().map(of).collect::<Vec<_>>()
    };
    let (none, gone) = ((NO_BROKER, LeaderNotAvailable), (NO_BROKER, LeaderNotAvailable));
    assert_eq!(errors_of("INTERNAL", 12), [(1, None), (2, None), gone, none]);
    assert_eq!(
        errors_of("EXTERNAL", 6),
        [(1, None), (NO_BROKER, ListenerNotFound), gone, none]
    );
    assert_eq!(errors_of("EXTERNAL", 5), [(1, None), gone, gone, none]);
    assert_eq!(errors_of("INTERNAL", 1), [(1, None), (2, None), gone, none]);
    // Version 0 cannot be told of the replica that is down.
    assert_eq!(
        errors_of("INTERNAL", 0),
        [(1, ReplicaNotAvailable), (2, ReplicaNotAvailable), gone, none]
    );
}

#[test]
fn partitions_say_all_there_is_to_say() {
    let snapshot = cluster();
    let topic = answer(&snapshot, "INTERNAL", 12).topic("t").unwrap();
    assert_eq!((topic.topic_id, topic.is_internal), (ID, false));
    let first = &topic.partitions[0];
    assert_eq!((first.partition_index, first.leader_epoch), (0, 5));
    assert_eq!(first.replica_nodes, wire_ids(&[1, 2, 3]));
    assert_eq!(
        (&first.isr_nodes, &first.offline_replicas),
        (&wire_ids(&[1]), &wire_ids(&[3]))
    );
    let first = &answer(&snapshot, "INTERNAL", 0).topic("t").unwrap().partitions[0];
    assert_eq!(first.replica_nodes, wire_ids(&[1, 2]));
    assert!(
        answer(&snapshot, "INTERNAL", 12)
            .topic("__consumer_offsets")
            .unwrap()
            .is_internal
    );
}

#[test]
fn topics_are_asked_for_in_many_ways() {
    let snapshot = cluster();
    let ask = |version, request: &MetadataRequest| answer(&snapshot, "INTERNAL", version).topics(request);
    let all = ["__consumer_offsets", "t"];
    let null = MetadataRequest::default().with_topics(None);
    assert_eq!(names_of(&ask(12, &null).0), all);
    assert_eq!(names_of(&ask(0, &by_name(&[])).0), all);
    assert!(ask(1, &by_name(&[])).0.is_empty());
    let (known, missing) = ask(9, &by_name(&["t", "new", "t", "new"]));
    assert_eq!((names_of(&known), missing), (vec!["t"], vec!["new".into()]));
    let unknown = TopicId::from_u128(1);
    let ids = [ID, unknown].map(|id| MetadataRequestTopic::default().with_topic_id(id).with_name(None));
    let (mut known, missing) = ask(12, &MetadataRequest::default().with_topics(Some(ids.to_vec())));
    known.sort_by_key(|topic| topic.error_code);
    assert_eq!((known[0].topic_id, known[0].partitions.len()), (ID, 4));
    assert_eq!((known[1].topic_id, &known[1].name), (unknown, &None));
    assert_eq!(known[1].error_code, ErrorCode::UnknownTopicId.code());
    assert!(missing.is_empty());
}

#[test]
fn what_is_missing_has_a_reason() {
    assert_eq!(why_missing("new"), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(why_missing("not/good"), ErrorCode::InvalidTopicException);
    assert_eq!(why_missing(""), ErrorCode::InvalidTopicException);
}

#[test]
fn ids_before_their_time_are_refused() {
    let by_id = MetadataRequestTopic::default().with_topic_id(ID).with_name(None);
    let request = MetadataRequest::default().with_topics(Some(vec![by_id]));
    for version in [10, 11] {
        let refusal = refuse(&request, version).unwrap();
        assert_eq!(refusal.topics[0].error_code, ErrorCode::InvalidRequest.code());
        assert!(codec::encode_response(&refusal, version, 1).is_ok());
    }
    assert_eq!(refuse(&request, 12), None);
    assert_eq!(refuse(&by_name(&["t"]), 10), None);
}

#[test]
fn every_version_can_be_written() {
    let snapshot = cluster();
    for version in ApiKey::Metadata.versions() {
        let answer = answer(&snapshot, "EXTERNAL", version);
        let mut topics = answer.topics(&MetadataRequest::default().with_topics(None)).0;
        topics.push(answer.named("new", ErrorCode::LeaderNotAvailable));
        let response = MetadataResponse::default()
            .with_brokers(answer.brokers())
            .with_topics(topics);
        codec::encode_response(&response, version, 1).unwrap();
    }
}

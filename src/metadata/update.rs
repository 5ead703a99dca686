//! Applies UpdateMetadata to the snapshot. Kafka 3.9: `ZkMetadataCache.updateMetadata`.
//!
//! The brokers are replaced as a whole, partitions one by one. Epochs are not compared, because the controller sends
//! its requests in order.

use std::sync::Arc;

use super::cache::{BrokerMetadata, MetadataSnapshot, PartitionMetadata};
use crate::common::ids::{LEADER_DURING_DELETE, TopicId, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch, LeaderRecoveryState};
use crate::config::{Endpoint, SecurityProtocol};
use crate::protocol::messages::UpdateMetadataRequest;
use crate::protocol::messages::update_metadata_request::{
    UpdateMetadataBroker, UpdateMetadataEndpoint, UpdateMetadataPartitionState,
};

/// Changes the snapshot; returns the partitions that were removed.
pub fn apply(snapshot: &mut MetadataSnapshot, request: &UpdateMetadataRequest) -> Vec<TopicPartition> {
    snapshot.controller_id = (request.controller_id.0 >= 0).then_some(request.controller_id.0);
    snapshot.controller_epoch = request.controller_epoch;
    snapshot.brokers = request
        .live_brokers
        .iter()
        .map(broker)
        .map(|broker| (broker.id, broker))
        .collect();
    let mut gone = Vec::new();
    // Before version 5 each partition names its topic, and there are no topic ids.
    for state in &request.ungrouped_partition_states {
        put(snapshot, &state.topic_name, TopicId::nil(), state, &mut gone);
    }
    for topic in &request.topic_states {
        for state in &topic.partition_states {
            put(snapshot, &topic.topic_name, topic.topic_id, state, &mut gone);
        }
    }
    gone
}

fn put(
    snapshot: &mut MetadataSnapshot,
    topic: &str,
    topic_id: TopicId,
    state: &UpdateMetadataPartitionState,
    gone: &mut Vec<TopicPartition>,
) {
    let known = snapshot
        .topics
        .get_key_value(topic)
        .map(|(name, topic)| (name.clone(), topic.id));
    let (name, known_id) = known.unwrap_or_else(|| (Arc::from(topic), TopicId::nil()));
    let partition = TopicPartition::new(name, state.partition_index);
    if state.leader.0 == LEADER_DURING_DELETE {
        snapshot.remove_partition(&partition);
        gone.push(partition);
        return;
    }
    // A topic that comes back with another id, or without one, must not be found by its old id.
    if !known_id.is_nil() && known_id != topic_id {
        snapshot.topic_names.remove(&known_id);
        if let Some(topic) = snapshot.topics.get_mut(topic) {
            Arc::make_mut(topic).id = TopicId::nil();
        }
    }
    let ids = |list: &[crate::protocol::messages::BrokerId]| list.iter().map(|id| id.0).collect();
    let metadata = PartitionMetadata {
        state: LeaderIsrAndControllerEpoch {
            leader_and_isr: LeaderAndIsr {
                leader: state.leader.0,
                leader_epoch: state.leader_epoch,
                isr: ids(&state.isr),
                recovery_state: LeaderRecoveryState::Recovered,
                partition_epoch: state.zk_version,
            },
            controller_epoch: state.controller_epoch,
        },
        replicas: ids(&state.replicas),
        offline_replicas: ids(&state.offline_replicas),
    };
    snapshot.upsert_partition(&partition, topic_id, metadata);
}

fn broker(broker: &UpdateMetadataBroker) -> BrokerMetadata {
    let mut endpoints: Vec<Endpoint> = broker.endpoints.iter().filter_map(endpoint).collect();
    // Version 0 has only one plaintext listener.
    if endpoints.is_empty()
        && let Ok(port @ 1..) = u16::try_from(broker.v0_port)
    {
        endpoints.push(Endpoint {
            listener: SecurityProtocol::Plaintext.name().to_owned(),
            security_protocol: SecurityProtocol::Plaintext,
            host: broker.v0_host.to_string(),
            port,
        });
    }
    BrokerMetadata {
        id: broker.id.0,
        endpoints,
        rack: broker.rack.as_ref().map(ToString::to_string),
    }
}

fn endpoint(endpoint: &UpdateMetadataEndpoint) -> Option<Endpoint> {
    let security_protocol = match endpoint.security_protocol {
        0 => SecurityProtocol::Plaintext,
        1 => SecurityProtocol::Ssl,
        2 => SecurityProtocol::SaslPlaintext,
        3 => SecurityProtocol::SaslSsl,
        _ => return None,
    };
    // Before version 3 a listener is named after its protocol.
    let listener = match endpoint.listener.as_str() {
        "" => security_protocol.name().to_owned(),
        name => name.to_owned(),
    };
    let port = u16::try_from(endpoint.port).ok()?;
    Some(Endpoint {
        listener,
        security_protocol,
        host: endpoint.host.to_string(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::StrBytes;
    use crate::protocol::messages::update_metadata_request::UpdateMetadataTopicState;

    fn state(partition: i32, leader: i32) -> UpdateMetadataPartitionState {
        UpdateMetadataPartitionState::default()
            .with_partition_index(partition)
            .with_leader(leader.into())
            .with_leader_epoch(3)
            .with_isr(vec![leader.into()])
            .with_replicas(vec![leader.into(), 9.into()])
    }

    fn request(id: u128, states: Vec<UpdateMetadataPartitionState>) -> UpdateMetadataRequest {
        let topic = UpdateMetadataTopicState::default()
            .with_topic_name(StrBytes::from_static_str("t").into())
            .with_topic_id(TopicId::from_u128(id))
            .with_partition_states(states);
        UpdateMetadataRequest::default()
            .with_controller_id(2.into())
            .with_controller_epoch(5)
            .with_topic_states(vec![topic])
    }

    fn listening(listener: &'static str, protocol: i16, port: i32) -> UpdateMetadataEndpoint {
        UpdateMetadataEndpoint::default()
            .with_listener(StrBytes::from_static_str(listener))
            .with_host(StrBytes::from_static_str("h"))
            .with_security_protocol(protocol)
            .with_port(port)
    }

    #[test]
    fn brokers_are_replaced_whole_and_partitions_one_by_one() {
        let mut snapshot = MetadataSnapshot::default();
        let broker = UpdateMetadataBroker::default()
            .with_id(1.into())
            .with_endpoints(vec![
                listening("INTERNAL", 0, 9092),
                listening("", 3, 9093),
                listening("BAD", 7, 1),
            ]);
        assert!(
            apply(
                &mut snapshot,
                &request(7, vec![state(0, 1), state(1, 2)]).with_live_brokers(vec![broker])
            )
            .is_empty()
        );
        assert_eq!((snapshot.controller_id, snapshot.controller_epoch), (Some(2), 5));
        assert_eq!(snapshot.brokers[&1].endpoints.len(), 2);
        assert_eq!(
            snapshot.brokers[&1].endpoint("SASL_SSL").map(|e| e.port),
            Some(9093)
        );
        assert!(apply(&mut snapshot, &request(7, vec![state(1, 3)])).is_empty());
        assert!(snapshot.brokers.is_empty());
        let leader = |p| snapshot.partition("t", p).map(|p| p.state.leader_and_isr.leader);
        assert_eq!((leader(0), leader(1)), (Some(1), Some(3)));
    }

    #[test]
    fn a_deleted_partition_is_reported_and_an_old_topic_id_forgotten() {
        let mut snapshot = MetadataSnapshot::default();
        apply(&mut snapshot, &request(7, vec![state(0, 1)]));
        apply(&mut snapshot, &request(8, vec![state(0, 1)]));
        assert_eq!(snapshot.topic_id("t"), TopicId::from_u128(8));
        assert!(!snapshot.topic_names.contains_key(&TopicId::from_u128(7)));
        let gone = apply(&mut snapshot, &request(8, vec![state(0, LEADER_DURING_DELETE)]));
        assert_eq!(gone, [TopicPartition::new("t", 0)]);
        assert!(snapshot.topics.is_empty() && snapshot.topic_names.is_empty());
    }

    #[test]
    fn a_broker_of_version_0_has_one_plain_listener() {
        let old = UpdateMetadataBroker::default()
            .with_v0_host(StrBytes::from_static_str("old"))
            .with_v0_port(9092);
        assert_eq!(
            broker(&old)
                .endpoint("PLAINTEXT")
                .map(|e| (e.host.as_str(), e.port)),
            Some(("old", 9092))
        );
    }
}

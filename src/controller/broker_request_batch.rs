//! The batch of requests that one state change sends: at most one LeaderAndIsr, UpdateMetadata and StopReplica for each
//! broker. Pure. Kafka 3.9: `AbstractControllerBrokerRequestBatch`.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{debug, info, warn};

use super::context::{ControllerContext, LiveBroker};
use super::control_request::ControlRequest;
use crate::common::ids::{BrokerId, LEADER_DURING_DELETE, TopicName, TopicPartition};
use crate::protocol::StrBytes;
use crate::protocol::messages::leader_and_isr_request::{
    LeaderAndIsrLiveLeader, LeaderAndIsrPartitionState, LeaderAndIsrTopicState,
};
use crate::protocol::messages::stop_replica_request::{StopReplicaPartitionState, StopReplicaTopicState};
use crate::protocol::messages::update_metadata_request::{
    UpdateMetadataBroker, UpdateMetadataEndpoint, UpdateMetadataPartitionState, UpdateMetadataTopicState,
};
use crate::protocol::messages::{self, LeaderAndIsrRequest, StopReplicaRequest, UpdateMetadataRequest};

/// The contents of the requests. A second entry for the same broker and partition replaces the first, but a replica
/// that was added as new stays new, and one that was added for deletion stays so.
#[derive(Default)]
pub struct BrokerRequestBatch {
    leader_and_isr: BTreeMap<BrokerId, BTreeMap<TopicPartition, LeaderAndIsrPartitionState>>,
    update_metadata_brokers: BTreeSet<BrokerId>,
    update_metadata: BTreeMap<TopicPartition, UpdateMetadataPartitionState>,
    stop_replica: BTreeMap<BrokerId, BTreeMap<TopicPartition, StopReplicaPartitionState>>,
}

impl BrokerRequestBatch {
    /// Adds a partition's leader and ISR, as the context has them, to the LeaderAndIsr of these brokers and to the
    /// UpdateMetadata of all brokers. `is_new` is for replicas that have no log yet (fact 15).
    pub fn add_leader_and_isr(
        &mut self,
        context: &ControllerContext,
        brokers: &[BrokerId],
        partition: &TopicPartition,
        is_new: bool,
    ) {
        let (Some(leadership), Some(assignment)) =
            (context.leadership(partition), context.assignment(partition))
        else {
            return;
        };
        let state = &leadership.leader_and_isr;
        for &broker in brokers.iter().filter(|&&b| b >= 0) {
            let of_broker = self.leader_and_isr.entry(broker).or_default();
            let already_new = of_broker.get(partition).is_some_and(|s| s.is_new);
            let partition_state = LeaderAndIsrPartitionState::default()
                .with_partition_index(partition.partition)
                .with_controller_epoch(leadership.controller_epoch)
                .with_leader(state.leader.into())
                .with_leader_epoch(state.leader_epoch)
                .with_isr(wire_brokers(&state.isr))
                .with_partition_epoch(state.partition_epoch)
                .with_replicas(wire_brokers(&assignment.replicas))
                .with_adding_replicas(wire_brokers(&assignment.adding))
                .with_removing_replicas(wire_brokers(&assignment.removing))
                .with_is_new(is_new || already_new)
                .with_leader_recovery_state(state.recovery_state as i8);
            of_broker.insert(partition.clone(), partition_state);
        }
        self.add_update_metadata(context, &context.live_or_shutting_down_ids(), [partition]);
    }

    /// Adds these partitions, as the context has them, to the UpdateMetadata, and these brokers to its recipients.
    /// Leaves out partitions that have no leader yet. Every UpdateMetadata has the live brokers.
    pub fn add_update_metadata<'a>(
        &mut self,
        context: &ControllerContext,
        brokers: &[BrokerId],
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        self.update_metadata_brokers
            .extend(brokers.iter().copied().filter(|&b| b >= 0));
        for partition in partitions {
            match metadata_of(context, partition) {
                Some(state) => drop(self.update_metadata.insert(partition.clone(), state)),
                None => debug!(%partition, "no leader yet, left out of the metadata"),
            }
        }
    }

    /// Adds a partition to the StopReplica of these brokers; with `delete` they delete the replica too.
    pub fn add_stop_replica(
        &mut self,
        context: &ControllerContext,
        brokers: &[BrokerId],
        partition: &TopicPartition,
        delete: bool,
    ) {
        let leader_epoch = context.stop_replica_leader_epoch(partition);
        for &broker in brokers.iter().filter(|&&b| b >= 0) {
            let of_broker = self.stop_replica.entry(broker).or_default();
            let already_delete = of_broker.get(partition).is_some_and(|s| s.delete_partition);
            let state = StopReplicaPartitionState::default()
                .with_partition_index(partition.partition)
                .with_leader_epoch(leader_epoch)
                .with_delete_partition(delete || already_delete);
            of_broker.insert(partition.clone(), state);
        }
    }

    /// The requests in the order in which they must be sent: every LeaderAndIsr, then every UpdateMetadata, then every
    /// StopReplica. Each has its broker's epoch (fact 24). A broker that is not registered gets none.
    pub fn into_requests(
        self,
        context: &ControllerContext,
        controller_id: BrokerId,
        inter_broker_listener: &str,
    ) -> Vec<(BrokerId, ControlRequest)> {
        let builder = RequestBuilder {
            context,
            controller_id,
        };
        let mut requests = Vec::new();
        for (broker, states) in self.leader_and_isr {
            if let Some(to) = context.live_broker(broker) {
                let request = builder.leader_and_isr(to, states, inter_broker_listener);
                requests.push((broker, ControlRequest::LeaderAndIsr(request)));
            }
        }
        if !self.update_metadata_brokers.is_empty() {
            info!(target: "state.change", controller_epoch = context.epoch, brokers = ?self.update_metadata_brokers,
                partitions = self.update_metadata.len(), "sends UpdateMetadata");
            let topic_states = builder.metadata_topic_states(self.update_metadata);
            let live_brokers: Vec<_> = context
                .live_or_shutting_down_brokers()
                .map(metadata_broker)
                .collect();
            for broker in self.update_metadata_brokers {
                if let Some(to) = context.live_broker(broker) {
                    let request = UpdateMetadataRequest::default()
                        .with_controller_id(controller_id.into())
                        .with_controller_epoch(context.epoch)
                        .with_broker_epoch(to.epoch)
                        .with_topic_states(topic_states.clone())
                        .with_live_brokers(live_brokers.clone());
                    requests.push((broker, ControlRequest::UpdateMetadata(request)));
                }
            }
        }
        for (broker, states) in self.stop_replica {
            if let Some(to) = context.live_broker(broker) {
                requests.push((
                    broker,
                    ControlRequest::StopReplica(builder.stop_replica(to, states)),
                ));
            }
        }
        requests
    }
}

/// Builds requests of this controller out of their contents.
struct RequestBuilder<'a> {
    context: &'a ControllerContext,
    controller_id: BrokerId,
}

impl RequestBuilder<'_> {
    fn leader_and_isr(
        &self,
        to: &LiveBroker,
        states: BTreeMap<TopicPartition, LeaderAndIsrPartitionState>,
        inter_broker_listener: &str,
    ) -> LeaderAndIsrRequest {
        let leaders: BTreeSet<BrokerId> = states.values().map(|s| s.leader.0).collect();
        let leading = states.values().filter(|s| s.leader.0 == to.metadata.id).count();
        info!(target: "state.change", controller_epoch = self.context.epoch, broker = to.metadata.id,
            leader_partitions = leading, follower_partitions = states.len() - leading, "sends LeaderAndIsr");
        let topic = |(topic, partition_states): (TopicName, Vec<_>)| {
            LeaderAndIsrTopicState::default()
                .with_topic_id(self.context.topic_id(&topic))
                .with_topic_name(wire_topic(&topic))
                .with_partition_states(partition_states)
        };
        let live_leaders = leaders.iter().filter_map(|&id| self.context.live_broker(id));
        LeaderAndIsrRequest::default()
            .with_controller_id(self.controller_id.into())
            .with_controller_epoch(self.context.epoch)
            .with_broker_epoch(to.epoch)
            .with_topic_states(by_topic(states).into_iter().map(topic).collect())
            .with_live_leaders(
                live_leaders
                    .filter_map(|b| live_leader(b, inter_broker_listener))
                    .collect(),
            )
    }

    fn metadata_topic_states(
        &self,
        states: BTreeMap<TopicPartition, UpdateMetadataPartitionState>,
    ) -> Vec<UpdateMetadataTopicState> {
        let topic = |(topic, partition_states): (TopicName, Vec<_>)| {
            UpdateMetadataTopicState::default()
                .with_topic_id(self.context.topic_id(&topic))
                .with_topic_name(wire_topic(&topic))
                .with_partition_states(partition_states)
        };
        by_topic(states).into_iter().map(topic).collect()
    }

    fn stop_replica(
        &self,
        to: &LiveBroker,
        states: BTreeMap<TopicPartition, StopReplicaPartitionState>,
    ) -> StopReplicaRequest {
        info!(target: "state.change", controller_epoch = self.context.epoch, broker = to.metadata.id,
            replicas = states.len(), "sends StopReplica");
        let topic = |(topic, partition_states): (TopicName, Vec<_>)| {
            StopReplicaTopicState::default()
                .with_topic_name(wire_topic(&topic))
                .with_partition_states(partition_states)
        };
        StopReplicaRequest::default()
            .with_controller_id(self.controller_id.into())
            .with_controller_epoch(self.context.epoch)
            .with_broker_epoch(to.epoch)
            .with_topic_states(by_topic(states).into_iter().map(topic).collect())
    }
}

/// A partition in the form of UpdateMetadata. While its topic is queued for deletion, its leader is a number that
/// stands for the deletion.
fn metadata_of(
    context: &ControllerContext,
    partition: &TopicPartition,
) -> Option<UpdateMetadataPartitionState> {
    let leadership = context.leadership(partition)?;
    let state = &leadership.leader_and_isr;
    let (leader, leader_epoch, zk_version) = if context.is_queued_for_deletion(&partition.topic) {
        (LEADER_DURING_DELETE, 0, 0)
    } else {
        (state.leader, state.leader_epoch, state.partition_epoch)
    };
    let replicas = context.replicas(partition);
    let offline: Vec<_> = replicas
        .iter()
        .copied()
        .filter(|&r| !context.is_replica_online(r, partition))
        .collect();
    Some(
        UpdateMetadataPartitionState::default()
            .with_partition_index(partition.partition)
            .with_controller_epoch(leadership.controller_epoch)
            .with_leader(leader.into())
            .with_leader_epoch(leader_epoch)
            .with_isr(wire_brokers(&state.isr))
            .with_zk_version(zk_version)
            .with_replicas(wire_brokers(replicas))
            .with_offline_replicas(wire_brokers(&offline)),
    )
}

fn metadata_broker(broker: &LiveBroker) -> UpdateMetadataBroker {
    let endpoints = broker.metadata.endpoints.iter().map(|e| {
        UpdateMetadataEndpoint::default()
            .with_port(i32::from(e.port))
            .with_host(StrBytes::from_string(e.host.clone()))
            .with_listener(StrBytes::from_string(e.listener.clone()))
            .with_security_protocol(e.security_protocol as i16)
    });
    UpdateMetadataBroker::default()
        .with_id(broker.metadata.id.into())
        .with_endpoints(endpoints.collect())
        .with_rack(broker.metadata.rack.clone().map(StrBytes::from_string))
}

fn live_leader(broker: &LiveBroker, listener: &str) -> Option<LeaderAndIsrLiveLeader> {
    let Some(endpoint) = broker.metadata.endpoint(listener) else {
        warn!(
            broker = broker.metadata.id,
            listener, "broker has no such listener"
        );
        return None;
    };
    let leader = LeaderAndIsrLiveLeader::default()
        .with_broker_id(broker.metadata.id.into())
        .with_host_name(StrBytes::from_string(endpoint.host.clone()))
        .with_port(i32::from(endpoint.port));
    Some(leader)
}

fn by_topic<T>(states: BTreeMap<TopicPartition, T>) -> BTreeMap<TopicName, Vec<T>> {
    let mut topics: BTreeMap<TopicName, Vec<T>> = BTreeMap::new();
    for (partition, state) in states {
        topics.entry(partition.topic).or_default().push(state);
    }
    topics
}

fn wire_topic(topic: &TopicName) -> messages::TopicName {
    StrBytes::from_string(topic.to_string()).into()
}

fn wire_brokers(brokers: &[BrokerId]) -> Vec<messages::BrokerId> {
    brokers.iter().map(|&b| b.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::context::tests::three_brokers_one_partition;
    use super::*;

    fn requests(batch: BrokerRequestBatch, context: &ControllerContext) -> Vec<(BrokerId, ControlRequest)> {
        batch.into_requests(context, 0, "PLAINTEXT")
    }

    fn kinds(requests: &[(BrokerId, ControlRequest)]) -> Vec<(BrokerId, &'static str)> {
        requests
            .iter()
            .map(|(broker, request)| (*broker, request.name()))
            .collect()
    }

    #[test]
    fn requests_have_kafkas_order_and_each_brokers_epoch() {
        let (context, partition) = three_brokers_one_partition();
        let mut batch = BrokerRequestBatch::default();
        batch.add_stop_replica(&context, &[0], &partition, false);
        batch.add_leader_and_isr(&context, &[1, 2, 5, -1], &partition, false);
        let requests = requests(batch, &context);
        let expected = [
            (1, "LeaderAndIsr"),
            (2, "LeaderAndIsr"),
            (0, "UpdateMetadata"),
            (1, "UpdateMetadata"),
            (2, "UpdateMetadata"),
            (0, "StopReplica"),
        ];
        assert_eq!(kinds(&requests), expected);
        for (broker, request) in requests {
            assert_eq!(request.broker_epoch(), 100 + i64::from(broker));
        }
    }

    #[test]
    fn a_second_entry_keeps_a_replica_new_or_marked_for_deletion() {
        let (context, partition) = three_brokers_one_partition();
        let mut batch = BrokerRequestBatch::default();
        batch.add_leader_and_isr(&context, &[1], &partition, true);
        batch.add_leader_and_isr(&context, &[1], &partition, false);
        batch.add_stop_replica(&context, &[2], &partition, true);
        batch.add_stop_replica(&context, &[2], &partition, false);
        for (_, request) in requests(batch, &context) {
            match request {
                ControlRequest::LeaderAndIsr(r) => {
                    let states = &r.topic_states[0].partition_states;
                    assert!(states.len() == 1 && states[0].is_new);
                    assert_eq!(
                        states[0].controller_epoch, 6,
                        "the epoch of the controller that elected the leader, not of the sender"
                    );
                    assert_eq!(r.controller_epoch, 7);
                }
                ControlRequest::StopReplica(r) => {
                    assert!(r.topic_states[0].partition_states[0].delete_partition);
                }
                ControlRequest::UpdateMetadata(r) => assert_eq!(r.live_brokers.len(), 3),
            }
        }
    }

    #[test]
    fn a_topic_queued_for_deletion_has_the_leader_that_stands_for_it() {
        let (mut context, partition) = three_brokers_one_partition();
        context.topics_to_be_deleted.insert("t".into());
        context.shutting_down.insert(2);
        let state = metadata_of(&context, &partition).expect("the partition has a leader");
        assert_eq!((state.leader.0, state.leader_epoch, state.zk_version), (-2, 0, 0));
        assert_eq!(state.offline_replicas, wire_brokers(&[2]));
        assert!(metadata_of(&context, &TopicPartition::new("t", 9)).is_none());
    }
}

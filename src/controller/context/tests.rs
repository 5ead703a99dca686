//! Tests of the context, and a small context for other tests.

use super::*;
use crate::common::leader_and_isr::LeaderAndIsr;
use crate::config::{Endpoint, SecurityProtocol};
use crate::controller::replica_state::ReplicaState;

pub(crate) fn broker(id: BrokerId, epoch: BrokerEpoch) -> LiveBroker {
    let endpoint = Endpoint {
        listener: "PLAINTEXT".into(),
        security_protocol: SecurityProtocol::Plaintext,
        host: "127.0.0.1".into(),
        port: 19200 + id as u16,
    };
    let metadata = BrokerMetadata {
        id,
        endpoints: vec![endpoint],
        rack: None,
    };
    LiveBroker { metadata, epoch }
}

/// Brokers 0, 1, 2 with epochs 100, 101, 102 and topic `t` with one partition on 1, 2, 0 led by 1.
pub(crate) fn three_brokers_one_partition() -> (ControllerContext, TopicPartition) {
    let mut context = ControllerContext {
        epoch: 7,
        epoch_zk_version: 9,
        ..ControllerContext::default()
    };
    for id in 0..3 {
        context.put_live_broker(broker(id, 100 + i64::from(id)));
    }
    let partition = TopicPartition::new("t", 0);
    context.put_topic("t".into(), TopicId::from_u128(77));
    context.set_assignment(&partition, ReplicaAssignment::of(vec![1, 2, 0]));
    let leadership = LeaderIsrAndControllerEpoch {
        leader_and_isr: LeaderAndIsr::initial(1, vec![1, 2, 0]),
        controller_epoch: 6,
    };
    context.set_leadership(&partition, leadership);
    (context, partition)
}

#[test]
fn a_broker_that_shuts_down_serves_but_is_not_eligible() {
    let (mut context, partition) = three_brokers_one_partition();
    assert!(context.is_replica_online(2, &partition));
    context.shutting_down.insert(2);
    assert!(context.is_replica_serving(2, &partition));
    assert!(!context.is_replica_online(2, &partition) && !context.is_live(2));
    context.remove_live_broker(2);
    assert!(!context.is_replica_serving(2, &partition));
}

#[test]
fn a_replica_on_a_failed_dir_is_reported_once() {
    let (mut context, partition) = three_brokers_one_partition();
    let failed = [partition.clone()];
    assert_eq!(context.update_offline_dirs(1, &[], &failed), failed);
    assert_eq!(context.update_offline_dirs(1, &[], &failed), []);
    assert!(!context.is_replica_serving(1, &partition));
    assert_eq!(context.partitions_with_offline_leader(), failed);
    context.update_offline_dirs(1, &failed, &[]);
    assert!(context.is_replica_serving(1, &partition));
}

#[test]
fn a_removed_topic_leaves_nothing_behind() {
    let (mut context, partition) = three_brokers_one_partition();
    let replica = PartitionAndReplica::new(partition.clone(), 1);
    context.set_replica_state(&replica, ReplicaState::Online);
    context.set_partition_state(&partition, PartitionState::Online);
    context.topics_to_be_deleted.insert("t".into());
    context.update_offline_dirs(1, &[], std::slice::from_ref(&partition));
    context.remove_topic("t");
    assert_eq!(context.partition_state(&partition), PartitionState::NonExistent);
    assert_eq!(context.replica_state(&replica), ReplicaState::NonExistent);
    assert!(context.topic_name(TopicId::from_u128(77)).is_none());
    assert!(!context.is_queued_for_deletion("t") && context.all_partitions().is_empty());
    assert!(context.is_replica_serving(1, &partition));
}

#[test]
fn the_stop_replica_of_a_topic_queued_for_deletion_has_the_epoch_that_no_broker_refuses() {
    let (mut context, partition) = three_brokers_one_partition();
    assert_eq!(context.stop_replica_leader_epoch(&partition), 0);
    assert_eq!(
        context.stop_replica_leader_epoch(&TopicPartition::new("u", 0)),
        -1
    );
    context.topics_to_be_deleted.insert("t".into());
    assert_eq!(context.stop_replica_leader_epoch(&partition), -2);
}

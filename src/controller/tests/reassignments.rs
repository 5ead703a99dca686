//! Tests of reassignments by request and by znode.

use super::super::control_request::ControlRequest;
use super::cluster::{Cluster, Sent};
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::zk::znode::{preferred_replica_election, reassign_partitions};
use crate::zk::{CreateMode, ZkStore as _, paths};

#[tokio::test(start_paused = true)]
async fn a_reassignment_ends_when_all_targets_are_in_sync() {
    let cluster = Cluster::with_brokers(4).await;
    cluster.create_topic("t", &[&[0, 1]]).await;
    cluster.take_sent();
    let partition = TopicPartition::new("t", 0);
    let targets = [(partition.clone(), Some(vec![2, 3]))].into();
    let begun = cluster
        .controller_handle()
        .alter_partition_reassignments(targets)
        .await
        .expect("active");
    assert_eq!(begun[&partition], (ErrorCode::None, None));
    cluster.until_idle().await;
    let moving = cluster.topic("t").await.expect("exists").partitions[&0].clone();
    assert_eq!(
        (moving.replicas, moving.adding, moving.removing),
        (vec![2, 3, 0, 1], vec![2, 3], vec![0, 1])
    );
    let listed = cluster
        .controller_handle()
        .list_partition_reassignments(None)
        .await
        .expect("active");
    assert!(listed[&partition].is_being_reassigned());
    for sent in cluster.take_sent() {
        if let ControlRequest::LeaderAndIsr(request) = sent.request {
            let is_new = request.topic_states[0].partition_states[0].is_new;
            assert_eq!(is_new, sent.to >= 2, "only added replicas are new (fact 15)");
        }
    }

    cluster.delete_topic("t").await;
    assert!(cluster.topic("t").await.is_some(), "no deletion meanwhile");
    assert_eq!(
        cluster.alter_isr(0, &[("t", 0, &[0, 1, 2])]).await,
        [ErrorCode::None]
    );
    assert!(cluster.topic("t").await.expect("exists").partitions[&0].is_being_reassigned());
    cluster.alter_isr(0, &[("t", 0, &[0, 1, 2, 3])]).await;
    assert!(cluster.topic("t").await.is_none(), "then the deletion goes on");
    let deleted_on = cluster.take_sent().into_iter().filter_map(|s| match s.request {
        ControlRequest::StopReplica(r) if r.topic_states[0].partition_states[0].delete_partition => {
            Some(s.to)
        }
        _ => None,
    });
    let deleted_on: Vec<_> = deleted_on.collect();
    assert_eq!(
        deleted_on,
        [0, 1, 2, 3],
        "the removed replicas first, then those of the deleted topic"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reassignment_can_be_cancelled_replaced_and_taken_over() {
    let mut cluster = Cluster::with_brokers(4).await;
    cluster.create_topic("t", &[&[0, 1]]).await;
    let partition = TopicPartition::new("t", 0);
    let reassign = async |cluster: &Cluster, targets: Option<Vec<i32>>| {
        let targets = [(partition.clone(), targets)].into();
        let result = cluster
            .controller_handle()
            .alter_partition_reassignments(targets)
            .await
            .expect("active");
        cluster.until_idle().await;
        result[&partition].0
    };
    assert_eq!(
        reassign(&cluster, None).await,
        ErrorCode::NoReassignmentInProgress
    );
    for bad in [vec![], vec![1, 1], vec![-1], vec![0, 9]] {
        assert_eq!(
            reassign(&cluster, Some(bad)).await,
            ErrorCode::InvalidReplicaAssignment
        );
    }
    assert_eq!(reassign(&cluster, Some(vec![1, 2])).await, ErrorCode::None);
    assert_eq!(reassign(&cluster, Some(vec![1, 3])).await, ErrorCode::None);
    let moving = cluster.topic("t").await.expect("exists").partitions[&0].clone();
    assert_eq!(
        (moving.replicas, moving.adding, moving.removing),
        (vec![1, 3, 0], vec![3], vec![0])
    );
    assert_eq!(reassign(&cluster, None).await, ErrorCode::None);
    let back = cluster.topic("t").await.expect("exists").partitions[&0].clone();
    assert!(!back.is_being_reassigned());
    assert_eq!(back.replicas, [1, 0], "the order of before is not known any more");

    assert_eq!(reassign(&cluster, Some(vec![2, 1])).await, ErrorCode::None);
    cluster.kill_broker(0).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (1, vec![1]));
    assert_eq!(
        cluster.alter_isr(1, &[("t", 0, &[1, 2])]).await,
        [ErrorCode::None]
    );
    let done = cluster.topic("t").await.expect("exists").partitions[&0].clone();
    assert!(!done.is_being_reassigned(), "the next controller finished it");
    assert_eq!(done.replicas, [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_would_lose_the_whole_isr_is_refused() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1]]).await;
    let partition = TopicPartition::new("t", 0);
    let ask = async |cluster: &Cluster, targets| {
        let targets = [(partition.clone(), targets)].into();
        let result = cluster
            .controller_handle()
            .alter_partition_reassignments(targets)
            .await
            .expect("active");
        cluster.until_idle().await;
        result[&partition].0
    };
    assert_eq!(ask(&cluster, Some(vec![2, 0])).await, ErrorCode::None);
    assert_eq!(
        cluster.alter_isr(1, &[("t", 0, &[1, 2])]).await,
        [ErrorCode::None]
    );
    cluster.kill_broker(1).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (2, vec![2]));
    assert_eq!(ask(&cluster, None).await, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(
        ask(&cluster, Some(vec![0])).await,
        ErrorCode::InvalidReplicaAssignment
    );
    assert_eq!(cluster.leader_and_isr("t", 0).await, (2, vec![2]));
}

/// A ZooKeeper controller of Kafka 3.9.1 leaves such a partition without a leader until a broker dies, another
/// controller takes over or leaders are balanced.
#[tokio::test(start_paused = true)]
async fn a_leader_that_another_reassignment_removes_is_replaced_at_once() {
    let partition = TopicPartition::new("t", 0);
    for others in [None, Some(vec![2, 4])] {
        let mut cluster = Cluster::with_brokers(5).await;
        cluster.create_topic("t", &[&[1, 2]]).await;
        let reassign = async |cluster: &Cluster, targets| {
            let targets = [(partition.clone(), targets)].into();
            let asked = cluster.controller_handle().alter_partition_reassignments(targets);
            assert_eq!(asked.await.expect("active")[&partition], (ErrorCode::None, None));
            cluster.until_idle().await;
        };
        reassign(&cluster, Some(vec![3, 4])).await;
        let in_sync: &[(_, _, &[i32])] = &[("t", 0, &[1, 2, 3])];
        assert_eq!(cluster.alter_isr(1, in_sync).await, [ErrorCode::None]);
        cluster.kill_broker(1).await;
        assert_eq!(cluster.leader_and_isr("t", 0).await, (3, vec![2, 3]));
        cluster.take_sent();

        reassign(&cluster, others.clone()).await;
        assert_eq!(cluster.leader_and_isr("t", 0).await, (2, vec![2]), "{others:?}");
        let is_told = |sent: &Sent| match &sent.request {
            ControlRequest::LeaderAndIsr(r) => r.topic_states[0].partition_states[0].leader.0 == 2,
            _ => false,
        };
        let told = cluster.take_sent().into_iter().any(|s| s.to == 2 && is_told(&s));
        assert!(told, "{others:?}: the new leader has not been told");
    }
}

#[tokio::test(start_paused = true)]
async fn each_request_in_a_znode_is_carried_out_and_removed() {
    let cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2]]).await;
    let partition = TopicPartition::new("t", 0);
    for (round, targets) in [vec![2, 1], vec![1, 2]].into_iter().enumerate() {
        let unknown = (TopicPartition::new("nowhere", 0), vec![0]);
        let data = reassign_partitions::encode(&[(partition.clone(), targets.clone()), unknown]);
        let path = paths::REASSIGN_PARTITIONS;
        cluster
            .admin
            .create(path, data, CreateMode::Persistent)
            .await
            .expect("none is there");
        cluster.until_idle().await;
        let replicas = cluster.topic("t").await.expect("exists").partitions[&0]
            .replicas
            .clone();
        assert_eq!(replicas, targets, "round {round}");
        assert_eq!(cluster.admin.exists(path, false).await, Ok(None));

        let data =
            preferred_replica_election::encode(&[partition.clone(), TopicPartition::new("nowhere", 0)]);
        let path = paths::PREFERRED_REPLICA_ELECTION;
        cluster
            .admin
            .create(path, data, CreateMode::Persistent)
            .await
            .expect("none is there");
        cluster.until_idle().await;
        assert_eq!(
            cluster.leader_and_isr("t", 0).await.0,
            targets[0],
            "round {round}"
        );
        assert_eq!(cluster.admin.exists(path, false).await, Ok(None));
    }
}

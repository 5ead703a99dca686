//! The controller's requests: which are carried out, and which are refused.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::cluster::*;
use super::controller::TOPIC_ID;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicId;
use crate::protocol::messages::{LeaderAndIsrResponse, UpdateMetadataRequest};
use crate::replica::{LeadershipChange, ReplicaListener};

fn codes(response: &LeaderAndIsrResponse) -> (ErrorCode, ErrorCode) {
    let partition = &response.topics[0].partition_errors[0];
    (
        ErrorCode::from_code(response.error_code),
        ErrorCode::from_code(partition.error_code),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_and_isr_of_the_past_is_refused() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let client = cluster.brokers[&1].client();
    let again = cluster.leader_and_isr(0, false);
    let stale = ErrorCode::StaleControllerEpoch;
    assert_eq!(
        codes(&client.send(&again, 7).await.unwrap()),
        (ErrorCode::None, stale),
        "the same leader epoch"
    );
    cluster.controller.lock().epoch = 2;
    cluster.elect(0, 1, &[1]).await;
    assert_eq!(
        codes(&client.send(&again, 7).await.unwrap()),
        (stale, stale),
        "an old controller"
    );
    let mut other_life = cluster.leader_and_isr(0, false);
    other_life.broker_epoch = 0;
    let refused = ErrorCode::StaleBrokerEpoch;
    assert_eq!(
        codes(&client.send(&other_life, 7).await.unwrap()),
        (refused, refused)
    );
    other_life.broker_epoch = 99;
    assert_eq!(
        codes(&client.send(&other_life, 7).await.unwrap()).0,
        ErrorCode::None,
        "the controller may be ahead"
    );
    let old = UpdateMetadataRequest::default()
        .with_controller_epoch(1)
        .with_broker_epoch(1);
    assert_eq!(client.send(&old, 8).await.unwrap().error_code, stale.code());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_leader_and_isr_is_answered_in_its_way() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let client = cluster.brokers[&1].client();
    for version in 0..=7 {
        let state = cluster.leader_and_isr(0, false).topic_states.remove(0);
        let mut request = cluster.leader_and_isr(0, false);
        let mut partition = state.partition_states[0].clone();
        partition.leader_epoch = i32::from(version) + 1;
        partition.is_new = false;
        if version < 2 {
            request.topic_states.clear();
            request.ungrouped_partition_states = vec![partition.with_topic_name(state.topic_name)];
        } else {
            request.topic_states[0].partition_states = vec![partition];
            if version < 5 {
                request.topic_states[0].topic_id = TopicId::nil();
            }
        }
        if version < 2 {
            request.broker_epoch = -1;
        }
        let response = client.send(&request, version).await.unwrap();
        assert_eq!(response.error_code, 0, "version {version}");
        let by_name = response
            .partition_errors
            .iter()
            .map(|p| (p.topic_name.to_string(), p.error_code));
        let by_id = response
            .topics
            .iter()
            .map(|t| (t.topic_id, t.partition_errors[0].error_code));
        if version < 5 {
            assert_eq!(
                by_name.collect::<Vec<_>>(),
                [(TOPIC.to_owned(), 0)],
                "version {version}"
            );
        } else {
            assert_eq!(by_id.collect::<Vec<_>>(), [(TOPIC_ID, 0)], "version {version}");
        }
        let partition = cluster.brokers[&1].replicas.partition(&name(0)).unwrap();
        assert_eq!(
            partition.leader_and_epoch(),
            (1, i32::from(version) + 1),
            "version {version}"
        );
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_topic_of_the_same_name_is_not_taken_for_this_one() {
    let cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    let client = cluster.brokers[&1].client();
    let mut request = cluster.leader_and_isr(0, false);
    request.topic_states[0].topic_id = TopicId::from_u128(99);
    request.topic_states[0].partition_states[0].leader_epoch = 50;
    assert_eq!(
        codes(&client.send(&request, 7).await.unwrap()).1,
        ErrorCode::InconsistentTopicId
    );
    request.topic_states[0].topic_id = TOPIC_ID;
    request.topic_states[0].partition_states[0].replicas = vec![2.into(), 3.into()];
    assert_eq!(
        codes(&client.send(&request, 7).await.unwrap()).1,
        ErrorCode::UnknownTopicOrPartition
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_not_alive_cannot_be_followed_yet() {
    let mut cluster = TestCluster::start(2).await;
    cluster.stop_broker(2).await;
    cluster.update_metadata().await;
    cluster.create_partition(0, 2).await;
    let partition = cluster.brokers[&1].replicas.partition(&name(0)).unwrap();
    assert_eq!(
        partition.leader_and_epoch(),
        (-1, -1),
        "the epoch is not taken (fact 13)"
    );
    assert!(partition.log().is_some(), "but the log is there (fact 31)");
    cluster.start_broker(2).await;
    cluster.update_metadata().await;
    cluster.tell(0, false).await;
    assert_eq!(partition.leader_and_epoch(), (2, 0), "the same decision again");
    cluster.produce_ok(2, 0, -1, &["a"]).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_replica_by_leader_epoch() {
    let cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.elect(0, 1, &[1, 2]).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    let fenced = ErrorCode::FencedLeaderEpoch.code();
    assert_eq!(
        cluster.stop_replica(2, 0, 0, false).await,
        fenced,
        "an order of an earlier epoch (fact 25)"
    );
    assert_eq!(cluster.stop_replica(2, 0, 1, false).await, 0);
    cluster.produce_ok(1, 0, 1, &["b"]).await;
    assert!(
        cluster.brokers[&2].log_manager.get_log(&name(0)).is_some(),
        "not deleted"
    );
    assert_eq!(cluster.stop_replica(2, 0, -2, true).await, 0);
    assert!(cluster.brokers[&2].log_manager.get_log(&name(0)).is_none());
    let gone = cluster.brokers[&2].replicas.partition(&name(0)).err();
    assert_eq!(
        gone,
        Some(ErrorCode::NotLeaderOrFollower),
        "the metadata still has it"
    );
    assert_eq!(
        cluster.stop_replica(2, 0, -2, true).await,
        0,
        "deleting twice does no harm"
    );
    // The same decision can place it here again.
    cluster.tell_one(&cluster.brokers[&2], 0, true).await;
    cluster.until_equal(0).await;
    cluster.shutdown().await;
}

/// Remembers what it was told.
#[derive(Default)]
struct Recorder {
    changes: Mutex<Vec<LeadershipChange>>,
    failed: Mutex<Vec<PathBuf>>,
}

impl ReplicaListener for Recorder {
    fn on_leadership_change(&self, change: &LeadershipChange) {
        self.changes.lock().push(change.clone());
    }

    fn on_log_dirs_failed(&self, dirs: &[PathBuf]) {
        self.failed.lock().extend_from_slice(dirs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_told_of_every_change_of_leadership_once_and_in_order() {
    let cluster = TestCluster::start(2).await;
    let recorder = Arc::new(Recorder::default());
    cluster.brokers[&1].replicas.add_listener(recorder.clone());
    cluster.create_partition(0, 1).await;
    let again = cluster.leader_and_isr(0, false);
    cluster.brokers[&1].client().send(&again, 7).await.unwrap();
    cluster.elect(0, 2, &[1, 2]).await;
    cluster.elect(0, 1, &[1, 2]).await;
    let led = |epoch| LeadershipChange {
        leaders: vec![(name(0), epoch)],
        ..Default::default()
    };
    let followed = |epoch| LeadershipChange {
        followers: vec![(name(0), epoch)],
        ..Default::default()
    };
    assert_eq!(*recorder.changes.lock(), [led(0), followed(1), led(2)]);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_log_dir_takes_its_partitions_offline() {
    let mut cluster = TestCluster::start(1).await;
    cluster.log_config.segment_bytes = 200;
    cluster.stop_broker(1).await;
    cluster.start_broker(1).await;
    cluster.update_metadata().await;
    let recorder = Arc::new(Recorder::default());
    cluster.brokers[&1].replicas.add_listener(recorder.clone());
    for partition in [0, 1] {
        cluster.create_partition(partition, 1).await;
    }
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    // The next segment cannot be created where there is no directory.
    std::fs::remove_dir_all(cluster.partition_dir(1, 0)).unwrap();
    let mut failure = ErrorCode::None;
    for _ in 0..5 {
        let response = cluster.produce(1, 0, 1, &["b"]).await;
        failure = ErrorCode::from_code(response.responses[0].partition_responses[0].error_code);
        if failure.is_error() {
            break;
        }
    }
    assert_eq!(failure, ErrorCode::KafkaStorageError);
    let replicas = &cluster.brokers[&1].replicas;
    let offline = Some(ErrorCode::KafkaStorageError);
    eventually("both partitions are offline", || {
        [0, 1]
            .iter()
            .all(|&p| replicas.partition(&name(p)).err() == offline)
    })
    .await;
    eventually("the listener was told", || recorder.failed.lock().len() == 1).await;
    cluster.elect_silently(0, 1, &[1]);
    let response = cluster.tell_one(&cluster.brokers[&1], 0, false).await;
    assert_eq!(
        codes(&response),
        (ErrorCode::None, ErrorCode::KafkaStorageError),
        "fact 30"
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_is_asked_on_its_own_listener() {
    let mut cluster = TestCluster::start(2).await;
    cluster.has_control_plane = true;
    for id in [1, 2] {
        cluster.stop_broker(id).await;
        cluster.start_broker(id).await;
    }
    cluster.update_metadata().await;
    cluster.create_partition(0, 2).await;
    cluster.elect(0, 2, &[2]).await;
    // Broker 1 catches up, and broker 2 asks broker 1 to take it into the ISR.
    eventually("broker 1 is in sync", || cluster.isr(0).contains(&1)).await;
    cluster.shutdown().await;
}

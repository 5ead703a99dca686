//! Tests of the events in the lives of brokers and topics.

use std::time::Duration;

use bytes::Bytes;

use super::super::admin_request::ElectionType;
use super::super::control_request::ControlRequest;
use super::cluster::Cluster;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::common::leader_and_isr::LeaderRecoveryState;
use crate::zk::znode::{isr_change, log_dir_event};
use crate::zk::{CreateMode, ZkStore as _, paths};

#[tokio::test(start_paused = true)]
async fn the_last_in_sync_replica_is_waited_for_unless_the_topic_says_otherwise() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2]]).await;
    cluster.kill_broker(1).await;
    cluster.kill_broker(2).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (-1, vec![2]), "fact 16");
    cluster.start_broker(1).await;
    assert_eq!(
        cluster.leader_and_isr("t", 0).await,
        (-1, vec![2]),
        "1 is out of sync"
    );

    // The election reads the configuration (fact 29).
    cluster
        .set_topic_config("t", r#"{"unclean.leader.election.enable":"true"}"#)
        .await;
    cluster
        .controller_handle()
        .topic_unclean_election_enabled("t".into());
    cluster.until_idle().await;
    let state = cluster.state("t", 0).await.expect("a state").leader_and_isr;
    assert_eq!((state.leader, state.isr), (1, vec![1]));
    assert_eq!(state.recovery_state, LeaderRecoveryState::Recovering);
}

/// An election uses the present default of `unclean.leader.election.enable`, not that of the broker's start.
#[tokio::test(start_paused = true)]
async fn unclean_elections_use_the_present_default() {
    // The file's value, the value at run time, the topic's value, and the leader when only 1, out of sync, is live.
    let cases = [
        (false, None, None, -1),
        (true, None, None, 1),
        (true, Some(false), None, -1),
        (false, Some(true), None, 1),
        (false, Some(true), Some("false"), -1),
        (true, Some(false), Some("true"), 1),
    ];
    for (in_file, at_run_time, of_topic, leader) in cases {
        let mut cluster = Cluster::new().await;
        cluster.configure = if in_file {
            |config| config.unclean_leader_election_enable = true
        } else {
            |config| config.unclean_leader_election_enable = false
        };
        for id in 0..3 {
            cluster.start_broker(id).await;
        }
        cluster.create_topic("t", &[&[1, 2]]).await;
        cluster.kill_broker(1).await;
        cluster.start_broker(1).await;
        if let Some(enable) = at_run_time {
            cluster.set_default_unclean_election(enable).await;
        }
        if let Some(enable) = of_topic {
            let config = format!(r#"{{"unclean.leader.election.enable":"{enable}"}}"#);
            cluster.set_topic_config("t", &config).await;
        }
        cluster.kill_broker(2).await;
        let elected = cluster.leader_and_isr("t", 0).await.0;
        assert_eq!(elected, leader, "{in_file} {at_run_time:?} {of_topic:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_default_that_begins_to_allow_unclean_elections_elects_at_once() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2]]).await;
    cluster.create_topic("careful", &[&[1, 2]]).await;
    let careful = r#"{"unclean.leader.election.enable":"false"}"#;
    cluster.set_topic_config("careful", careful).await;
    cluster.kill_broker(1).await;
    cluster.kill_broker(2).await;
    cluster.start_broker(1).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (-1, vec![2]));
    cluster.set_default_unclean_election(true).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (1, vec![1]));
    assert_eq!(
        cluster.leader_and_isr("careful", 0).await,
        (-1, vec![2]),
        "the topic's own setting wins"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_in_sync_replica_leads_when_it_returns() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2]]).await;
    cluster.kill_broker(1).await;
    cluster.kill_broker(2).await;
    cluster.start_broker(2).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (2, vec![2]));
}

#[tokio::test(start_paused = true)]
async fn an_unclean_election_on_request_needs_no_configuration() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2]]).await;
    cluster.kill_broker(1).await;
    cluster.kill_broker(2).await;
    cluster.start_broker(1).await;
    let partition = TopicPartition::new("t", 0);
    let ask = |election| {
        cluster
            .controller_handle()
            .elect_leaders(Some(vec![partition.clone()]), election)
    };
    let preferred = ask(ElectionType::Preferred).await.expect("active");
    assert!(matches!(
        preferred[&partition],
        Err((ErrorCode::PreferredLeaderNotAvailable, _))
    ));
    let unclean = ask(ElectionType::Unclean).await.expect("active");
    assert_eq!(unclean[&partition], Ok(1));
    let again = ask(ElectionType::Unclean).await.expect("active");
    assert!(matches!(
        again[&partition],
        Err((ErrorCode::ElectionNotNeeded, _))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_topic_without_live_replicas_waits_for_one() {
    let mut cluster = Cluster::with_brokers(1).await;
    cluster.create_topic("t", &[&[5, 6]]).await;
    assert!(cluster.state("t", 0).await.is_none());
    cluster.start_broker(6).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (6, vec![6]));
}

#[tokio::test(start_paused = true)]
async fn a_failed_log_dir_takes_its_replicas_offline_until_the_broker_restarts() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2], &[1, 2]]).await;
    let failed = (1, TopicPartition::new("t", 0));
    cluster.wire.answers.lock().failed.insert(failed);
    let data = log_dir_event::encode(1);
    let path = paths::LOG_DIR_EVENT_SEQUENCE;
    cluster
        .admin
        .create(path, data, CreateMode::PersistentSequential)
        .await
        .expect("the parent exists");
    cluster.until_idle().await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (2, vec![2]), "fact 30");
    assert_eq!(cluster.leader_and_isr("t", 1).await, (1, vec![1, 2]));
    let notifications = cluster
        .admin
        .children(paths::LOG_DIR_EVENT_NOTIFICATION, false)
        .await;
    assert_eq!(notifications, Ok(Some(vec![])));

    cluster.kill_broker(1).await;
    cluster.wire.answers.lock().failed.clear();
    cluster.start_broker(1).await;
    assert_eq!(
        cluster.alter_isr(2, &[("t", 0, &[2, 1])]).await,
        [ErrorCode::None]
    );
    cluster.kill_broker(2).await;
    assert_eq!(
        cluster.leader_and_isr("t", 0).await,
        (1, vec![1]),
        "it can lead again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_every_replica() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2], &[2, 0]]).await;
    cluster.kill_broker(2).await;
    cluster.delete_topic("t").await;
    assert!(cluster.topic("t").await.is_some(), "fact 26");

    // The next controller resumes the deletion.
    cluster.kill_broker(0).await;
    cluster.start_broker(0).await;
    assert!(cluster.topic("t").await.is_some());
    cluster.start_broker(2).await;
    assert!(cluster.topic("t").await.is_none());
    let left = cluster.zookeeper.snapshot();
    assert!(left.keys().all(|path| !path.ends_with("/t")), "{left:?}");

    cluster.create_topic("t", &[&[1]]).await;
    assert_eq!(
        cluster.leader_and_isr("t", 0).await,
        (1, vec![1]),
        "the name can be used again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_a_broker_refuses_is_tried_again_when_it_restarts() {
    let mut cluster = Cluster::with_brokers(2).await;
    cluster.create_topic("t", &[&[1, 0]]).await;
    let failed = (1, TopicPartition::new("t", 0));
    cluster.wire.answers.lock().failed.insert(failed);
    cluster.delete_topic("t").await;
    assert!(cluster.topic("t").await.is_some());
    cluster.kill_broker(1).await;
    cluster.wire.answers.lock().failed.clear();
    cluster.start_broker(1).await;
    assert!(cluster.topic("t").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_a_broker_that_does_not_answer() {
    let cluster = Cluster::with_brokers(2).await;
    cluster.create_topic("t", &[&[1, 0]]).await;
    cluster.wire.answers.lock().silent.insert(1);
    cluster.delete_topic("t").await;
    assert!(cluster.topic("t").await.is_some());
    cluster.set_topic("t", &[&[1, 0], &[0, 1]]).await;
    let partitions = cluster.topic("t").await.expect("exists").partitions;
    assert_eq!(
        partitions.len(),
        1,
        "a topic being deleted takes no new partitions"
    );
}

#[tokio::test(start_paused = true)]
async fn without_delete_topic_enable_requests_for_deletion_are_removed() {
    let mut cluster = Cluster::new().await;
    cluster.configure = |config| config.delete_topic_enable = false;
    cluster.start_broker(0).await;
    cluster.create_topic("t", &[&[0]]).await;
    cluster.delete_topic("t").await;
    assert!(cluster.topic("t").await.is_some());
    let requests = cluster.admin.children(paths::DELETE_TOPICS, false).await;
    assert_eq!(requests, Ok(Some(vec![])));
}

#[tokio::test(start_paused = true)]
async fn the_deletion_of_an_unknown_topic_is_forgotten() {
    let cluster = Cluster::with_brokers(1).await;
    cluster.delete_topic("nowhere").await;
    assert_eq!(
        cluster.admin.children(paths::DELETE_TOPICS, false).await,
        Ok(Some(vec![]))
    );
}

#[tokio::test(start_paused = true)]
async fn isrs_that_old_brokers_changed_themselves_are_sent_to_all_brokers() {
    let cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2]]).await;
    let mut state = cluster.state("t", 0).await.expect("a state");
    state.leader_and_isr.isr = vec![1];
    let data = crate::zk::znode::partition_state::encode(&state);
    cluster
        .admin
        .set(&paths::topic_partition_state("t", 0), data, Some(0))
        .await
        .expect("version 0");
    cluster.take_sent();
    let data = isr_change::encode(&[TopicPartition::new("t", 0), TopicPartition::new("gone", 0)]);
    let path = paths::ISR_CHANGE_SEQUENCE;
    cluster
        .admin
        .create(path, data, CreateMode::PersistentSequential)
        .await
        .expect("the parent exists");
    cluster.until_idle().await;
    let sent = cluster.take_sent();
    assert_eq!(sent.len(), 3);
    for sent in sent {
        let ControlRequest::UpdateMetadata(request) = sent.request else {
            panic!("{sent:?}")
        };
        assert_eq!(request.topic_states[0].partition_states[0].isr, vec![1]);
    }
    assert_eq!(
        cluster
            .admin
            .children(paths::ISR_CHANGE_NOTIFICATION, false)
            .await,
        Ok(Some(vec![]))
    );
}

#[tokio::test(start_paused = true)]
async fn the_new_listeners_of_a_broker_are_sent_to_all_brokers() {
    let cluster = Cluster::with_brokers(2).await;
    cluster.take_sent();
    let path = paths::broker_id(1);
    let (data, _) = cluster
        .admin
        .get(&path, false)
        .await
        .expect("a session")
        .expect("registered");
    let text = String::from_utf8(data.to_vec())
        .expect("text")
        .replace("127.0.0.1", "10.0.0.1");
    cluster.brokers[&1]
        .session
        .set(&path, Bytes::from(text), None)
        .await
        .expect("registered");
    cluster.until_idle().await;
    let sent = cluster.take_sent();
    assert_eq!(sent.len(), 2);
    for sent in sent {
        let ControlRequest::UpdateMetadata(request) = sent.request else {
            panic!("{sent:?}")
        };
        assert_eq!(request.live_brokers[1].endpoints[0].host.as_str(), "10.0.0.1");
        assert!(request.topic_states.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn leaders_are_rebalanced_when_one_broker_leads_too_little() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2], &[2, 1]]).await;
    cluster.kill_broker(1).await;
    cluster.start_broker(1).await;
    // The preferred leaders are not in sync yet.
    tokio::time::sleep(Duration::from_secs(6)).await;
    cluster.until_idle().await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (2, vec![2]));
    cluster.alter_isr(2, &[("t", 0, &[2, 1])]).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    cluster.until_idle().await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (1, vec![2, 1]));
}

#[tokio::test(start_paused = true)]
async fn every_broker_gets_producer_ids_of_its_own() {
    let mut cluster = Cluster::with_brokers(2).await;
    let epochs = [cluster.handle(0).broker_epoch(), cluster.handle(1).broker_epoch()];
    let controller = cluster.controller_handle();
    assert_eq!(
        controller.allocate_producer_ids(0, epochs[0]).await,
        Ok((0, 1000))
    );
    assert_eq!(
        controller.allocate_producer_ids(1, epochs[1]).await,
        Ok((1000, 1000))
    );
    let stale = controller.allocate_producer_ids(1, epochs[1] - 1).await;
    assert_eq!(stale, Err(ErrorCode::StaleBrokerEpoch));
    let unknown = controller.allocate_producer_ids(7, 1).await;
    assert_eq!(unknown, Err(ErrorCode::BrokerIdNotRegistered));
    assert_eq!(
        cluster.handle(1).allocate_producer_ids(1, epochs[1]).await,
        Err(ErrorCode::NotController)
    );
    cluster.kill_broker(0).await;
    let block = cluster
        .controller_handle()
        .allocate_producer_ids(1, epochs[1])
        .await;
    assert_eq!(
        block,
        Ok((2000, 1000)),
        "the next controller goes on where the last one stopped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_shuts_down_hands_over_the_partitions_that_others_can_lead() {
    let cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("shared", &[&[2, 1]]).await;
    cluster.create_topic("alone", &[&[2]]).await;
    let epoch = cluster.handle(2).broker_epoch();
    let controller = cluster.controller_handle();
    assert_eq!(
        cluster.handle(1).controlled_shutdown(2, epoch).await,
        Err(ErrorCode::StaleControllerEpoch)
    );
    assert_eq!(
        controller.controlled_shutdown(9, epoch).await,
        Err(ErrorCode::BrokerNotAvailable)
    );
    assert_eq!(
        controller.controlled_shutdown(2, epoch - 1).await,
        Err(ErrorCode::StaleBrokerEpoch)
    );
    cluster.take_sent();
    assert_eq!(controller.controlled_shutdown(2, epoch).await, Ok(vec![]));
    assert_eq!(cluster.leader_and_isr("shared", 0).await, (1, vec![1]));
    assert_eq!(
        cluster.leader_and_isr("alone", 0).await,
        (2, vec![2]),
        "no other broker has a replica"
    );
    let told = cluster.take_sent();
    assert!(
        told.iter()
            .any(|s| s.to == 2 && s.request.name() == "LeaderAndIsr"),
        "fact 22"
    );
    // A broker that shuts down cannot come back into an ISR (fact 19).
    assert_eq!(
        cluster.alter_isr(1, &[("shared", 0, &[1, 2])]).await,
        [ErrorCode::IneligibleReplica]
    );
    // No broker can take over from the last one.
    let epoch = cluster.handle(1).broker_epoch();
    let remaining = controller.controlled_shutdown(1, epoch).await;
    assert_eq!(remaining, Ok(vec![TopicPartition::new("shared", 0)]));
}

#[tokio::test(start_paused = true)]
async fn metrics_have_the_state_of_the_cluster_on_the_controller_alone() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2], &[2, 1], &[1]]).await;
    cluster.create_topic("d", &[&[1, 0]]).await;
    cluster.kill_broker(1).await;
    cluster.delete_topic("d").await;
    let of = |broker: BrokerId| cluster.brokers[&broker].metrics.exposition();
    let (controller, other) = (of(0), of(2));
    for (figure, value) in [
        ("activecontrollercount", 1),
        ("controllerstate", 0),
        ("globaltopiccount", 2),
        ("globalpartitioncount", 4),
        // t-2 has no other replica.
        ("offlinepartitionscount", 1),
        // t-0 and t-2; d-0 is queued for deletion.
        ("preferredreplicaimbalancecount", 2),
        ("topicstodeletecount", 1),
        // Broker 0 has deleted its replica.
        ("replicastodeletecount", 1),
        ("topicsineligibletodeletecount", 1),
        // The deletion is tried again after each answer.
        ("replicasineligibletodeletecount", 0),
        ("activebrokercount", 2),
    ] {
        let sample = |value| format!("\nkafka_controller_kafkacontroller_{figure} {value}\n");
        assert!(controller.contains(&sample(value)), "{figure} in {controller}");
        assert!(other.contains(&sample(0)), "{figure} in {other}");
    }
    let elections = "\nkafka_controller_controllerstats_leaderelectionrateandtimems_count";
    assert!(!controller.contains(&format!("{elections} 0\n")) && controller.contains(elections));
}

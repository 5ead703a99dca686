//! Tests of the right to write: elections, controllers of earlier epochs, lost answers, expired sessions.

use bytes::Bytes;

use super::super::control_request::ControlRequest;
use super::cluster::{Cluster, topic_id};
use crate::common::error::ErrorCode;
use crate::zk::memory::Fault;
use crate::zk::znode::ControllerRegistration;
use crate::zk::{CreateMode, ZkStore as _, paths};

async fn controller_epoch(cluster: &Cluster) -> String {
    let found = cluster
        .admin
        .get(paths::CONTROLLER_EPOCH, false)
        .await
        .expect("a session");
    String::from_utf8(found.expect("an epoch").0.to_vec()).expect("text")
}

#[tokio::test(start_paused = true)]
async fn the_next_controller_has_the_next_epoch_and_sends_it_to_every_broker() {
    let mut cluster = Cluster::with_brokers(3).await;
    assert_eq!(
        (cluster.controller(), controller_epoch(&cluster).await),
        (0, "1".to_owned())
    );
    cluster.take_sent();
    cluster.kill_broker(0).await;
    assert_eq!(
        (cluster.controller(), controller_epoch(&cluster).await),
        (1, "2".to_owned())
    );
    let sent = cluster.take_sent();
    assert!(
        sent.iter()
            .all(|s| s.from == 1 && s.request.controller_epoch() == 2)
    );
    assert!(sent.iter().any(|s| s.to == 2));
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_was_paused_during_the_next_election_changes_nothing() {
    let mut cluster = Cluster::with_brokers(4).await;
    cluster.create_topic("t", &[&[3, 1], &[1, 3]]).await;

    cluster.set_running(0, false).await;
    cluster.create_topic("u", &[&[3, 1]]).await;
    cluster
        .admin
        .delete(paths::CONTROLLER, None)
        .await
        .expect("there is a controller");
    cluster.until_idle().await;
    assert!(cluster.handle(1).is_active(), "broker 1 takes over");
    cluster.kill_broker(3).await;
    assert_eq!(cluster.leader_and_isr("u", 0).await, (1, vec![1]));
    let before = cluster.zookeeper.snapshot();
    cluster.take_sent();

    cluster.set_running(0, true).await;
    assert!(!cluster.handle(0).is_active());
    assert_eq!(cluster.zookeeper.snapshot(), before);
    assert!(
        cluster.take_sent().iter().all(|s| s.from != 0),
        "the old controller sends no requests for writes that ZooKeeper has refused"
    );
    assert_eq!(cluster.controller(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_ends_the_controllers_term_and_brings_a_new_broker_epoch() {
    let cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[0, 1, 2]]).await;
    let old_epoch = cluster.handle(0).broker_epoch();

    cluster.brokers[&0].session.expire();
    cluster.until_idle().await;
    assert_eq!(cluster.controller(), 1);
    assert_eq!(cluster.leader_and_isr("t", 0).await, (1, vec![1, 2]));
    let refused = cluster.handle(0).allocate_producer_ids(0, old_epoch).await;
    assert_eq!(refused, Err(ErrorCode::NotController));

    cluster.take_sent();
    cluster.brokers[&0].session.establish();
    cluster.until_idle().await;
    assert_eq!(cluster.controller(), 1, "the new controller stays");
    let epoch = cluster.handle(0).broker_epoch();
    assert!(epoch > old_epoch);
    let to_it: Vec<_> = cluster.take_sent().into_iter().filter(|s| s.to == 0).collect();
    assert!(
        to_it.iter().any(|s| s.request.name() == "LeaderAndIsr"),
        "its replicas are told to serve"
    );
    assert!(to_it.iter().all(|s| s.request.broker_epoch() == epoch));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_expires_and_is_replaced_at_once_is_a_bounce() {
    let cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[2, 1]]).await;
    // The controller is paused while broker 2 loses its session and registers again, and so sees only the result.
    cluster.set_running(0, false).await;
    cluster.brokers[&2].session.expire();
    cluster.brokers[&2].session.establish();
    cluster.until_idle().await;
    cluster.take_sent();
    cluster.set_running(0, true).await;
    assert_eq!(
        cluster.leader_and_isr("t", 0).await,
        (1, vec![1]),
        "the failure counts although the broker is back (fact 23)"
    );
    let epoch = cluster.handle(2).broker_epoch();
    let to_it: Vec<_> = cluster.take_sent().into_iter().filter(|s| s.to == 2).collect();
    assert!(!to_it.is_empty() && to_it.iter().all(|s| s.request.broker_epoch() == epoch));
}

#[tokio::test(start_paused = true)]
async fn an_election_whose_answer_was_lost_is_won() {
    let mut cluster = Cluster::new().await;
    let session = cluster.zookeeper.connect();
    session.inject(paths::CONTROLLER, Fault::AnswerLost);
    cluster.start_broker_in(session, 0).await;
    assert_eq!(
        (cluster.controller(), controller_epoch(&cluster).await),
        (0, "1".to_owned())
    );
    cluster.create_topic("t", &[&[0]]).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (0, vec![0]));
}

#[tokio::test(start_paused = true)]
async fn a_broker_waits_for_the_end_of_its_registration_of_an_earlier_session() {
    let mut cluster = Cluster::new().await;
    let earlier_session = cluster.zookeeper.connect();
    let data = ControllerRegistration::new(0, 1).encode();
    earlier_session
        .create(paths::CONTROLLER, data, CreateMode::Ephemeral)
        .await
        .expect("there is no controller");
    cluster.start_broker(0).await;
    assert!(
        !cluster.handle(0).is_active(),
        "a registration of another session is not the broker's own"
    );
    earlier_session.close();
    cluster.until_idle().await;
    assert!(cluster.handle(0).is_active());
}

#[tokio::test(start_paused = true)]
async fn an_election_that_a_broker_won_without_notice_is_repeated() {
    let mut cluster = Cluster::new().await;
    let session = cluster.zookeeper.connect();
    let ghost = ControllerRegistration::new(0, 1).encode();
    session
        .create(paths::CONTROLLER, ghost, CreateMode::Ephemeral)
        .await
        .expect("there is no controller");
    cluster.start_broker_in(session, 0).await;
    assert_eq!(cluster.controller(), 0);
    cluster.create_topic("t", &[&[0]]).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (0, vec![0]));
}

#[tokio::test(start_paused = true)]
async fn a_state_written_twice_because_the_answer_was_lost_counts_once() {
    let mut cluster = Cluster::with_brokers(3).await;
    let state_znode = paths::topic_partition_state("t", 0);
    cluster.brokers[&0]
        .session
        .inject(&state_znode, Fault::AnswerLost);
    cluster.create_topic("t", &[&[2, 1]]).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (2, vec![2, 1]));

    cluster.brokers[&0]
        .session
        .inject(&state_znode, Fault::AnswerLost);
    cluster.kill_broker(2).await;
    let state = cluster.state("t", 0).await.expect("a state").leader_and_isr;
    assert_eq!(
        (state.leader, state.leader_epoch, state.partition_epoch),
        (1, 1, 1)
    );

    cluster.start_broker(2).await;
    cluster.brokers[&0]
        .session
        .inject(&state_znode, Fault::AnswerLost);
    assert_eq!(
        cluster.alter_isr(1, &[("t", 0, &[1, 2])]).await,
        [ErrorCode::None]
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_that_another_writer_changed_does_not_fail_the_others_of_its_multi() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2][..]; 5]).await;
    let state_znode = paths::topic_partition_state("t", 3);
    let (data, _) = cluster
        .admin
        .get(&state_znode, false)
        .await
        .expect("a session")
        .expect("a state");
    cluster
        .admin
        .set(&state_znode, data, None)
        .await
        .expect("a state");
    cluster.kill_broker(1).await;
    for index in 0..5 {
        let state = cluster.state("t", index).await.expect("a state").leader_and_isr;
        let others_writes = i32::from(index == 3);
        assert_eq!(
            (state.leader, &*state.isr, state.leader_epoch),
            (2, &[2][..], 1),
            "{index}"
        );
        assert_eq!(state.partition_epoch, 1 + others_writes, "{index}: written once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_elects_before_it_takes_dead_replicas_out_of_the_isrs() {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[0, 1], &[1, 0], &[0]]).await;
    cluster.take_sent();
    cluster.kill_broker(0).await;
    assert_eq!(cluster.controller(), 1);
    let mut states = Vec::new();
    for index in 0..3 {
        let state = cluster.state("t", index).await.expect("a state").leader_and_isr;
        states.push((state.leader, state.isr, state.leader_epoch, state.partition_epoch));
    }
    let expected = [(1, vec![1], 1, 1), (1, vec![1], 1, 1), (-1, vec![0], 1, 1)];
    assert_eq!(states, expected, "each is written once");
    for sent in cluster.take_sent() {
        if let ControlRequest::UpdateMetadata(request) = sent.request {
            let partitions = request.topic_states.iter().flat_map(|t| &t.partition_states);
            for p in partitions.filter(|p| p.partition_index == 0 && p.leader_epoch > 0) {
                assert_eq!(
                    p.leader.0, 1,
                    "no broker hears that partition 0 has lost its leader"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_broker_stands_for_election_while_a_migration_to_kraft_is_under_way() {
    let mut cluster = Cluster::new().await;
    cluster
        .admin
        .create(paths::MIGRATION, Bytes::new(), CreateMode::Persistent)
        .await
        .expect("new");
    cluster.start_broker(0).await;
    assert!(!cluster.handle(0).is_active());
    cluster
        .admin
        .delete(paths::MIGRATION, None)
        .await
        .expect("just created");
    cluster.until_idle().await;
    assert!(cluster.handle(0).is_active());
}

#[tokio::test(start_paused = true)]
async fn broken_znodes_do_not_keep_a_controller_from_serving_the_others() {
    let mut cluster = Cluster::new().await;
    for path in [
        paths::topic("broken"),
        paths::broker_id(9),
        paths::child(paths::ISR_CHANGE_NOTIFICATION, "isr_change_0000000000"),
    ] {
        cluster
            .admin
            .create(&path, Bytes::from_static(b"{"), CreateMode::Persistent)
            .await
            .expect("new");
    }
    cluster
        .admin
        .create(paths::FEATURE, Bytes::from_static(b"?"), CreateMode::Persistent)
        .await
        .expect("new");
    cluster.start_broker(0).await;
    cluster.create_topic("t", &[&[0]]).await;
    assert_eq!(cluster.leader_and_isr("t", 0).await, (0, vec![0]));
    assert!(cluster.zookeeper.snapshot().contains_key(&paths::topic("broken")));
    // The deletion of such a topic works.
    cluster.delete_topic("broken").await;
    assert!(!cluster.zookeeper.snapshot().contains_key(&paths::topic("broken")));
}

#[tokio::test(start_paused = true)]
async fn a_controller_creates_feature_once_and_enables_it_where_it_was_disabled() {
    let mut cluster = Cluster::new().await;
    let disabled = Bytes::from_static(br#"{"version":2,"status":0,"features":{}}"#);
    cluster
        .admin
        .create(paths::FEATURE, disabled, CreateMode::Persistent)
        .await
        .expect("new");
    cluster.start_broker(0).await;
    let (data, stat) = cluster
        .admin
        .get(paths::FEATURE, false)
        .await
        .expect("a session")
        .expect("exists");
    assert_eq!(&data[..], br#"{"features":{},"version":2,"status":1}"#);
    cluster.start_broker(1).await;
    cluster.kill_broker(0).await;
    let (_, again) = cluster
        .admin
        .get(paths::FEATURE, false)
        .await
        .expect("a session")
        .expect("exists");
    assert_eq!(stat.version, again.version);
}

#[tokio::test(start_paused = true)]
async fn topics_without_an_id_get_one_and_keep_it() {
    let cluster = Cluster::with_brokers(1).await;
    let without_id = Bytes::from_static(br#"{"version":1,"partitions":{"0":[0]}}"#);
    let path = paths::topic("old");
    cluster
        .admin
        .create(&path, without_id.clone(), CreateMode::Persistent)
        .await
        .expect("new");
    cluster.until_idle().await;
    let id = cluster.topic("old").await.expect("exists").topic_id;
    assert!(id.is_some_and(|id| !id.is_nil() && id != topic_id("old")));
    // An old tool, which does not know topic ids, rewrites the topic (fact 75).
    cluster.admin.set(&path, without_id, None).await.expect("exists");
    cluster.until_idle().await;
    assert_eq!(cluster.topic("old").await.expect("exists").topic_id, id);
}

//! Tests how topics and partitions are created, on request and on demand, and how topics are deleted.

use std::time::Duration;

use super::*;
use crate::common::leader_and_isr::ReplicaAssignment;
use crate::zk::memory::Fault;

const SECONDS_30: Duration = Duration::from_secs(30);

fn wish(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic {
        name: name.into(),
        partitions: Some(partitions),
        replication_factor: Some(replication_factor),
        ..NewTopic::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_written_and_its_leaders_waited_for() {
    let world = World::new().await;
    let admin = world.admin.clone();
    let mut topic = wish("orders", 2, 3);
    topic.configs = vec![("retention.ms".into(), Some("1000".into()))];
    let request = tokio::spawn(async move { admin.create_topics(&[topic], SECONDS_30, false).await });
    while world.znode("/brokers/topics/orders").is_none() {
        tokio::task::yield_now().await;
    }
    assert!(!request.is_finished());
    world.lead("orders").await;
    let outcome = request.await.unwrap().remove(0);
    assert_eq!(outcome.error, None);

    let created = outcome.topic.unwrap();
    let znode = world.topic("orders").await;
    assert_eq!(znode.topic_id, Some(created.topic_id));
    assert_eq!((created.partitions, created.replication_factor), (2, 3));
    assert_eq!(znode.partitions.keys().copied().collect::<Vec<_>>(), [0, 1]);
    for assignment in znode.partitions.values() {
        let mut replicas = assignment.replicas.clone();
        replicas.sort_unstable();
        assert_eq!(replicas, [1, 2, 3]);
    }
    let retention = created.configs.iter().find(|e| e.name == "retention.ms").unwrap();
    assert_eq!(
        (retention.value.as_deref(), retention.source),
        (Some("1000"), ConfigSource::TopicConfig)
    );
    assert_eq!(
        world.znode("/config/topics/orders").unwrap(),
        r#"{"version":1,"config":{"retention.ms":"1000"}}"#
    );
    assert_eq!(
        world.notifications(),
        [""; 0],
        "the creation of a topic is told by nobody"
    );
}

#[tokio::test(start_paused = true)]
async fn a_topic_nobody_leads_in_time_is_there_all_the_same() {
    let world = World::new().await;
    let topics = [wish("a", 1, 1), wish("b", 1, 1)];
    let (first, ()) = tokio::join!(world.admin.create_topics(&topics, SECONDS_30, false), async {
        while world.znode("/brokers/topics/b").is_none() {
            tokio::task::yield_now().await;
        }
        world.lead("a").await;
    });
    assert_eq!(first[0].error, None);
    assert_eq!(first[1].error, Some(ErrorCode::RequestTimedOut.into()));
    assert!(first[1].topic.is_some());
    let at_once = world
        .admin
        .create_topics(&[wish("c", 1, 1)], Duration::ZERO, false)
        .await;
    assert_eq!(at_once[0].error, Some(ErrorCode::RequestTimedOut.into()));
    assert!(world.znode("/brokers/topics/c").is_some());
}

#[tokio::test]
async fn a_validation_writes_nothing() {
    let world = World::new().await;
    let before = world.zookeeper.snapshot();
    let outcome = world
        .admin
        .create_topics(&[wish("t", 3, 2)], SECONDS_30, true)
        .await
        .remove(0);
    assert_eq!(outcome.error, None);
    let topic = outcome.topic.unwrap();
    assert_eq!((topic.partitions, topic.replication_factor), (3, 2));
    assert!(topic.topic_id.is_nil() && topic.configs.len() == 36);
    assert_eq!(world.zookeeper.snapshot(), before);
}

#[tokio::test]
async fn topics_that_cannot_be_are_refused_and_leave_nothing_behind() {
    let world = World::with_properties(&[("default.replication.factor", "4")]).await;
    world.topic_exists("a.b").await;
    world
        .session
        .create(
            "/brokers/topics/hidden",
            Default::default(),
            CreateMode::Persistent,
        )
        .await
        .unwrap();
    world
        .session
        .create(
            "/admin/delete_topics/doomed",
            Default::default(),
            CreateMode::Persistent,
        )
        .await
        .unwrap();
    let with = |assignments: &[(i32, &[BrokerId])]| NewTopic {
        name: "t".into(),
        assignments: by_partition(assignments),
        ..NewTopic::default()
    };
    let configured = |key: &str, value: Option<&str>| NewTopic {
        configs: vec![(key.into(), value.map(Into::into))],
        ..wish("t", 1, 1)
    };
    let long = "x".repeat(250);
    let cases = [
        (wish("a.b", 1, 1), ErrorCode::TopicAlreadyExists),
        (wish("hidden", 1, 1), ErrorCode::TopicAlreadyExists),
        (wish("doomed", 1, 1), ErrorCode::TopicAlreadyExists),
        (wish("a_b", 1, 1), ErrorCode::InvalidTopicException),
        (wish("", 1, 1), ErrorCode::InvalidTopicException),
        (wish("..", 1, 1), ErrorCode::InvalidTopicException),
        (wish("a b", 1, 1), ErrorCode::InvalidTopicException),
        (wish(&long, 1, 1), ErrorCode::InvalidTopicException),
        (wish("t", 0, 1), ErrorCode::InvalidPartitions),
        (wish("t", -2, 1), ErrorCode::InvalidPartitions),
        (wish("t", 1, 0), ErrorCode::InvalidReplicationFactor),
        (wish("t", 1, 4), ErrorCode::InvalidReplicationFactor),
        (
            NewTopic {
                replication_factor: None,
                ..wish("t", 1, 1)
            },
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            with(&[(0, &[1, 2]), (1, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (with(&[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment),
        (with(&[(1, &[1])]), ErrorCode::InvalidReplicaAssignment),
        (with(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
        (
            NewTopic {
                partitions: Some(1),
                ..with(&[(0, &[1])])
            },
            ErrorCode::InvalidRequest,
        ),
        (configured("retention.ms", None), ErrorCode::InvalidConfig),
        (configured("retention.ms", Some("soon")), ErrorCode::InvalidConfig),
        (configured("no.such.key", Some("1")), ErrorCode::InvalidConfig),
    ];
    let before = world.zookeeper.snapshot();
    for (topic, expected) in cases {
        let outcome = world
            .admin
            .create_topics(std::slice::from_ref(&topic), SECONDS_30, false)
            .await
            .remove(0);
        let error = outcome.error.unwrap();
        assert_eq!(error.code, expected, "{topic:?}: {error}");
        assert!(error.message.is_some(), "{topic:?}");
        assert_eq!(outcome.topic, None);
    }
    assert_eq!(world.zookeeper.snapshot(), before);
}

#[tokio::test]
async fn an_assignment_is_taken_as_it_is_given() {
    let world = World::new().await;
    let topic = NewTopic {
        name: "t".into(),
        // Broker 9 is not alive or does not exist; Kafka accepts it here.
        assignments: by_partition(&[(0, &[3, 1]), (1, &[9, 2])]),
        ..NewTopic::default()
    };
    world.admin.create_topics(&[topic], Duration::ZERO, false).await;
    let znode = world.znode("/brokers/topics/t").unwrap();
    assert!(znode.contains(r#""partitions":{"0":[3,1],"1":[9,2]}"#), "{znode}");
    assert!(
        znode.contains(r#""adding_replicas":{},"removing_replicas":{},"version":3"#),
        "{znode}"
    );
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_new_topic_an_old_one() {
    let world = World::new().await;
    world.session.inject("/brokers/topics/t", Fault::AnswerLost);
    let outcome = world
        .admin
        .create_topics(&[wish("t", 1, 1)], Duration::ZERO, false)
        .await
        .remove(0);
    assert_eq!(outcome.error, Some(ErrorCode::RequestTimedOut.into()));
    assert_eq!(
        world.topic("t").await.topic_id,
        Some(outcome.topic.unwrap().topic_id)
    );
}

#[tokio::test]
async fn without_an_ordinary_controller_nothing_is_written() {
    let world = World::new().await;
    let code = async || {
        let outcome = world
            .admin
            .create_topics(&[wish("t", 1, 1)], Duration::ZERO, false)
            .await
            .remove(0);
        assert!(world.znode("/brokers/topics/t").is_none() && world.znode("/config/topics/t").is_none());
        outcome.error.unwrap().code
    };
    let mut kraft = ControllerRegistration::new(1, 0);
    kraft.kraft_controller_epoch = 5;
    world
        .session
        .set(paths::CONTROLLER, kraft.encode(), None)
        .await
        .unwrap();
    assert_eq!(code().await, ErrorCode::StaleControllerEpoch, "fact 11");
    world.session.delete(paths::CONTROLLER, None).await.unwrap();
    assert_eq!(code().await, ErrorCode::StaleControllerEpoch);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_asked_for_and_waited_for() {
    let world = World::new().await;
    world.topic_exists("t").await;
    let admin = world.admin.clone();
    let request = tokio::spawn(async move {
        admin
            .delete_topics(&["t".into(), "none".into()], SECONDS_30)
            .await
    });
    while world.znode("/admin/delete_topics/t").is_none() {
        tokio::task::yield_now().await;
    }
    // Another request may wait for the same deletion.
    let impatient = world
        .admin
        .delete_topics(&["t".into()], Duration::from_secs(1))
        .await;
    assert_eq!(impatient[0].1, Err(ErrorCode::RequestTimedOut.into()));
    world.forget("t");
    let outcomes = request.await.unwrap();
    assert_eq!(outcomes[0], ("t".into(), Ok(())));
    assert_eq!(
        outcomes[1].1.as_ref().unwrap_err().code,
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(world.znode("/admin/delete_topics/none"), None);
}

#[tokio::test(start_paused = true)]
async fn added_partitions_leave_everything_else_as_it_is() {
    let world = World::new().await;
    world.topic_exists("t").await;
    let before = world.topic("t").await;
    let request = NewPartitions {
        topic: "t".into(),
        count: 3,
        assignments: None,
    };
    let (outcomes, ()) = tokio::join!(
        world
            .admin
            .create_partitions(std::slice::from_ref(&request), SECONDS_30, false),
        async {
            while world.topic("t").await.partitions.len() < 3 {
                tokio::task::yield_now().await;
            }
            world.lead("t").await;
        }
    );
    assert_eq!(outcomes, [("t".into(), Ok(()))]);
    let after = world.topic("t").await;
    assert_eq!(after.topic_id, before.topic_id, "fact 8");
    assert_eq!(after.partitions[&0], before.partitions[&0]);

    let more = NewPartitions {
        count: 5,
        assignments: Some(vec![vec![3], vec![1]]),
        ..request
    };
    let timed_out = world
        .admin
        .create_partitions(&[more], Duration::from_secs(1), false)
        .await;
    assert_eq!(timed_out[0].1, Err(ErrorCode::RequestTimedOut.into()));
    let partitions = world.topic("t").await.partitions;
    assert_eq!(partitions[&3], ReplicaAssignment::of(vec![3]));
    assert_eq!(partitions[&4], ReplicaAssignment::of(vec![1]));
}

#[tokio::test]
async fn partitions_that_cannot_be_added_are_refused() {
    let world = World::new().await;
    world.topic_exists("t").await;
    world.topic_exists("doomed").await;
    world
        .admin
        .delete_topics(&["doomed".into()], Duration::ZERO)
        .await;
    let mut moving = TopicAssignment::default();
    let reassigned = ReplicaAssignment {
        replicas: vec![1, 2],
        adding: vec![2],
        removing: vec![],
    };
    moving.partitions.insert(0, reassigned);
    world
        .session
        .create("/brokers/topics/moving", moving.encode(), CreateMode::Persistent)
        .await
        .unwrap();
    let request = |topic: &str, count, assignments: Option<&[&[BrokerId]]>| NewPartitions {
        topic: topic.into(),
        count,
        assignments: assignments.map(|list| list.iter().map(|replicas| replicas.to_vec()).collect()),
    };
    let cases = [
        (request("none", 2, None), ErrorCode::UnknownTopicOrPartition),
        (request("doomed", 2, None), ErrorCode::InvalidTopicException),
        (request("moving", 2, None), ErrorCode::ReassignmentInProgress),
        (request("t", 1, None), ErrorCode::InvalidPartitions),
        (request("t", 0, None), ErrorCode::InvalidPartitions),
        (request("t", -1, None), ErrorCode::InvalidPartitions),
        (
            request("t", 3, Some(&[&[1]])),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            request("t", 2, Some(&[&[1], &[2]])),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            request("t", 2, Some(&[&[9]])),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            request("t", 2, Some(&[&[1, 2]])),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            request("t", 2, Some(&[&[1, 1]])),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (request("t", 2, Some(&[&[]])), ErrorCode::InvalidReplicaAssignment),
    ];
    let before = world.zookeeper.snapshot();
    for (request, expected) in cases {
        let outcomes = world
            .admin
            .create_partitions(std::slice::from_ref(&request), SECONDS_30, false)
            .await;
        let error = outcomes[0].1.as_ref().unwrap_err();
        assert_eq!(error.code, expected, "{request:?}: {error}");
    }
    let valid = [request("t", 2, None)];
    assert_eq!(
        world.admin.create_partitions(&valid, SECONDS_30, true).await,
        [("t".into(), Ok(()))]
    );
    assert_eq!(world.zookeeper.snapshot(), before);
}

#[tokio::test]
async fn a_lost_answer_does_not_add_partitions_twice() {
    let world = World::new().await;
    world.topic_exists("t").await;
    world.session.inject("/brokers/topics/t", Fault::AnswerLost);
    let request = NewPartitions {
        topic: "t".into(),
        count: 2,
        assignments: Some(vec![vec![2]]),
    };
    let outcomes = world
        .admin
        .create_partitions(&[request], Duration::ZERO, false)
        .await;
    assert_eq!(outcomes[0].1, Err(ErrorCode::RequestTimedOut.into()));
    assert_eq!(world.topic("t").await.partitions.len(), 2);
}

#[tokio::test]
async fn topics_are_created_because_somebody_asks_for_them() {
    let world = World::with_properties(&[("num.partitions", "2"), ("default.replication.factor", "3")]).await;
    let results = world.admin.auto_create(&["t".into(), "a b".into()]).await;
    let found = |topic: &str| results.iter().find(|r| &*r.topic == topic).unwrap().error;
    assert_eq!(found("t"), ErrorCode::LeaderNotAvailable);
    assert_eq!(found("a b"), ErrorCode::InvalidTopicException);
    let znode = world.topic("t").await;
    assert_eq!(
        (znode.partitions.len(), znode.partitions[&0].replicas.len()),
        (2, 3)
    );
    // The metadata cache does not have the topic yet.
    let again = world.admin.auto_create(&["t".into()]).await;
    assert_eq!(again[0].error, ErrorCode::LeaderNotAvailable);
}

#[tokio::test]
async fn a_topic_is_created_by_one_request_at_a_time() {
    let world = World::new().await;
    world.admin.in_flight.lock().insert("t".into());
    let results = world.admin.auto_create(&["t".into(), "u".into()]).await;
    assert_eq!(results[0].error, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(results[1].error, ErrorCode::LeaderNotAvailable);
    assert_eq!(world.znode("/brokers/topics/t"), None);
    let in_flight: Vec<_> = world.admin.in_flight.lock().iter().cloned().collect();
    assert_eq!(in_flight, ["t".into()], "what this request took is released");
}

#[tokio::test]
async fn internal_topics_have_kafkas_settings() {
    let world = World::new().await;
    let topics = ["__consumer_offsets".into(), "__transaction_state".into()];
    for result in world.admin.auto_create(&topics).await {
        assert_eq!(result.error, ErrorCode::LeaderNotAvailable, "{}", result.topic);
    }
    // Captured from a real cluster, except for the order of the keys.
    assert_eq!(
        world.znode("/config/topics/__consumer_offsets").unwrap(),
        r#"{"version":1,"config":{"cleanup.policy":"compact","compression.type":"producer","segment.bytes":"104857600"}}"#
    );
    assert_eq!(
        world.znode("/config/topics/__transaction_state").unwrap(),
        r#"{"version":1,"config":{"cleanup.policy":"compact","compression.type":"uncompressed","min.insync.replicas":"2","segment.bytes":"104857600","unclean.leader.election.enable":"false"}}"#
    );
    assert_eq!(world.topic("__consumer_offsets").await.partitions.len(), 50);
    world
        .metadata
        .update(|snapshot| drop(snapshot.brokers.remove(&3)));
    world
        .session
        .delete("/brokers/topics/__consumer_offsets", None)
        .await
        .unwrap();
    let too_few = world.admin.auto_create(&["__consumer_offsets".into()]).await;
    assert_eq!(too_few[0].error, ErrorCode::InvalidReplicationFactor);
}

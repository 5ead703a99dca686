//! AlterPartition: every refusal, in Kafka's order of checks.

use super::cluster::{Cluster, topic_id};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use crate::protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// One partition of a request.
#[derive(Clone)]
struct Ask {
    leader: BrokerId,
    broker_epoch: Option<BrokerEpoch>,
    topic: &'static str,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    isr: Vec<BrokerId>,
    recovery_state: i8,
    version: i16,
}

/// A valid request after `prepare`: broker 1 leads `t-0` with the replicas 1 and 2, ISR 1, leader epoch 1 and partition
/// epoch 1, and broker 2 is back.
fn ask() -> Ask {
    Ask {
        leader: 1,
        broker_epoch: None,
        topic: "t",
        leader_epoch: 1,
        partition_epoch: 1,
        isr: vec![1, 2],
        recovery_state: 0,
        version: 3,
    }
}

async fn prepare() -> Cluster {
    let mut cluster = Cluster::with_brokers(3).await;
    cluster.create_topic("t", &[&[1, 2]]).await;
    cluster.kill_broker(2).await;
    cluster.start_broker(2).await;
    cluster
}

async fn send(cluster: &Cluster, ask: Ask) -> AlterPartitionResponse {
    let mut partition = PartitionData::default()
        .with_partition_index(0)
        .with_leader_epoch(ask.leader_epoch)
        .with_partition_epoch(ask.partition_epoch)
        .with_leader_recovery_state(ask.recovery_state);
    if ask.version >= 3 {
        let state = |&id: &BrokerId| {
            BrokerState::default()
                .with_broker_id(id.into())
                .with_broker_epoch(-1)
        };
        partition = partition.with_new_isr_with_epochs(ask.isr.iter().map(state).collect());
    } else {
        partition = partition.with_new_isr(ask.isr.iter().map(|&id| id.into()).collect());
    }
    let mut topic = TopicData::default().with_partitions(vec![partition]);
    if ask.version >= 2 {
        topic = topic.with_topic_id(topic_id(ask.topic));
    } else {
        topic = topic.with_topic_name(crate::protocol::StrBytes::from_static_str(ask.topic).into());
    }
    let broker_epoch = ask
        .broker_epoch
        .unwrap_or_else(|| cluster.handle(1).broker_epoch());
    let request = AlterPartitionRequest::default()
        .with_broker_id(ask.leader.into())
        .with_broker_epoch(broker_epoch)
        .with_topics(vec![topic]);
    let response = cluster
        .controller_handle()
        .alter_partition(request, ask.version)
        .await;
    cluster.until_idle().await;
    response
}

fn partition_error(response: &AlterPartitionResponse) -> ErrorCode {
    assert_eq!(response.error_code, 0);
    ErrorCode::from_code(response.topics[0].partitions[0].error_code)
}

#[tokio::test(start_paused = true)]
async fn every_refusal_is_kafkas() {
    let cluster = prepare().await;
    let cases = [
        (
            "unknown topic id",
            Ask { topic: "u", ..ask() },
            ErrorCode::UnknownTopicId,
        ),
        (
            "unknown topic",
            Ask {
                topic: "u",
                version: 1,
                ..ask()
            },
            ErrorCode::UnknownTopicOrPartition,
        ),
        (
            "a leader epoch from the future",
            Ask {
                leader_epoch: 2,
                ..ask()
            },
            ErrorCode::NotController,
        ),
        (
            "a partition epoch from the future",
            Ask {
                partition_epoch: 2,
                ..ask()
            },
            ErrorCode::NotController,
        ),
        (
            "an old leader epoch",
            Ask {
                leader_epoch: 0,
                ..ask()
            },
            ErrorCode::FencedLeaderEpoch,
        ),
        (
            "an old partition epoch",
            Ask {
                partition_epoch: 0,
                ..ask()
            },
            ErrorCode::InvalidUpdateVersion,
        ),
        (
            "recovering with others",
            Ask {
                recovery_state: 1,
                ..ask()
            },
            ErrorCode::InvalidRequest,
        ),
        (
            "recovering again",
            Ask {
                recovery_state: 1,
                isr: vec![1],
                ..ask()
            },
            ErrorCode::InvalidRequest,
        ),
        (
            "an isr without its leader",
            Ask {
                isr: vec![2],
                ..ask()
            },
            ErrorCode::InvalidRequest,
        ),
        (
            "a dead replica",
            Ask {
                isr: vec![1, 9],
                ..ask()
            },
            ErrorCode::IneligibleReplica,
        ),
        (
            "a dead replica, before KIP-841",
            Ask {
                isr: vec![1, 9],
                version: 1,
                ..ask()
            },
            ErrorCode::OperationNotAttempted,
        ),
    ];
    for (what, ask, expected) in cases {
        assert_eq!(partition_error(&send(&cluster, ask).await), expected, "{what}");
    }
    for stale in [
        Ask {
            broker_epoch: Some(1),
            ..ask()
        },
        Ask { leader: 9, ..ask() },
    ] {
        assert_eq!(
            send(&cluster, stale).await.error_code,
            ErrorCode::StaleBrokerEpoch.code()
        );
    }
    let elsewhere = cluster
        .handle(1)
        .alter_partition(AlterPartitionRequest::default(), 3)
        .await;
    assert_eq!(elsewhere.error_code, ErrorCode::NotController.code());
    assert_eq!(
        cluster.leader_and_isr("t", 0).await,
        (1, vec![1]),
        "nothing of all this was written"
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_is_written_sent_to_brokers_and_answered_with_its_new_epoch() {
    let cluster = prepare().await;
    cluster.take_sent();
    let response = send(&cluster, ask()).await;
    let partition = &response.topics[0].partitions[0];
    assert_eq!(response.topics[0].topic_id, topic_id("t"));
    assert_eq!(
        (
            partition.error_code,
            partition.partition_epoch,
            partition.leader_epoch
        ),
        (0, 2, 1)
    );
    assert_eq!(cluster.leader_and_isr("t", 0).await, (1, vec![1, 2]));
    let told: Vec<_> = cluster
        .take_sent()
        .iter()
        .map(|s| (s.to, s.request.name()))
        .collect();
    assert_eq!(
        told,
        [
            (0, "UpdateMetadata"),
            (1, "UpdateMetadata"),
            (2, "UpdateMetadata")
        ]
    );

    // The response was lost, and the leader repeats its request with the old epoch (fact 18).
    let again = send(&cluster, ask()).await;
    assert_eq!(partition_error(&again), ErrorCode::None);
    assert_eq!(again.topics[0].partitions[0].partition_epoch, 2);
    // The controller compares ISRs as lists, not as sets (fact 17).
    let reordered = Ask {
        isr: vec![2, 1],
        ..ask()
    };
    assert_eq!(
        partition_error(&send(&cluster, reordered).await),
        ErrorCode::InvalidUpdateVersion
    );
}

#[tokio::test(start_paused = true)]
async fn versions_without_topic_ids_are_answered_by_name() {
    let cluster = prepare().await;
    let response = send(&cluster, Ask { version: 1, ..ask() }).await;
    assert_eq!(partition_error(&response), ErrorCode::None);
    assert_eq!(response.topics[0].topic_name.as_str(), "t");
}

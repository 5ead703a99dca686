//! Takes the controller through recorded steps of Apache Kafka 3.9.1, and compares the requests to each broker.
//!
//! `captured.txt` has Kafka's requests in the form of `render`: topics and partitions are sorted, topic ids and broker
//! epochs are left out. Leader epochs, partition epochs, controller epochs and the order of requests to each broker are
//! Kafka's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::super::admin_request::ElectionType;
use super::super::control_request::ControlRequest;
use super::cluster::{Cluster, Sent};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::protocol::messages::{BrokerId as WireBrokerId, LeaderAndIsrRequest, UpdateMetadataRequest};

fn list<'a>(ids: impl IntoIterator<Item = &'a WireBrokerId>) -> String {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0.to_string()).collect();
    format!("[{}]", ids.join(","))
}

fn sorted_list<'a>(ids: impl IntoIterator<Item = &'a WireBrokerId>) -> String {
    let mut ids: Vec<_> = ids.into_iter().copied().collect();
    ids.sort();
    list(&ids)
}

fn render_leader_and_isr(request: &LeaderAndIsrRequest) -> String {
    let mut partitions = Vec::new();
    for topic in &request.topic_states {
        for p in &topic.partition_states {
            let mut text = format!(
                "{}-{} by {} leader {} epoch {} isr {} version {} replicas {}",
                topic.topic_name.as_str(),
                p.partition_index,
                p.controller_epoch,
                p.leader.0,
                p.leader_epoch,
                list(&p.isr),
                p.partition_epoch,
                list(&p.replicas),
            );
            for (what, ids) in [("adding", &p.adding_replicas), ("removing", &p.removing_replicas)] {
                if !ids.is_empty() {
                    let _ = write!(text, " {what} {}", list(ids));
                }
            }
            text += if p.is_new { " new" } else { "" };
            text += if p.leader_recovery_state != 0 {
                " recovering"
            } else {
                ""
            };
            partitions.push(text);
        }
    }
    let leaders = sorted_list(request.live_leaders.iter().map(|l| &l.broker_id));
    format!("LeaderAndIsr {} | leaders {leaders}", partitions.join("; "))
}

fn render_update_metadata(request: &UpdateMetadataRequest) -> String {
    let mut partitions = Vec::new();
    for topic in &request.topic_states {
        for p in &topic.partition_states {
            let mut text = format!(
                "{}-{} by {} leader {} epoch {} isr {} version {} replicas {}",
                topic.topic_name.as_str(),
                p.partition_index,
                p.controller_epoch,
                p.leader.0,
                p.leader_epoch,
                list(&p.isr),
                p.zk_version,
                list(&p.replicas),
            );
            if !p.offline_replicas.is_empty() {
                let _ = write!(text, " offline {}", list(&p.offline_replicas));
            }
            partitions.push(text);
        }
    }
    let brokers = sorted_list(request.live_brokers.iter().map(|b| &b.id));
    format!("UpdateMetadata {} | brokers {brokers}", partitions.join("; "))
}

fn render(sent: &Sent) -> String {
    let request = match &sent.request {
        ControlRequest::LeaderAndIsr(request) => render_leader_and_isr(request),
        ControlRequest::UpdateMetadata(request) => render_update_metadata(request),
        ControlRequest::StopReplica(request) => {
            let mut partitions = Vec::new();
            for topic in &request.topic_states {
                for p in &topic.partition_states {
                    let delete = if p.delete_partition { " delete" } else { "" };
                    let topic = topic.topic_name.as_str();
                    partitions.push(format!(
                        "{topic}-{} epoch {}{delete}",
                        p.partition_index, p.leader_epoch
                    ));
                }
            }
            format!("StopReplica {}", partitions.join("; "))
        }
    };
    format!(
        "{} <- {} in {}: {request}",
        sent.to,
        sent.from,
        sent.request.controller_epoch()
    )
}

/// The recorded requests of one step, by broker.
fn captured(step: &str) -> BTreeMap<BrokerId, Vec<String>> {
    let text = include_str!("captured.txt");
    let mut lines = text
        .lines()
        .skip_while(|line| line.strip_prefix("# ") != Some(step));
    assert!(lines.next().is_some(), "no such step: {step}");
    let mut requests: BTreeMap<BrokerId, Vec<String>> = BTreeMap::new();
    for line in lines.take_while(|line| !line.starts_with('#')) {
        let broker = line
            .split(' ')
            .next()
            .and_then(|id| id.parse().ok())
            .expect("a broker id");
        requests.entry(broker).or_default().push(line.to_owned());
    }
    requests
}

/// Compares the requests since the last step.
fn check(cluster: &Cluster, step: &str) {
    let mut ours: BTreeMap<BrokerId, Vec<String>> = BTreeMap::new();
    for sent in cluster.take_sent() {
        ours.entry(sent.to).or_default().push(render(&sent));
    }
    for (broker, captured) in captured(step) {
        let ours = ours.remove(&broker).unwrap_or_default();
        assert_eq!(ours, captured, "to broker {broker} at step {step:?}");
    }
    assert!(
        ours.is_empty(),
        "sent to brokers that heard nothing of Kafka at step {step:?}: {ours:?}"
    );
}

const CREATED: &str = "create topic orders: 2 partitions, replication factor 3";
const TRANSACTIONS: &str = "produce with acks=all, five codecs, to partition 0; transactions to partition 1";
const OFFSETS: &str = "consumer group g1 reads orders and commits";
const KILLED: &str = "kill -9 broker 1 (session expires after 6 s)";
const RETURNED: &str = "broker 1 returns";
const PREFERRED: &str = "preferred leader election for all partitions";
const ADDED: &str = "add partitions: orders to 3";
const REASSIGNED: &str = "reassign orders-0 to replicas 2,1";
const SHUT_DOWN: &str = "controlled shutdown of the controller (SIGTERM)";
const OLD_RETURNED: &str = "old controller returns";
const COMPACTED: &str = "compacted topic, cleaner runs";
const DELETED: &str = "delete topic doomed";

const TXN: &str = "__transaction_state";
const OFF: &str = "__consumer_offsets";

#[tokio::test(start_paused = true)]
async fn every_broker_gets_the_requests_that_kafka_sends() {
    let mut cluster = Cluster::with_brokers(3).await;
    check(&cluster, "start");
    create_topics(&cluster).await;
    lose_and_regain_a_broker(&mut cluster).await;
    change_partitions(&cluster).await;
    lose_and_regain_the_controller(&mut cluster).await;

    cluster.create_topic("compacted", &[&[1, 2]]).await;
    check(&cluster, COMPACTED);
    cluster.create_topic("doomed", &[&[2, 1, 0]]).await;
    cluster.delete_topic("doomed").await;
    check(&cluster, DELETED);
    assert!(cluster.topic("doomed").await.is_none());
}

async fn create_topics(cluster: &Cluster) {
    cluster.create_topic("orders", &[&[1, 0, 2], &[0, 2, 1]]).await;
    check(cluster, CREATED);
    cluster
        .create_topic(TXN, &[&[1, 0, 2], &[0, 2, 1], &[2, 1, 0]])
        .await;
    check(cluster, TRANSACTIONS);
    cluster
        .create_topic(OFF, &[&[1, 2, 0], &[0, 1, 2], &[2, 0, 1]])
        .await;
    check(cluster, OFFSETS);
}

async fn alter(cluster: &Cluster, leader: BrokerId, isr: &[BrokerId], partitions: &[(&str, i32)]) {
    let wanted: Vec<_> = partitions
        .iter()
        .map(|&(topic, index)| (topic, index, isr))
        .collect();
    let errors = cluster.alter_isr(leader, &wanted).await;
    assert!(errors.iter().all(|&e| e == ErrorCode::None), "{errors:?}");
}

async fn lose_and_regain_a_broker(cluster: &mut Cluster) {
    cluster.kill_broker(1).await;
    check(cluster, KILLED);
    cluster.start_broker(1).await;
    alter(cluster, 2, &[2, 0, 1], &[(OFF, 0)]).await;
    alter(cluster, 0, &[0, 2, 1], &[(TXN, 0)]).await;
    alter(cluster, 2, &[2, 0, 1], &[(TXN, 2), (OFF, 2)]).await;
    alter(
        cluster,
        0,
        &[0, 2, 1],
        &[(TXN, 1), (OFF, 1), ("orders", 0), ("orders", 1)],
    )
    .await;
    check(cluster, RETURNED);
}

async fn change_partitions(cluster: &Cluster) {
    let elected = cluster
        .controller_handle()
        .elect_leaders(None, ElectionType::Preferred)
        .await
        .expect("active");
    let moved = elected.iter().filter(|(_, result)| **result == Ok(1)).count();
    let others = elected
        .values()
        .filter(|r| matches!(r, Err((ErrorCode::ElectionNotNeeded, _))))
        .count();
    assert_eq!((moved, others), (3, 5));
    check(cluster, PREFERRED);

    cluster
        .set_topic("orders", &[&[1, 0, 2], &[0, 2, 1], &[0, 2, 1]])
        .await;
    check(cluster, ADDED);

    let targets = [(TopicPartition::new("orders", 0), Some(vec![2, 1]))].into();
    let begun = cluster
        .controller_handle()
        .alter_partition_reassignments(targets)
        .await
        .expect("active");
    assert!(begun.values().all(|(error, _)| *error == ErrorCode::None));
    check(cluster, REASSIGNED);
    let replicas = &cluster.topic("orders").await.expect("the topic").partitions[&0];
    assert!(replicas.replicas == [2, 1] && !replicas.is_being_reassigned());
}

async fn lose_and_regain_the_controller(cluster: &mut Cluster) {
    let epoch = cluster.handle(0).broker_epoch();
    assert_eq!(
        cluster.controller_handle().controlled_shutdown(0, epoch).await,
        Ok(vec![])
    );
    // Broker 2 wins the election, as in the recording.
    cluster.handle(1).shutdown().await;
    cluster.kill_broker(0).await;
    assert_eq!(cluster.controller(), 2);
    check(cluster, SHUT_DOWN);

    cluster.start_broker(0).await;
    alter(cluster, 2, &[2, 1, 0], &[(TXN, 1)]).await;
    alter(cluster, 1, &[2, 1, 0], &[(OFF, 0)]).await;
    alter(
        cluster,
        2,
        &[2, 1, 0],
        &[(TXN, 2), (OFF, 2), ("orders", 1), ("orders", 2)],
    )
    .await;
    alter(cluster, 1, &[2, 1, 0], &[(TXN, 0), (OFF, 1)]).await;
    // The first check of the leader balance, 5 s after the election.
    tokio::time::sleep(Duration::from_secs(6)).await;
    cluster.until_idle().await;
    check(cluster, OLD_RETURNED);
}

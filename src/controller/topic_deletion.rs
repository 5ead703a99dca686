//! Deletes topics: first all replicas, then the znodes, after all brokers have confirmed the deletion of their replicas
//! (fact 26). Kafka 3.9: `TopicDeletionManager`.
//!
//! A topic whose deletion has been requested is *queued*. It is *ineligible* while the broker of a replica is offline
//! or a partition is being reassigned. When a broker starts, a reassignment ends or a broker answers, the deletion
//! resumes. The sets of these topics lie in the context, so this module has functions and no value of its own.

use std::collections::BTreeSet;

use tracing::{debug, info, warn};

use super::context::{ControllerContext, PartitionAndReplica};
use super::error::ControllerError;
use super::partition_state::PartitionState;
use super::partition_state_machine::move_partitions;
use super::replica_state::ReplicaState;
use super::state_machines::StateMachines;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, ControllerEpoch, TopicName, TopicPartition};
use crate::protocol::messages::StopReplicaResponse;
use crate::zk::cluster;
use crate::zk::paths::{self, ConfigEntityType};

/// Queues the topics under `/admin/delete_topics`. A new controller begins with it.
pub(super) async fn initialize_topic_deletion(
    machines: &mut StateMachines<'_>,
) -> Result<(), ControllerError> {
    let topics: Vec<TopicName> = read_topic_deletions(machines).await?;
    if !machines.config.delete_topic_enable {
        return refuse_deletions(machines, &topics).await;
    }
    let (existing, unknown): (Vec<_>, Vec<_>) = topics
        .into_iter()
        .partition(|t| machines.context.contains_topic(t));
    machines
        .zk
        .delete_children(paths::DELETE_TOPICS, unknown.iter().map(|t| &**t))
        .await?;
    for topic in existing {
        let replicas = machines.context.replicas_of_topic(&topic);
        let offline = replicas
            .iter()
            .any(|r| !machines.context.is_replica_online(r.replica, &r.partition));
        if offline || is_topic_being_reassigned(machines.context, &topic) {
            machines
                .context
                .topics_ineligible_for_deletion
                .insert(topic.clone());
        }
        machines.context.topics_to_be_deleted.insert(topic);
    }
    Ok(())
}

async fn read_topic_deletions(machines: &StateMachines<'_>) -> Result<Vec<TopicName>, ControllerError> {
    let names = cluster::children(machines.zk.store(), paths::DELETE_TOPICS, true).await?;
    Ok(names.into_iter().map(TopicName::from).collect())
}

async fn refuse_deletions(machines: &StateMachines<'_>, topics: &[TopicName]) -> Result<(), ControllerError> {
    if !topics.is_empty() {
        info!(?topics, "topics are not deleted, delete.topic.enable is false");
    }
    machines
        .zk
        .delete_children(paths::DELETE_TOPICS, topics.iter().map(|t| &**t))
        .await
}

fn is_topic_being_reassigned(context: &ControllerContext, topic: &str) -> bool {
    context
        .partitions_being_reassigned
        .iter()
        .any(|p| &*p.topic == topic)
}

/// Queues new topics under `/admin/delete_topics` and starts their deletion.
pub(super) async fn process_topic_deletion(machines: &mut StateMachines<'_>) -> Result<(), ControllerError> {
    let (existing, unknown): (Vec<_>, Vec<_>) = read_topic_deletions(machines)
        .await?
        .into_iter()
        .partition(|t| machines.context.contains_topic(t));
    if !unknown.is_empty() {
        warn!(topics = ?unknown, "ignores the deletion of topics that do not exist");
        machines
            .zk
            .delete_children(paths::DELETE_TOPICS, unknown.iter().map(|t| &**t))
            .await?;
    }
    if !machines.config.delete_topic_enable {
        return refuse_deletions(machines, &existing).await;
    }
    for topic in existing {
        // A topic that is already queued stays eligible or ineligible as later events have set it.
        if is_topic_being_reassigned(machines.context, &topic) {
            machines
                .context
                .topics_ineligible_for_deletion
                .insert(topic.clone());
        }
        machines.context.topics_to_be_deleted.insert(topic);
    }
    resume_deletions(machines).await
}

/// Makes topics eligible again: the reason that they were ineligible may be gone.
pub(super) async fn resume_deletion_for_topics(
    machines: &mut StateMachines<'_>,
    topics: BTreeSet<TopicName>,
) -> Result<(), ControllerError> {
    let queued: Vec<_> = topics
        .intersection(&machines.context.topics_to_be_deleted)
        .cloned()
        .collect();
    if queued.is_empty() {
        return Ok(());
    }
    for topic in &queued {
        machines.context.topics_ineligible_for_deletion.remove(topic);
    }
    resume_deletions(machines).await
}

/// Notes that replicas cannot be deleted at present, and makes their topics ineligible.
pub(super) async fn fail_replica_deletion(
    machines: &mut StateMachines<'_>,
    mut replicas: Vec<PartitionAndReplica>,
) -> Result<(), ControllerError> {
    replicas.retain(|r| machines.context.is_queued_for_deletion(&r.partition.topic));
    if replicas.is_empty() {
        return Ok(());
    }
    let topics: BTreeSet<_> = replicas.iter().map(|r| r.partition.topic.clone()).collect();
    machines
        .move_replicas(replicas, ReplicaState::DeletionIneligible)
        .await?;
    mark_ineligible_for_deletion(machines.context, topics, "a replica cannot be deleted");
    resume_deletions(machines).await
}

/// Makes topics ineligible, if they are queued.
pub(super) fn mark_ineligible_for_deletion(
    context: &mut ControllerContext,
    topics: impl IntoIterator<Item = TopicName>,
    reason: &'static str,
) {
    for topic in topics
        .into_iter()
        .filter(|t| context.is_queued_for_deletion(t))
        .collect::<Vec<_>>()
    {
        info!(%topic, reason, "deletion halted");
        context.topics_ineligible_for_deletion.insert(topic);
    }
}

/// Handles the response to a StopReplica that asked a broker to delete replicas. A replica that the response leaves out
/// counts as failed.
pub(super) async fn process_deletion_stop_replica_response(
    machines: &mut StateMachines<'_>,
    broker: BrokerId,
    controller_epoch: ControllerEpoch,
    mut deleted: Vec<TopicPartition>,
    response: StopReplicaResponse,
) -> Result<(), ControllerError> {
    deleted.retain(|p| machines.context.topics_with_deletion_started.contains(&p.topic));
    if controller_epoch != machines.context.epoch || deleted.is_empty() {
        return Ok(());
    }
    let succeeded = |partition: &TopicPartition| {
        let error = response
            .partition_errors
            .iter()
            .find(|e| e.topic_name.as_str() == &*partition.topic && e.partition_index == partition.partition);
        response.error_code == 0 && error.is_some_and(|e| e.error_code == 0)
    };
    let (gone, failed): (Vec<_>, Vec<_>) = deleted.into_iter().partition(succeeded);
    if !failed.is_empty() {
        warn!(broker, error = %ErrorCode::from_code(response.error_code), partitions = ?failed,
            "broker failed to delete replicas");
    }
    let replicas = |partitions: Vec<TopicPartition>| -> Vec<_> {
        partitions
            .into_iter()
            .map(|p| PartitionAndReplica::new(p, broker))
            .collect()
    };
    fail_replica_deletion(machines, replicas(failed)).await?;
    if !gone.is_empty() {
        let gone = machines
            .context
            .replicas_that_can_enter(replicas(gone), ReplicaState::DeletionSuccessful);
        machines
            .move_replicas(gone, ReplicaState::DeletionSuccessful)
            .await?;
        resume_deletions(machines).await?;
    }
    Ok(())
}

/// Finishes, repeats or starts the deletion of each queued topic, if that is possible at present.
pub(super) async fn resume_deletions(machines: &mut StateMachines<'_>) -> Result<(), ControllerError> {
    let (mut to_retry, mut to_start) = (Vec::new(), Vec::new());
    for topic in machines.context.topics_to_be_deleted.clone() {
        if machines
            .context
            .are_all_replicas_in_state(&topic, ReplicaState::DeletionSuccessful)
        {
            complete_topic_deletion(machines, &topic).await?;
            continue;
        }
        if machines
            .context
            .is_any_replica_in_state(&topic, ReplicaState::DeletionStarted)
        {
            continue;
        }
        to_retry.extend(
            machines
                .context
                .replicas_in_state(&topic, ReplicaState::DeletionIneligible),
        );
        if !machines.context.topics_ineligible_for_deletion.contains(&topic) {
            to_start.push(topic);
        }
    }
    machines.move_replicas(to_retry, ReplicaState::Offline).await?;
    if !to_start.is_empty() {
        start_topic_deletion(machines, to_start).await?;
    }
    Ok(())
}

/// Moves the partitions offline, tells all brokers that they are gone, then stops and deletes their replicas.
async fn start_topic_deletion(
    machines: &mut StateMachines<'_>,
    topics: Vec<TopicName>,
) -> Result<(), ControllerError> {
    info!(?topics, "deletes topics");
    let unseen = topics
        .iter()
        .filter(|t| !machines.context.topics_with_deletion_started.contains(*t));
    let unseen: Vec<_> = unseen.cloned().collect();
    let partitions: Vec<_> = unseen
        .iter()
        .flat_map(|t| machines.context.partitions_of_topic(t))
        .collect();
    move_partitions(machines.context, &partitions, PartitionState::Offline);
    move_partitions(machines.context, &partitions, PartitionState::NonExistent);
    machines.context.topics_with_deletion_started.extend(unseen);

    let partitions: Vec<_> = topics
        .iter()
        .flat_map(|t| machines.context.partitions_of_topic(t))
        .collect();
    machines.send_update_metadata_to_all(&partitions);

    let mut replicas = machines.context.replicas_of(&partitions);
    replicas.retain(|r| machines.context.replica_state(r) != ReplicaState::DeletionSuccessful);
    let is_online = |r: &PartitionAndReplica| machines.context.is_replica_online(r.replica, &r.partition);
    let (alive, dead): (Vec<_>, Vec<_>) = replicas.into_iter().partition(is_online);
    let halted: BTreeSet<_> = dead.iter().map(|r| r.partition.topic.clone()).collect();
    let dead = machines
        .context
        .replicas_that_can_enter(dead, ReplicaState::DeletionIneligible);
    machines
        .move_replicas(dead, ReplicaState::DeletionIneligible)
        .await?;
    machines
        .move_replicas(alive.clone(), ReplicaState::Offline)
        .await?;
    machines
        .move_replicas(alive, ReplicaState::DeletionStarted)
        .await?;
    mark_ineligible_for_deletion(machines.context, halted, "a replica is offline");
    Ok(())
}

/// Deletes the znodes of a topic whose replicas are all deleted; the request for the deletion is the last one.
async fn complete_topic_deletion(
    machines: &mut StateMachines<'_>,
    topic: &TopicName,
) -> Result<(), ControllerError> {
    let replicas = machines
        .context
        .replicas_in_state(topic, ReplicaState::DeletionSuccessful);
    debug!(%topic, replicas = replicas.len(), "every replica is deleted");
    machines
        .move_replicas(replicas, ReplicaState::NonExistent)
        .await?;
    machines.zk.delete_recursive(&paths::topic(topic)).await?;
    machines
        .zk
        .delete_recursive(&paths::config_entity(ConfigEntityType::Topics, topic))
        .await?;
    machines.zk.delete(&paths::delete_topic(topic)).await?;
    machines.context.remove_topic(topic);
    info!(%topic, "topic deleted");
    Ok(())
}

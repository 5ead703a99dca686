//! Copies the ids and assignments of topics from their znodes into the context, and writes them.

use super::context::ControllerContext;
use super::error::ControllerError;
use super::zk_client::ControllerZkClient;
use crate::common::ids::{TopicName, TopicPartition, random_uuid};
use crate::common::leader_and_isr::ReplicaAssignment;
use crate::zk::znode::TopicAssignment;
use crate::zk::{cluster, paths};

/// Takes the ids of topics into the context. A topic without an id gets one: the id that the context has, if an old
/// tool has dropped it (fact 75), or a new one.
pub(super) async fn adopt_topic_ids(
    context: &mut ControllerContext,
    zk: &ControllerZkClient,
    topics: &[(TopicName, TopicAssignment)],
) -> Result<(), ControllerError> {
    let without_id = topics
        .iter()
        .filter(|(_, assignment)| assignment.topic_id.is_none());
    let with_new_id = |(topic, assignment): &(TopicName, TopicAssignment)| {
        let known = Some(context.topic_id(topic)).filter(|id| !id.is_nil());
        (
            topic.clone(),
            assignment.clone(),
            known.unwrap_or_else(random_uuid),
        )
    };
    let missing: Vec<_> = without_id.map(with_new_id).collect();
    zk.set_topic_ids(&missing).await?;
    for (topic, assignment) in topics {
        context.put_topic(topic.clone(), assignment.topic_id.unwrap_or_default());
    }
    for (topic, _, id) in missing {
        context.put_topic(topic, id);
    }
    Ok(())
}

/// Takes all assignments of a topic into the context.
pub(super) fn adopt_assignments(
    context: &mut ControllerContext,
    topic: &TopicName,
    assignment: TopicAssignment,
) {
    for (index, assignment) in assignment.partitions {
        let partition = TopicPartition::new(topic.clone(), index);
        if assignment.is_being_reassigned() {
            context.partitions_being_reassigned.insert(partition.clone());
        }
        context.set_assignment(&partition, assignment);
    }
}

/// Writes the assignment of one partition; the other partitions of its topic are as in the context.
pub(super) async fn write_assignment(
    context: &ControllerContext,
    zk: &ControllerZkClient,
    partition: &TopicPartition,
    assignment: &ReplicaAssignment,
) -> Result<(), ControllerError> {
    let mut partitions = context.topic_assignment(&partition.topic);
    partitions.insert(partition.partition, assignment.clone());
    let topic_id = Some(context.topic_id(&partition.topic)).filter(|id| !id.is_nil());
    zk.set_topic_assignment(&partition.topic, &TopicAssignment { topic_id, partitions })
        .await
}

/// Writes a topic's assignment as the context has it, with only the partitions that have a znode.
pub(super) async fn restore_assignment(
    context: &ControllerContext,
    zk: &ControllerZkClient,
    topic: &TopicName,
) -> Result<(), ControllerError> {
    let created = cluster::children(zk.store(), &paths::topic_partitions(topic), false).await?;
    let mut partitions = context.topic_assignment(topic);
    partitions.retain(|index, _| created.contains(&index.to_string()));
    let topic_id = Some(context.topic_id(topic)).filter(|id| !id.is_nil());
    let assignment = TopicAssignment { topic_id, partitions };
    zk.set_topic_assignment(topic, &assignment).await
}

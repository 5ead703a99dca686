//! Adds partitions to topics. Kafka 3.9: `ZkAdminManager.createPartitions`, `AdminZkClient`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tracing::info;

use super::assignment::{AssignableBroker, Start, assign_replicas};
use super::error::AdminError;
use super::manager::{AdminManager, has_leaders};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicName};
use crate::common::leader_and_isr::ReplicaAssignment;
use crate::zk::znode::TopicAssignment;
use crate::zk::{ZkError, paths};

/// The number of partitions that a topic should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: TopicName,
    /// The number of all its partitions, including the present ones.
    pub count: i32,
    /// The replicas of the new partitions, in their order; `None` if the broker should choose them.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// How often a write is tried when other writes change the znode at the same time.
const MAX_ATTEMPTS: usize = 5;

impl AdminManager {
    /// Adds partitions and waits until every partition of the topics has a leader, at most for `timeout`.
    /// REQUEST_TIMED_OUT tells that the partitions exist but some have no leader yet.
    pub async fn create_partitions(
        &self,
        requests: &[NewPartitions],
        timeout: Duration,
        validate_only: bool,
    ) -> Vec<(TopicName, Result<(), AdminError>)> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            outcomes.push((
                request.topic.clone(),
                self.add_partitions(request, validate_only).await,
            ));
        }
        if validate_only {
            return outcomes;
        }
        let counts: HashMap<&str, usize> = requests
            .iter()
            .map(|r| (&*r.topic, r.count.max(0) as usize))
            .collect();
        let led = |snapshot: &_, topic: &str| has_leaders(snapshot, topic, counts[topic]);
        if !timeout.is_zero() {
            let added = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
            let added: Vec<TopicName> = added.map(|(topic, _)| topic.clone()).collect();
            self.wait_for(&added, timeout, led).await;
        }
        let snapshot = self.metadata.snapshot();
        for (topic, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
            if timeout.is_zero() || !led(&snapshot, topic) {
                *outcome = Err(ErrorCode::RequestTimedOut.into());
            }
        }
        outcomes
    }

    async fn add_partitions(&self, request: &NewPartitions, validate_only: bool) -> Result<(), AdminError> {
        let topic = &*request.topic;
        if topic.is_empty() {
            // No znode can have such a path; Kafka's ZooKeeper client fails.
            return Err(ErrorCode::UnknownServerError.into());
        }
        if self
            .zk
            .exists(&paths::delete_topic(topic), false)
            .await?
            .is_some()
        {
            let message = "The topic is queued for deletion.";
            return Err(AdminError::new(ErrorCode::InvalidTopicException, message));
        }
        for _ in 0..MAX_ATTEMPTS {
            let Some((mut znode, version)) = self.topic_znode(topic).await? else {
                let message = format!("The topic '{topic}' does not exist.");
                return Err(AdminError::new(ErrorCode::UnknownTopicOrPartition, message));
            };
            let added = plan(request, &znode, &self.assignable_brokers())?;
            if validate_only {
                return Ok(());
            }
            info!(topic, ?added, "adding partitions");
            // The other values in the znode are kept, above all the topic's id (fact 8).
            let wanted = added
                .into_iter()
                .map(|(p, replicas)| (p, ReplicaAssignment::of(replicas)));
            znode.partitions.extend(wanted);
            match self
                .zk
                .set(&paths::topic(topic), znode.encode(), Some(version))
                .await
            {
                Ok(_) => return Ok(()),
                // Another write came first: from the controller, from another broker, or from our own first attempt.
                Err(ZkError::BadVersion(_)) if self.is_written(topic, &znode).await? => return Ok(()),
                Err(ZkError::BadVersion(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let message = format!("topic '{topic}' is being changed by others");
        Err(AdminError::new(ErrorCode::UnknownServerError, message))
    }

    async fn is_written(&self, topic: &str, znode: &TopicAssignment) -> Result<bool, AdminError> {
        Ok(self
            .topic_znode(topic)
            .await?
            .is_some_and(|(found, _)| found == *znode))
    }
}

/// The replicas of the partitions to add, or the error if they cannot be added.
fn plan(
    request: &NewPartitions,
    znode: &TopicAssignment,
    brokers: &[AssignableBroker],
) -> Result<BTreeMap<i32, Vec<BrokerId>>, AdminError> {
    let topic = &*request.topic;
    if znode
        .partitions
        .values()
        .any(ReplicaAssignment::is_being_reassigned)
    {
        let message = format!("A partition reassignment is in progress for the topic '{topic}'.");
        return Err(AdminError::new(ErrorCode::ReassignmentInProgress, message));
    }
    let present = znode.partitions.len() as i32;
    let Some(first) = znode.partitions.get(&0) else {
        let message = format!("topic '{topic}' has no partition 0");
        return Err(AdminError::new(ErrorCode::UnknownServerError, message));
    };
    if request.count <= present {
        let message = match request.count == present {
            true => format!("Topic already has {present} partitions."),
            false => format!(
                "Topic currently has {present} partitions, which is higher than the requested {}.",
                request.count
            ),
        };
        return Err(AdminError::new(ErrorCode::InvalidPartitions, message));
    }
    let added = request.count - present;
    let factor = first.replicas.len();
    match &request.assignments {
        Some(assignments) => {
            validate(assignments, (present, added), factor, brokers)?;
            Ok((present..).zip(assignments.iter().cloned()).collect())
        }
        None => {
            let preferred = first.replicas.first().copied().unwrap_or_default();
            let start = brokers.iter().position(|b| b.id >= preferred).unwrap_or(0);
            assign_replicas(brokers, present, added, factor as i16, Start::at(start))
        }
    }
}

fn validate(
    assignments: &[Vec<BrokerId>],
    (present, added): (i32, i32),
    factor: usize,
    brokers: &[AssignableBroker],
) -> Result<(), AdminError> {
    let refuse = |message: String| Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
    let is_alive = |id: &BrokerId| brokers.iter().any(|b| b.id == *id);
    let list = |ids: &mut dyn Iterator<Item = String>| ids.collect::<Vec<_>>().join(", ");
    let unknown: BTreeSet<_> = assignments.iter().flatten().filter(|id| !is_alive(id)).collect();
    if !unknown.is_empty() {
        let unknown = list(&mut unknown.iter().map(|id| id.to_string()));
        return refuse(format!("Unknown broker(s) in replica assignment: {unknown}."));
    }
    if assignments.len() != added as usize {
        return refuse(format!(
            "Increasing the number of partitions by {added} but {} assignments provided.",
            assignments.len()
        ));
    }
    let numbered = || (present..).zip(assignments);
    for (partition, replicas) in numbered() {
        if replicas.is_empty() {
            return refuse(format!(
                "Cannot have replication factor of 0 for partition id {partition}."
            ));
        }
        if replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len() {
            let replicas = list(&mut replicas.iter().map(BrokerId::to_string));
            return refuse(format!(
                "Duplicate brokers not allowed in replica assignment: {replicas} for partition id {partition}."
            ));
        }
    }
    let uneven: Vec<_> = numbered()
        .filter(|(_, replicas)| replicas.len() != factor)
        .collect();
    if !uneven.is_empty() {
        let partitions = list(&mut uneven.iter().map(|(partition, _)| partition.to_string()));
        let factors = list(&mut uneven.iter().map(|(_, replicas)| replicas.len().to_string()));
        return refuse(format!(
            "Inconsistent replication factor between partitions, partition 0 has {factor} while partitions \
             [{partitions}] have replication factors [{factors}], respectively."
        ));
    }
    Ok(())
}

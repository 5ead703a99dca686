//! The assignment during a reassignment, and the checks of a requested one. Pure.

use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::common::leader_and_isr::ReplicaAssignment;
use crate::controller::context::ControllerContext;

/// The assignment while a partition moves to `targets`: first the targets, then the original replicas, which are those
/// from before a reassignment that is already under way.
pub(in crate::controller) fn reassign_to(
    current: &ReplicaAssignment,
    targets: &[BrokerId],
) -> ReplicaAssignment {
    let origin = current.origin_replicas();
    let mut replicas = Vec::with_capacity(targets.len() + origin.len());
    for &replica in targets.iter().chain(&origin) {
        if !replicas.contains(&replica) {
            replicas.push(replica);
        }
    }
    ReplicaAssignment {
        adding: replicas.iter().copied().filter(|r| !origin.contains(r)).collect(),
        removing: replicas
            .iter()
            .copied()
            .filter(|r| !targets.contains(r))
            .collect(),
        replicas,
    }
}

/// Validates a request and returns the assignment during the reassignment. `None` for the targets cancels the one under
/// way.
pub(in crate::controller) fn plan(
    context: &ControllerContext,
    partition: &TopicPartition,
    targets: Option<&[BrokerId]>,
) -> Result<ReplicaAssignment, (ErrorCode, Option<String>)> {
    let current = context.assignment_or_default(partition);
    let Some(targets) = targets else {
        if current.is_being_reassigned() {
            return Ok(reassign_to(&current, &current.origin_replicas()));
        }
        let message = "No partition reassignment is in progress.".to_owned();
        return Err((ErrorCode::NoReassignmentInProgress, Some(message)));
    };
    let invalid = |message: String| Err((ErrorCode::InvalidReplicaAssignment, Some(message)));
    if targets.is_empty() {
        return invalid("Empty replica list specified in partition reassignment.".to_owned());
    }
    if targets.iter().enumerate().any(|(i, r)| targets[..i].contains(r)) {
        return invalid(format!(
            "Duplicate replica ids in partition reassignment replica list: {targets:?}"
        ));
    }
    if targets.iter().any(|&r| r < 0) {
        return invalid(format!("Invalid broker id in replica list: {targets:?}"));
    }
    let reassignment = reassign_to(&current, targets);
    if !reassignment.adding.iter().all(|&r| context.is_live(r)) {
        let adding = &reassignment.adding;
        let mut live = context.live_or_shutting_down_ids();
        live.retain(|&id| context.is_live(id));
        return invalid(format!(
            "Replica assignment has brokers that are not alive. Replica list: {adding:?}, live broker list: {live:?}"
        ));
    }
    Ok(reassignment)
}

/// Checks whether a partition can be reassigned. If the whole ISR consists of adding replicas of an earlier
/// reassignment, the new one must keep one of them: without them the election would be unclean. Kafka 3.9's ZooKeeper
/// controller does not check this and loses records; its KRaft controller refuses.
pub(in crate::controller) fn check(
    context: &ControllerContext,
    partition: &TopicPartition,
    reassignment: &ReplicaAssignment,
) -> Result<(), (ErrorCode, &'static str)> {
    let unknown = context.replicas(partition).is_empty();
    if unknown || context.is_queued_for_deletion(&partition.topic) {
        return Err((
            ErrorCode::UnknownTopicOrPartition,
            "The partition does not exist.",
        ));
    }
    let isr = context
        .leadership(partition)
        .map(|l| &*l.leader_and_isr.isr)
        .unwrap_or_default();
    if !isr.is_empty() && !isr.iter().any(|r| reassignment.replicas.contains(r)) {
        let message =
            "Unable to revert partition assignment because it would require an unclean leader election.";
        return Err((ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(replicas: &[i32], adding: &[i32], removing: &[i32]) -> ReplicaAssignment {
        ReplicaAssignment {
            replicas: replicas.to_vec(),
            adding: adding.to_vec(),
            removing: removing.to_vec(),
        }
    }

    #[test]
    fn targets_come_first_and_originals_stay_until_the_end() {
        let stable = ReplicaAssignment::of(vec![1, 2, 3]);
        let moving = reassign_to(&stable, &[4, 5, 6]);
        assert_eq!(moving, assignment(&[4, 5, 6, 1, 2, 3], &[4, 5, 6], &[1, 2, 3]));
        assert_eq!(
            reassign_to(&moving, &[4, 1]),
            assignment(&[4, 1, 2, 3], &[4], &[2, 3])
        );
        assert_eq!(
            reassign_to(&moving, &moving.origin_replicas()),
            assignment(&[1, 2, 3], &[], &[])
        );
        assert_eq!(reassign_to(&stable, &[3, 1, 2]), assignment(&[3, 1, 2], &[], &[]));
        assert_eq!(reassign_to(&stable, &[2, 1]), assignment(&[2, 1, 3], &[], &[3]));
    }
}

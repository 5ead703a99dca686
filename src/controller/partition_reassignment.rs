//! The events of reassignments: requests by API and by `/admin/reassign_partitions`. Kafka 3.9:
//! `KafkaController.processApiPartitionReassignment`, `processZkPartitionReassignment`,
//! `processListPartitionReassignments`. [`super::reassignment`] carries the reassignments out.

use std::collections::BTreeMap;

use tracing::warn;

use super::admin_request::{ListReassignmentsResult, ReassignmentResult, TargetReplicas};
use super::error::ControllerError;
use super::event::Reply;
use super::kafka_controller::Controller;
use super::reassignment::plan::{plan, reassign_to};
use super::reassignment::znode;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;

impl Controller {
    /// AlterPartitionReassignments. The request replaces that of `/admin/reassign_partitions` for the same partitions.
    pub(super) async fn process_api_reassignment(
        &mut self,
        targets: BTreeMap<TopicPartition, TargetReplicas>,
        reply: Reply<ReassignmentResult>,
    ) -> Result<(), ControllerError> {
        let (mut results, mut reassignments) = (ReassignmentResult::new(), Vec::new());
        for (partition, targets) in targets {
            match plan(&self.context, &partition, targets.as_deref()) {
                Ok(reassignment) => reassignments.push((partition, reassignment)),
                Err(refusal) => drop(results.insert(partition, refusal)),
            }
        }
        let taken: Vec<_> = reassignments.iter().map(|(p, _)| p.clone()).collect();
        znode::remove(&self.zk, &self.events, |partition, _| taken.contains(partition)).await?;
        results.extend(self.reassignments().trigger(reassignments).await?);
        let _ = reply.send(results);
        Ok(())
    }

    /// ListPartitionReassignments.
    pub(super) fn process_list_reassignments(
        &self,
        partitions: Option<Vec<TopicPartition>>,
        reply: Reply<ListReassignmentsResult>,
    ) -> Result<(), ControllerError> {
        let all = || self.context.partitions_being_reassigned.iter().cloned().collect();
        let assignment = |partition: TopicPartition| {
            let assignment = self
                .context
                .assignment(&partition)
                .filter(|a| a.is_being_reassigned())?
                .clone();
            Some((partition, assignment))
        };
        let _ = reply.send(
            partitions
                .unwrap_or_else(all)
                .into_iter()
                .filter_map(assignment)
                .collect(),
        );
        Ok(())
    }

    /// `/admin/reassign_partitions`. Returns the partitions whose reassignment has begun. Takes the refused ones out of
    /// the znode.
    pub(super) async fn process_znode_reassignment(
        &mut self,
    ) -> Result<Vec<TopicPartition>, ControllerError> {
        let (mut failed, mut reassignments) = (ReassignmentResult::new(), Vec::new());
        for (partition, targets) in znode::read(&self.zk, true).await?.unwrap_or_default() {
            // The targets are not validated, so that the reassignment can be resumed while one of them is down.
            let current = self.context.assignment_or_default(&partition);
            reassignments.push((partition, reassign_to(&current, &targets)));
        }
        let mut begun = Vec::new();
        for (partition, result) in self.reassignments().trigger(reassignments).await? {
            match result {
                (ErrorCode::None, _) => begun.push(partition),
                refusal => drop(failed.insert(partition, refusal)),
            }
        }
        if !failed.is_empty() {
            warn!(
                ?failed,
                "cannot reassign partitions as /admin/reassign_partitions asks"
            );
            znode::remove(&self.zk, &self.events, |partition, _| {
                failed.contains_key(partition)
            })
            .await?;
        }
        Ok(begun)
    }

    /// Resumes all reassignments: first those of the znode, whose targets may be newer, then the others. A new
    /// controller begins with it.
    pub(super) async fn resume_reassignments_after_failover(&mut self) -> Result<(), ControllerError> {
        let begun = self.process_znode_reassignment().await?;
        self.reassignments()
            .resume(|partition, _| !begun.contains(partition))
            .await
    }
}

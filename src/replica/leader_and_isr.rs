//! Carries out the controller's decisions on leaders and followers. Kafka 3.9: `ReplicaManager.becomeLeaderOrFollower`.
//!
//! One request is carried out at a time, first its leaders, then its followers. An error for one partition is returned
//! for that partition and leaves its state unchanged, so that the controller's next decision is not ignored (fact 43).

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::fetcher::FetchAssignment;
use super::hooks::LeadershipChange;
use super::hosted_partitions::HostedPartition;
use super::manager::ReplicaManager;
use crate::cluster::{LeadershipDecision, error_code};
use crate::common::blocking;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition};
use crate::common::parallel;
use crate::log::{LogError, UnifiedLog};
use crate::network::BrokerAddress;

/// The number of partitions that change their roles at the same time.
const THREADS: usize = 16;

/// A LeaderAndIsr request, whatever its version.
#[derive(Clone, Debug)]
pub struct LeaderAndIsrUpdate {
    /// The epoch of the controller that sent the request.
    pub controller_epoch: ControllerEpoch,
    /// The decisions.
    pub partitions: Vec<PartitionUpdate>,
}

/// The decision on one partition.
#[derive(Clone, Debug)]
pub struct PartitionUpdate {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// `None` from controllers that do not know topic ids.
    pub topic_id: Option<TopicId>,
    /// Leader, ISR, assignment.
    pub decision: LeadershipDecision,
}

impl ReplicaManager {
    /// Carries out a LeaderAndIsr request whose broker epoch has been checked. Returns a code for each partition, or
    /// one code for the whole request.
    pub async fn become_leader_or_follower(
        self: &Arc<Self>,
        update: LeaderAndIsrUpdate,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        let state_change = self.state_change.clone().lock_owned().await;
        let manager = self.clone();
        // This creates logs and writes epochs to disk, so it does not run on the runtime's threads.
        let work = blocking::spawn(move || manager.apply_leader_and_isr(state_change, update));
        work.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "a LeaderAndIsr request was abandoned");
            Err(ErrorCode::UnknownServerError)
        })
    }

    fn apply_leader_and_isr(
        self: &Arc<Self>,
        _state_change: OwnedMutexGuard<()>,
        update: LeaderAndIsrUpdate,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        self.admit_controller(update.controller_epoch)?;
        let mut codes = vec![ErrorCode::None; update.partitions.len()];
        let (mut to_lead, mut to_follow) = (Vec::new(), Vec::new());
        for (index, partition) in update.partitions.iter().enumerate() {
            match self.should_apply(partition) {
                Ok(true) if partition.decision.leader_and_isr.leader == self.broker_id() => {
                    to_lead.push(index)
                }
                Ok(true) => to_follow.push(index),
                Ok(false) => {}
                Err(code) => codes[index] = code,
            }
        }
        let mut change = LeadershipChange::default();
        let name = |index: usize| &update.partitions[index].topic_partition;
        self.fetchers.remove(to_lead.iter().map(|&index| name(index)));
        let to_lead = self.with_logs(&update.partitions, to_lead, &mut codes);
        let led = at_once(&to_lead, |(index, log)| {
            self.make_leader(&update.partitions[*index], Arc::clone(log))
        });
        for ((index, _), result) in to_lead.into_iter().zip(led) {
            match result {
                Ok(Some(epoch)) => change.leaders.push((name(index).clone(), epoch)),
                Ok(None) => {}
                Err(code) => codes[index] = code,
            }
        }
        let mut assignments = Vec::new();
        let to_follow = self.with_logs(&update.partitions, to_follow, &mut codes);
        let following = at_once(&to_follow, |(index, log)| {
            self.make_follower(&update.partitions[*index], Arc::clone(log))
        });
        for ((index, _), result) in to_follow.into_iter().zip(following) {
            match result {
                Ok(Some(assignment)) => {
                    change.followers.push((name(index).clone(), assignment.epoch));
                    assignments.push(assignment);
                }
                Ok(None) => {}
                Err(code) => codes[index] = code,
            }
        }
        self.fetchers.assign(assignments);
        for partition in &update.partitions {
            self.log_dirs.resume_move(&partition.topic_partition);
        }
        self.start_high_watermark_checkpoint();
        self.tell_leadership_change(&change);
        let names = update
            .partitions
            .into_iter()
            .map(|partition| partition.topic_partition);
        Ok(names.zip(codes).collect())
    }

    /// Whether a decision must be carried out; `Ok(false)` if the broker has already done everything in it.
    fn should_apply(&self, update: &PartitionUpdate) -> Result<bool, ErrorCode> {
        let name = &update.topic_partition;
        let hosted = self.partitions.get(name);
        let (leader_epoch, log) = match &hosted {
            Some(HostedPartition::Offline) => return Err(ErrorCode::KafkaStorageError),
            Some(HostedPartition::Online(partition)) => (partition.leader_and_epoch().1, partition.log()),
            None => (-1, None),
        };
        let log = log.or_else(|| self.log_manager.get_log(name));
        let log_topic_id = log.as_ref().and_then(|log| log.topic_id());
        if let (Some(requested), Some(found)) = (update.topic_id, log_topic_id)
            && requested != found
        {
            tracing::error!(partition = %name, %requested, %found, "the log belongs to another topic of this name");
            return Err(ErrorCode::InconsistentTopicId);
        }
        let decided = &update.decision;
        if decided.leader_and_isr.leader_epoch > leader_epoch {
            return if decided.assignment.replicas.contains(&self.broker_id()) {
                Ok(true)
            } else {
                tracing::warn!(partition = %name, "told to host a partition that is not assigned to this broker");
                Err(ErrorCode::UnknownTopicOrPartition)
            };
        }
        // The controller may give a topic its id without a new leader epoch.
        if decided.leader_and_isr.leader_epoch == leader_epoch
            && let (Some(id), None, Some(log)) = (update.topic_id, log_topic_id, log)
        {
            return log
                .assign_topic_id(id)
                .map(|()| false)
                .map_err(|error| self.failed(name, &error));
        }
        Err(ErrorCode::StaleControllerEpoch)
    }

    /// The logs of the partitions. A missing log is created and is durable on disk before the partition changes its
    /// role. Partitions whose log fails are left out, with their code.
    fn with_logs(
        &self,
        partitions: &[PartitionUpdate],
        indexes: Vec<usize>,
        codes: &mut [ErrorCode],
    ) -> Vec<(usize, Arc<UnifiedLog>)> {
        let logs = at_once(&indexes, |&index| self.log_for(&partitions[index]));
        self.log_manager.sync_created_logs();
        let mut found = Vec::with_capacity(indexes.len());
        for (index, log) in indexes.into_iter().zip(logs) {
            match log {
                Ok(log) => found.push((index, log)),
                Err(error) => codes[index] = self.failed(&partitions[index].topic_partition, &error),
            }
        }
        found
    }

    /// Makes this broker the leader, after its fetcher for the partition has been stopped. Returns the new leader
    /// epoch; `None` if the decision is outdated.
    fn make_leader(
        &self,
        update: &PartitionUpdate,
        log: Arc<UnifiedLog>,
    ) -> Result<Option<LeaderEpoch>, ErrorCode> {
        let name = &update.topic_partition;
        let partition = self.partitions.host(name);
        let snapshot = self.metadata.snapshot();
        let led = partition.become_leader(&update.decision, log, self.clock.monotonic_ms(), &snapshot);
        let effects = led.map_err(|error| self.failed(name, &error))?;
        Ok(effects.map(|effects| {
            self.apply(&partition, effects);
            let epoch = update.decision.leader_and_isr.leader_epoch;
            tracing::info!(partition = %name, epoch, isr = ?update.decision.leader_and_isr.isr, "leading");
            epoch
        }))
    }

    /// Makes this broker a follower. Returns the assignment for the fetcher; `None` if there is nothing new to fetch.
    fn make_follower(
        &self,
        update: &PartitionUpdate,
        log: Arc<UnifiedLog>,
    ) -> Result<Option<FetchAssignment>, ErrorCode> {
        let name = &update.topic_partition;
        let partition = self.partitions.host(name);
        let LeadershipDecision { leader_and_isr, .. } = &update.decision;
        let Some(leader) = self.address_of(leader_and_isr.leader) else {
            // The log is kept so that its high watermark stays in the checkpoint. The epoch is not stored, so that the
            // controller can send the same decision again when the leader is back (facts 13 and 31).
            tracing::warn!(partition = %name, leader = leader_and_isr.leader, "cannot follow a leader that is not alive");
            partition.set_log(log);
            return Ok(None);
        };
        let epoch = leader_and_isr.leader_epoch;
        if partition.become_follower(&update.decision, log) != Some(true) {
            return Ok(None);
        }
        self.delayed.wake_all_of(name);
        tracing::info!(partition = %name, epoch, leader = leader.id, "following");
        Ok(Some(FetchAssignment {
            partition,
            topic_id: update.topic_id,
            leader,
            epoch,
        }))
    }

    /// The log, created if necessary, with the checkpointed high watermark, which is limited to the offsets of the log
    /// (fact 56).
    fn log_for(&self, update: &PartitionUpdate) -> Result<Arc<UnifiedLog>, LogError> {
        let name = &update.topic_partition;
        let hosted = self.partitions.get(name);
        if let Some(HostedPartition::Online(partition)) = hosted
            && let Some(log) = partition.log()
        {
            if let (Some(id), None) = (update.topic_id, log.topic_id()) {
                log.assign_topic_id(id)?;
            }
            return Ok(log);
        }
        let config = (self.topic_configs)(&name.topic);
        let log =
            self.log_manager
                .get_or_create_log(name, update.topic_id, update.decision.is_new, config)?;
        self.log_manager.catch_up_with_config(&log, &*self.topic_configs);
        if let Some(high_watermark) = self.log_manager.checkpointed_high_watermark(name) {
            log.update_high_watermark(high_watermark);
        }
        Ok(log)
    }

    /// The address of a live broker on the inter-broker listener.
    pub(super) fn address_of(&self, broker: BrokerId) -> Option<BrokerAddress> {
        let snapshot = self.metadata.snapshot();
        let endpoint = snapshot.endpoint(broker, &self.config.inter_broker_listener_name)?;
        Some(BrokerAddress::new(broker, endpoint))
    }

    /// The code for a partition whose log returned an error. A failed log dir takes the partition offline.
    pub(super) fn failed(&self, name: &TopicPartition, error: &LogError) -> ErrorCode {
        tracing::error!(partition = %name, %error, "the partition cannot be served");
        if matches!(error, LogError::Storage { .. }) {
            self.mark_offline(name);
        }
        error_code(error)
    }

    /// Starts to checkpoint high watermarks. Before the first LeaderAndIsr no high watermark is known, and writing
    /// would empty the file (fact 31).
    fn start_high_watermark_checkpoint(self: &Arc<Self>) {
        if self.high_watermarks.begin() {
            self.spawn(|manager| async move { manager.high_watermarks.run().await });
        }
    }
}

/// Runs `work` for many partitions in parallel. The partitions are independent. Most of the time goes to fsync, and
/// many fsyncs at once take hardly longer than one.
fn at_once<T: Sync, R: Send>(partitions: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let runtime = tokio::runtime::Handle::current();
    parallel::map(partitions, THREADS, |partition| {
        let _entered = runtime.enter();
        work(partition)
    })
}

//! Leaders change their ISR through the controller. Kafka 3.9: `KafkaController.tryProcessAlterPartition`.

use std::collections::BTreeMap;

use tracing::{debug, info};

use super::context::ControllerContext;
use super::error::ControllerError;
use super::event::Reply;
use super::kafka_controller::Controller;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicId, TopicName, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderRecoveryState};
use crate::protocol::messages::alter_partition_request::PartitionData as RequestedPartition;
use crate::protocol::messages::alter_partition_response::{PartitionData, TopicData};
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// From this version on topics are named by id, and ineligible replicas have an error of their own.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 2;
/// From this version on the ISR comes with broker epochs; a ZooKeeper controller ignores them.
const FIRST_VERSION_WITH_BROKER_EPOCHS: i16 = 3;

type Outcomes = BTreeMap<TopicPartition, Result<LeaderAndIsr, ErrorCode>>;

impl Controller {
    /// Answers, and then completes the reassignments that waited for the new ISRs.
    pub(super) async fn process_alter_partition(
        &mut self,
        request: AlterPartitionRequest,
        version: i16,
        reply: Reply<AlterPartitionResponse>,
    ) -> Result<(), ControllerError> {
        if let Err(refusal) = self.check_alter_partition(&request) {
            info!(broker = request.broker_id.0, epoch = request.broker_epoch, error = %refusal,
                "refuses AlterPartition");
            let _ = reply.send(AlterPartitionResponse::default().with_error_code(refusal.code()));
            return Ok(());
        }
        let (wanted, unknown) = wanted_states(&self.context, &request, version);
        let outcomes = match self.alter_partitions(&wanted, version).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let response = AlterPartitionResponse::default().with_error_code(error.code().code());
                let _ = reply.send(response);
                return Err(error);
            }
        };
        let topics = response_topics(&self.context, &outcomes, version)
            .chain(unknown)
            .collect();
        let _ = reply.send(AlterPartitionResponse::default().with_topics(topics));
        let succeeded: Vec<_> = outcomes
            .into_iter()
            .filter(|(_, o)| o.is_ok())
            .map(|(p, _)| p)
            .collect();
        self.reassignments().maybe_complete(&succeeded).await
    }

    fn check_alter_partition(&self, request: &AlterPartitionRequest) -> Result<(), ErrorCode> {
        if !self.is_active() {
            return Err(ErrorCode::NotController);
        }
        match self.context.broker_epoch(request.broker_id.0) {
            Some(epoch) if epoch == request.broker_epoch => Ok(()),
            _ => Err(ErrorCode::StaleBrokerEpoch),
        }
    }

    /// Writes what may be written and tells every broker of all the partitions named, also of those refused: their
    /// leaders may have missed something.
    async fn alter_partitions(
        &mut self,
        wanted: &BTreeMap<TopicPartition, LeaderAndIsr>,
        version: i16,
    ) -> Result<Outcomes, ControllerError> {
        let (mut outcomes, mut updates) = (Outcomes::new(), Vec::new());
        for (partition, wanted) in wanted {
            match decide(&self.context, partition, wanted, version) {
                Decision::Write => updates.push((partition.clone(), wanted.clone())),
                Decision::AlreadyWritten(state) => drop(outcomes.insert(partition.clone(), Ok(state))),
                Decision::Refuse(error) => {
                    info!(%partition, ?wanted, %error, "refuses another isr");
                    outcomes.insert(partition.clone(), Err(error));
                }
            }
        }
        let written = self.zk.update_leader_and_isr(self.context.epoch, updates).await?;
        for (partition, result) in written.finished {
            match result {
                // Answered with the epoch that the write brought, not with one that was guessed (fact 20).
                Ok(state) => {
                    debug!(%partition, isr = ?state.isr, partition_epoch = state.partition_epoch, "isr changed");
                    self.context.set_own_leadership(&partition, state.clone());
                    outcomes.insert(partition, Ok(state));
                }
                Err(error) => {
                    info!(%partition, %error, "failed to write another isr");
                    outcomes.insert(partition, Err(ErrorCode::UnknownServerError));
                }
            }
        }
        // What we hold is older than what stands in ZooKeeper: the next request must find it (fact 21).
        self.machines().reload_leadership(&written.to_retry).await?;
        for partition in written.to_retry {
            outcomes.insert(partition, Err(ErrorCode::InvalidUpdateVersion));
        }
        let partitions: Vec<_> = wanted.keys().cloned().collect();
        self.machines().send_update_metadata_to_all(&partitions);
        Ok(outcomes)
    }
}

/// What the leader wants by partition, and the answer for topics whose id nobody knows.
fn wanted_states(
    context: &ControllerContext,
    request: &AlterPartitionRequest,
    version: i16,
) -> (BTreeMap<TopicPartition, LeaderAndIsr>, Vec<TopicData>) {
    let (mut wanted, mut unknown) = (BTreeMap::new(), Vec::new());
    for topic in &request.topics {
        let name = if version >= FIRST_VERSION_WITH_TOPIC_IDS {
            context.topic_name(topic.topic_id).cloned()
        } else {
            Some(TopicName::from(topic.topic_name.as_str()))
        };
        let Some(name) = name else {
            let partitions = topic.partitions.iter().map(|p| {
                PartitionData::default()
                    .with_partition_index(p.partition_index)
                    .with_error_code(ErrorCode::UnknownTopicId.code())
            });
            let partitions = partitions.collect();
            unknown.push(
                TopicData::default()
                    .with_topic_id(topic.topic_id)
                    .with_partitions(partitions),
            );
            continue;
        };
        for partition in &topic.partitions {
            let state = LeaderAndIsr {
                leader: request.broker_id.0,
                leader_epoch: partition.leader_epoch,
                isr: new_isr(partition, version),
                // An unknown number is refused as a recovery that never ends would be.
                recovery_state: LeaderRecoveryState::from_i8(partition.leader_recovery_state)
                    .unwrap_or(LeaderRecoveryState::Recovering),
                partition_epoch: partition.partition_epoch,
            };
            wanted.insert(
                TopicPartition::new(name.clone(), partition.partition_index),
                state,
            );
        }
    }
    (wanted, unknown)
}

fn new_isr(partition: &RequestedPartition, version: i16) -> Vec<i32> {
    if version >= FIRST_VERSION_WITH_BROKER_EPOCHS {
        partition
            .new_isr_with_epochs
            .iter()
            .map(|b| b.broker_id.0)
            .collect()
    } else {
        partition.new_isr.iter().map(|b| b.0).collect()
    }
}

enum Decision {
    Write,
    AlreadyWritten(LeaderAndIsr),
    Refuse(ErrorCode),
}

/// The checks in Kafka's order. That the state is as wanted already comes before any fence by partition epoch:
/// the leader may be repeating a request whose answer it never got (fact 18).
fn decide(
    context: &ControllerContext,
    partition: &TopicPartition,
    wanted: &LeaderAndIsr,
    version: i16,
) -> Decision {
    use LeaderRecoveryState::{Recovered, Recovering};
    let Some(leadership) = context.leadership(partition) else {
        return Decision::Refuse(ErrorCode::UnknownTopicOrPartition);
    };
    let current = &leadership.leader_and_isr;
    if wanted.partition_epoch > current.partition_epoch || wanted.leader_epoch > current.leader_epoch {
        // The leader knows more than we do: we are a controller of the past.
        return Decision::Refuse(ErrorCode::NotController);
    }
    if wanted.leader_epoch < current.leader_epoch {
        return Decision::Refuse(ErrorCode::FencedLeaderEpoch);
    }
    let at_current_epoch = LeaderAndIsr {
        partition_epoch: current.partition_epoch,
        ..wanted.clone()
    };
    if at_current_epoch == *current {
        return Decision::AlreadyWritten(current.clone());
    }
    if wanted.partition_epoch < current.partition_epoch {
        return Decision::Refuse(ErrorCode::InvalidUpdateVersion);
    }
    // Kafka 3.9's ZooKeeper controller takes the sender for the leader and its ISR for granted; with the epochs
    // right they always are, unless the sender is broken. Its KRaft controller refuses as we do.
    let leads = wanted.leader == current.leader && wanted.isr.contains(&wanted.leader);
    let recovers_with_others = wanted.recovery_state == Recovering && wanted.isr.len() > 1;
    let recovers_again = current.recovery_state == Recovered && wanted.recovery_state == Recovering;
    if !leads || recovers_with_others || recovers_again {
        return Decision::Refuse(ErrorCode::InvalidRequest);
    }
    if !wanted.isr.iter().all(|&r| context.is_live(r)) {
        // A broker that has left would be elected (fact 19).
        return Decision::Refuse(match version {
            FIRST_VERSION_WITH_TOPIC_IDS.. => ErrorCode::IneligibleReplica,
            _ => ErrorCode::OperationNotAttempted,
        });
    }
    Decision::Write
}

fn response_topics(
    context: &ControllerContext,
    outcomes: &Outcomes,
    version: i16,
) -> impl Iterator<Item = TopicData> + use<> {
    let mut topics: BTreeMap<TopicName, Vec<PartitionData>> = BTreeMap::new();
    for (partition, outcome) in outcomes {
        let data = PartitionData::default().with_partition_index(partition.partition);
        let data = match outcome {
            Ok(state) => data
                .with_leader_id(state.leader.into())
                .with_leader_epoch(state.leader_epoch)
                .with_isr(state.isr.iter().map(|&r| r.into()).collect())
                .with_leader_recovery_state(state.recovery_state as i8)
                .with_partition_epoch(state.partition_epoch),
            Err(error) => data.with_error_code(error.code()),
        };
        topics.entry(partition.topic.clone()).or_default().push(data);
    }
    let with_id = |(name, partitions): (TopicName, Vec<PartitionData>)| {
        let id: TopicId = context.topic_id(&name);
        (name, id, partitions)
    };
    let topics: Vec<_> = topics.into_iter().map(with_id).collect();
    topics.into_iter().map(move |(name, id, partitions)| {
        let topic = TopicData::default().with_partitions(partitions);
        if version >= FIRST_VERSION_WITH_TOPIC_IDS {
            topic.with_topic_id(id)
        } else {
            topic.with_topic_name(crate::protocol::StrBytes::from_string(name.to_string()).into())
        }
    })
}

//! AlterPartition: leaders ask the controller to change their ISRs. Kafka 3.9:
//! `KafkaController.tryProcessAlterPartition`.

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

/// The first version that names topics by id and has an error code for ineligible replicas.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 2;
/// The first version whose ISRs have broker epochs, which a ZooKeeper controller ignores.
const FIRST_VERSION_WITH_BROKER_EPOCHS: i16 = 3;

type Outcomes = BTreeMap<TopicPartition, Result<LeaderAndIsr, ErrorCode>>;

impl Controller {
    /// Replies, and then completes the reassignments that waited for the new ISRs.
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

    /// Writes the changes that pass the checks, and sends all brokers UpdateMetadata of all partitions of the request.
    /// Also of the refused ones, because their leaders may have missed a change.
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
                    info!(%partition, ?wanted, %error, "refuses a change of the isr");
                    outcomes.insert(partition.clone(), Err(error));
                }
            }
        }
        let written = self.zk.update_leader_and_isr(self.context.epoch, updates).await?;
        for (partition, result) in written.finished {
            match result {
                // The response has the partition epoch that ZooKeeper returned, not a computed one (fact 20).
                Ok(state) => {
                    debug!(%partition, isr = ?state.isr, partition_epoch = state.partition_epoch, "isr changed");
                    self.context.set_own_leadership(&partition, state.clone());
                    outcomes.insert(partition, Ok(state));
                }
                Err(error) => {
                    info!(%partition, %error, "failed to write a change of the isr");
                    outcomes.insert(partition, Err(ErrorCode::UnknownServerError));
                }
            }
        }
        // ZooKeeper has a newer state than the context. The leader's next request must find it (fact 21).
        self.machines().reload_leadership(&written.to_retry).await?;
        for partition in written.to_retry {
            outcomes.insert(partition, Err(ErrorCode::InvalidUpdateVersion));
        }
        let partitions: Vec<_> = wanted.keys().cloned().collect();
        self.machines().send_update_metadata_to_all(&partitions);
        Ok(outcomes)
    }
}

/// The requested states by partition, and the response for topics whose id is unknown.
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
                // An unknown number is refused in the same way as an invalid `Recovering`.
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

/// The decision about one partition of a request.
enum Decision {
    /// ZooKeeper gets the requested state.
    Write,
    /// ZooKeeper already has the requested state, with this partition epoch.
    AlreadyWritten(LeaderAndIsr),
    /// The partition gets this error.
    Refuse(ErrorCode),
}

/// Checks a requested state, in Kafka's order. The check whether the state is already written comes before that of the
/// partition epoch: the leader may repeat a request whose response was lost (fact 18).
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
        // The leader has a newer state than this controller, so another broker is the controller.
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
    // Kafka 3.9's ZooKeeper controller does not check that the sender is the leader and in the ISR, because with valid
    // epochs it always is, unless it has a fault. Its KRaft controller refuses.
    let leads = wanted.leader == current.leader && wanted.isr.contains(&wanted.leader);
    let recovers_with_others = wanted.recovery_state == Recovering && wanted.isr.len() > 1;
    let recovers_again = current.recovery_state == Recovered && wanted.recovery_state == Recovering;
    if !leads || recovers_with_others || recovers_again {
        return Decision::Refuse(ErrorCode::InvalidRequest);
    }
    if !wanted.isr.iter().all(|&r| context.is_live(r)) {
        // The next election could choose a broker that is not live (fact 19).
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

//! Elects leaders on request and to balance them. Kafka 3.9: `KafkaController.onReplicaElection`,
//! `checkAndTriggerAutoLeaderRebalance`.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::admin_request::{ElectionResults, ElectionType};
use super::context::ControllerContext;
use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::partition_state_machine::{ElectedLeaders, StateChangeError};
use super::state_machines::StateMachines;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, NO_BROKER, TopicPartition};
use crate::common::leader_and_isr::LeaderIsrAndControllerEpoch;

/// The source of a request for an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElectionTrigger {
    /// The periodic check of the leader balance.
    Auto,
    /// `/admin/preferred_replica_election`.
    Znode,
    /// An ElectLeaders request.
    AdminClient,
}

/// Elects preferred leaders on brokers that lead too few of the partitions whose preferred leader they are.
pub(super) async fn balance_leaders(machines: &mut StateMachines<'_>) -> Result<(), ControllerError> {
    let mut by_preferred: BTreeMap<BrokerId, Vec<TopicPartition>> = BTreeMap::new();
    for partition in machines.context.all_partitions() {
        if !machines.context.is_queued_for_deletion(&partition.topic)
            && let Some(&preferred) = machines.context.replicas(&partition).first()
        {
            by_preferred.entry(preferred).or_default().push(partition);
        }
    }
    let allowed = f64::from(machines.config.leader_imbalance_per_broker_percentage) / 100.0;
    for (preferred, partitions) in by_preferred {
        let total = partitions.len();
        let led_by_another = |p: &TopicPartition| machines.context.leader(p).is_some_and(|l| l != preferred);
        let mut elsewhere: Vec<_> = partitions.into_iter().filter(led_by_another).collect();
        let imbalance = elsewhere.len() as f64 / total as f64;
        if imbalance <= allowed {
            continue;
        }
        elsewhere.retain(|p| can_preferred_replica_lead(machines.context, p, preferred));
        info!(
            broker = preferred,
            imbalance,
            partitions = elsewhere.len(),
            "rebalances leaders"
        );
        elect_leaders(
            machines,
            elsewhere,
            ElectionType::Preferred,
            ElectionTrigger::Auto,
        )
        .await?;
    }
    Ok(())
}

/// Elects leaders. An unclean leader is possible only if an administrator's request asks for it.
async fn elect_leaders(
    machines: &mut StateMachines<'_>,
    partitions: Vec<TopicPartition>,
    election: ElectionType,
    trigger: ElectionTrigger,
) -> Result<ElectedLeaders, ControllerError> {
    let strategy = match election {
        ElectionType::Preferred => ElectionStrategy::PreferredReplica,
        ElectionType::Unclean => ElectionStrategy::Offline {
            allow_unclean: trigger == ElectionTrigger::AdminClient,
        },
    };
    info!(
        ?election,
        ?trigger,
        partitions = partitions.len(),
        "elects leaders on request"
    );
    machines.bring_partitions_online(&partitions, strategy).await
}

/// Elects leaders for the partitions that need an election of this kind. Returns the result of each partition.
pub(super) async fn elect_where_needed(
    machines: &mut StateMachines<'_>,
    partitions: Vec<TopicPartition>,
    election: ElectionType,
    trigger: ElectionTrigger,
) -> Result<ElectionResults, ControllerError> {
    let (mut results, mut electable) = (ElectionResults::new(), Vec::new());
    for partition in partitions {
        match check_election(machines.context, &partition, election) {
            Ok(()) => electable.push(partition),
            Err(refusal) => drop(results.insert(partition, Err(refusal))),
        }
    }
    for (partition, elected) in elect_leaders(machines, electable, election, trigger).await? {
        let result = elected.map(|state| state.leader).map_err(|error| {
            warn!(%partition, ?election, %error, "failed to elect the requested leader");
            (error_code(&error, election), Some(message(&partition, &error)))
        });
        results.insert(partition, result);
    }
    Ok(results)
}

fn can_preferred_replica_lead(
    context: &ControllerContext,
    partition: &TopicPartition,
    preferred: BrokerId,
) -> bool {
    let in_sync = |l: &LeaderIsrAndControllerEpoch| l.leader_and_isr.isr.contains(&preferred);
    context.is_replica_online(preferred, partition) && context.leadership(partition).is_some_and(in_sync)
}

/// Checks whether a partition needs an election of this kind.
fn check_election(
    context: &ControllerContext,
    partition: &TopicPartition,
    election: ElectionType,
) -> Result<(), (ErrorCode, Option<String>)> {
    let refuse = |code, message: &str| Err((code, Some(message.to_owned())));
    let Some(&preferred) = context.replicas(partition).first() else {
        return refuse(
            ErrorCode::UnknownTopicOrPartition,
            "The partition does not exist.",
        );
    };
    if context.is_queued_for_deletion(&partition.topic) {
        return refuse(ErrorCode::InvalidTopicException, "The topic is being deleted");
    }
    let leader = context.leader(partition).unwrap_or(NO_BROKER);
    let needed = match election {
        ElectionType::Preferred => leader != preferred,
        ElectionType::Unclean => !context.is_live(leader),
    };
    if needed {
        return Ok(());
    }
    refuse(
        ErrorCode::ElectionNotNeeded,
        "Leader election not needed for topic partition.",
    )
}

fn error_code(error: &StateChangeError, election: ElectionType) -> ErrorCode {
    match (error, election) {
        (StateChangeError::Zk(_), _) => ErrorCode::UnknownServerError,
        (_, ElectionType::Preferred) => ErrorCode::PreferredLeaderNotAvailable,
        (_, ElectionType::Unclean) => ErrorCode::EligibleLeadersNotAvailable,
    }
}

/// The message for the administrator, in Kafka's words.
fn message(partition: &TopicPartition, error: &StateChangeError) -> String {
    let StateChangeError::NoEligibleLeader(strategy) = error else {
        return error.to_string();
    };
    let strategy = match strategy {
        ElectionStrategy::Offline { allow_unclean } => {
            format!("OfflinePartitionLeaderElectionStrategy({allow_unclean})")
        }
        ElectionStrategy::Reassign => "ReassignPartitionLeaderElectionStrategy".to_owned(),
        ElectionStrategy::PreferredReplica => "PreferredReplicaPartitionLeaderElectionStrategy".to_owned(),
        ElectionStrategy::ControlledShutdown => {
            "ControlledShutdownPartitionLeaderElectionStrategy".to_owned()
        }
    };
    format!("Failed to elect leader for partition {partition} under strategy {strategy}")
}

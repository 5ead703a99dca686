//! The choice of a partition's leader. Pure: no ZooKeeper, no clock, no metrics. Kafka 3.9: `Election`,
//! `PartitionLeaderElectionAlgorithms`.

use std::collections::BTreeSet;

use crate::common::ids::BrokerId;
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderRecoveryState, ReplicaAssignment};

/// The reason for an election, which decides which replicas are eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionStrategy {
    /// The partition has no live leader.
    Offline {
        /// Whether a replica outside the ISR is eligible if no replica in the ISR is online.
        allow_unclean: bool,
    },
    /// A reassignment is complete and the leader is not one of the target replicas.
    Reassign,
    /// The first replica of the assignment should lead.
    PreferredReplica,
    /// The leader's broker is shutting down.
    ControlledShutdown,
}

/// The input of an election.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// The partition's assignment.
    pub assignment: &'a ReplicaAssignment,
    /// The partition's leader and ISR.
    pub state: &'a LeaderAndIsr,
    /// Brokers of the assignment and the ISR whose replica serves (see
    /// [`super::context::ControllerContext::is_replica_serving`]).
    pub serving: &'a BTreeSet<BrokerId>,
    /// Brokers that are shutting down.
    pub shutting_down: &'a BTreeSet<BrokerId>,
}

/// The result of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionResult {
    /// The state to write, with the next leader epoch; `None` if no replica is eligible.
    pub elected: Option<LeaderAndIsr>,
    /// The brokers that get a LeaderAndIsr.
    pub recipients: Vec<BrokerId>,
    /// Whether the new leader is not in the ISR: records may be lost.
    pub unclean: bool,
}

/// Elects a leader.
pub fn elect(strategy: ElectionStrategy, candidates: Candidates<'_>) -> ElectionResult {
    match strategy {
        ElectionStrategy::Offline { allow_unclean } => elect_offline(allow_unclean, candidates),
        ElectionStrategy::Reassign => {
            let targets = candidates.assignment.target_replicas();
            let leader = targets.iter().copied().find(|&id| candidates.is_eligible(id));
            candidates.keeping_isr(leader, targets)
        }
        ElectionStrategy::PreferredReplica => {
            let replicas = &candidates.assignment.replicas;
            let leader = replicas.first().copied().filter(|&id| candidates.is_eligible(id));
            candidates.keeping_isr(leader, replicas.clone())
        }
        ElectionStrategy::ControlledShutdown => elect_for_controlled_shutdown(candidates),
    }
}

fn elect_offline(allow_unclean: bool, candidates: Candidates<'_>) -> ElectionResult {
    let replicas = &candidates.assignment.replicas;
    let recipients: Vec<_> = replicas
        .iter()
        .copied()
        .filter(|&id| candidates.is_online(id))
        .collect();
    let state = candidates.state;
    if let Some(leader) = replicas.iter().copied().find(|&id| candidates.is_eligible(id)) {
        let isr = state
            .isr
            .iter()
            .copied()
            .filter(|&id| candidates.is_online(id))
            .collect();
        return ElectionResult {
            elected: Some(state.new_leader_and_isr(leader, isr)),
            recipients,
            unclean: false,
        };
    }
    let unclean_leader = recipients.first().copied().filter(|_| allow_unclean);
    let elected = unclean_leader.map(|leader| LeaderAndIsr {
        recovery_state: LeaderRecoveryState::Recovering,
        ..state.new_leader_and_isr(leader, vec![leader])
    });
    ElectionResult {
        unclean: elected.is_some(),
        elected,
        recipients,
    }
}

/// The brokers that shut down are recipients too, so that the old leader becomes a follower (fact 22).
fn elect_for_controlled_shutdown(candidates: Candidates<'_>) -> ElectionResult {
    let replicas = &candidates.assignment.replicas;
    let leader = replicas.iter().copied().find(|&id| candidates.is_eligible(id));
    let stays = |id: &BrokerId| !candidates.shutting_down.contains(id);
    let isr: Vec<_> = candidates.state.isr.iter().copied().filter(stays).collect();
    ElectionResult {
        elected: leader.map(|leader| candidates.state.new_leader_and_isr(leader, isr)),
        recipients: replicas
            .iter()
            .copied()
            .filter(|id| candidates.serving.contains(id))
            .collect(),
        unclean: false,
    }
}

impl Candidates<'_> {
    fn is_online(&self, id: BrokerId) -> bool {
        self.serving.contains(&id) && !self.shutting_down.contains(&id)
    }

    fn is_eligible(&self, id: BrokerId) -> bool {
        self.is_online(id) && self.state.isr.contains(&id)
    }

    fn keeping_isr(&self, leader: Option<BrokerId>, recipients: Vec<BrokerId>) -> ElectionResult {
        ElectionResult {
            elected: leader.map(|leader| self.state.new_leader_and_isr(leader, self.state.isr.clone())),
            recipients,
            unclean: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ElectionStrategy::{ControlledShutdown, Offline, PreferredReplica, Reassign};

    const CLEAN: ElectionStrategy = Offline { allow_unclean: false };
    const UNCLEAN: ElectionStrategy = Offline { allow_unclean: true };

    struct Case {
        what: &'static str,
        strategy: ElectionStrategy,
        replicas: &'static [BrokerId],
        adding: &'static [BrokerId],
        removing: &'static [BrokerId],
        isr: &'static [BrokerId],
        serving: &'static [BrokerId],
        shutting_down: &'static [BrokerId],
        /// Leader and ISR.
        elected: Option<(BrokerId, &'static [BrokerId])>,
        recipients: &'static [BrokerId],
        unclean: bool,
    }

    const BASE: Case = Case {
        what: "",
        strategy: CLEAN,
        replicas: &[1, 2, 3],
        adding: &[],
        removing: &[],
        isr: &[1, 2, 3],
        serving: &[1, 2, 3],
        shutting_down: &[],
        elected: None,
        recipients: &[],
        unclean: false,
    };

    const CASES: &[Case] = &[
        Case {
            what: "the first replica that is online and in sync leads; offline ones leave the ISR, its order stays",
            replicas: &[1, 3, 2],
            isr: &[2, 1, 3],
            serving: &[2, 3],
            elected: Some((3, &[2, 3])),
            recipients: &[3, 2],
            ..BASE
        },
        Case {
            what: "a clean election never takes a replica that is out of sync",
            isr: &[1],
            serving: &[2, 3],
            recipients: &[2, 3],
            ..BASE
        },
        Case {
            what: "an unclean election prefers a replica in sync",
            strategy: UNCLEAN,
            isr: &[3],
            elected: Some((3, &[3])),
            recipients: &[1, 2, 3],
            ..BASE
        },
        Case {
            what: "an unclean election takes the first replica online and makes it the whole ISR",
            strategy: UNCLEAN,
            isr: &[1],
            serving: &[2, 3],
            elected: Some((2, &[2])),
            recipients: &[2, 3],
            unclean: true,
            ..BASE
        },
        Case {
            what: "no replica is online",
            strategy: UNCLEAN,
            serving: &[],
            ..BASE
        },
        Case {
            what: "a broker that shuts down is not online for an offline election",
            shutting_down: &[1],
            elected: Some((2, &[2, 3])),
            recipients: &[2, 3],
            ..BASE
        },
        Case {
            what: "a reassignment elects among the targets only and tells all of them",
            strategy: Reassign,
            replicas: &[4, 5, 1, 2],
            adding: &[4, 5],
            removing: &[1, 2],
            isr: &[1, 2, 5, 4],
            serving: &[1, 2, 5],
            elected: Some((5, &[1, 2, 5, 4])),
            recipients: &[4, 5],
            ..BASE
        },
        Case {
            what: "a reassignment needs a target in sync",
            strategy: Reassign,
            replicas: &[4, 1],
            adding: &[4],
            removing: &[1],
            isr: &[1],
            serving: &[1, 4],
            recipients: &[4],
            ..BASE
        },
        Case {
            what: "the preferred leader is the first replica",
            strategy: PreferredReplica,
            isr: &[3, 1],
            elected: Some((1, &[3, 1])),
            recipients: &[1, 2, 3],
            ..BASE
        },
        Case {
            what: "the preferred leader must be in sync",
            strategy: PreferredReplica,
            isr: &[2, 3],
            recipients: &[1, 2, 3],
            ..BASE
        },
        Case {
            what: "the preferred leader must be online",
            strategy: PreferredReplica,
            serving: &[2, 3],
            recipients: &[1, 2, 3],
            ..BASE
        },
        Case {
            what: "a controlled shutdown takes the broker that shuts down out of the ISR and tells it too",
            strategy: ControlledShutdown,
            shutting_down: &[1],
            elected: Some((2, &[2, 3])),
            recipients: &[1, 2, 3],
            ..BASE
        },
        Case {
            what: "a controlled shutdown leaves dead brokers in the ISR: their removal is another event",
            strategy: ControlledShutdown,
            serving: &[1, 3],
            shutting_down: &[1],
            elected: Some((3, &[2, 3])),
            recipients: &[1, 3],
            ..BASE
        },
        Case {
            what: "a controlled shutdown of the last broker in sync elects no leader",
            strategy: ControlledShutdown,
            isr: &[1],
            shutting_down: &[1],
            recipients: &[1, 2, 3],
            ..BASE
        },
    ];

    #[test]
    fn every_strategy_elects_the_leader_that_kafka_elects() {
        for case in CASES {
            let assignment = ReplicaAssignment {
                replicas: case.replicas.to_vec(),
                adding: case.adding.to_vec(),
                removing: case.removing.to_vec(),
            };
            let state = LeaderAndIsr {
                leader_epoch: 4,
                partition_epoch: 9,
                ..LeaderAndIsr::initial(1, case.isr.to_vec())
            };
            let result = elect(
                case.strategy,
                Candidates {
                    assignment: &assignment,
                    state: &state,
                    serving: &case.serving.iter().copied().collect(),
                    shutting_down: &case.shutting_down.iter().copied().collect(),
                },
            );
            let elected = result.elected.as_ref().map(|s| (s.leader, &*s.isr));
            assert_eq!(elected, case.elected, "{}", case.what);
            assert_eq!(result.recipients, case.recipients, "{}", case.what);
            assert_eq!(result.unclean, case.unclean, "{}", case.what);
            if let Some(state) = result.elected {
                assert_eq!(
                    (state.leader_epoch, state.partition_epoch),
                    (5, 9),
                    "{}",
                    case.what
                );
                let recovering = state.recovery_state == LeaderRecoveryState::Recovering;
                assert_eq!(recovering, case.unclean, "{}", case.what);
            }
        }
    }

    #[test]
    fn a_recovering_partition_keeps_recovering_through_a_clean_election() {
        let assignment = ReplicaAssignment::of(vec![1]);
        let state = LeaderAndIsr {
            recovery_state: LeaderRecoveryState::Recovering,
            ..LeaderAndIsr::initial(-1, vec![1])
        };
        let candidates = Candidates {
            assignment: &assignment,
            state: &state,
            serving: &BTreeSet::from([1]),
            shutting_down: &BTreeSet::new(),
        };
        let elected = elect(CLEAN, candidates).elected.map(|s| s.recovery_state);
        assert_eq!(elected, Some(LeaderRecoveryState::Recovering));
    }
}

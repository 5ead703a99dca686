//! Chooses the brokers for the replicas of new partitions, without I/O. Kafka 3.9: `AdminUtils`.
//!
//! The first replicas of the partitions are placed on the brokers in turn, from a random start. The other replicas of a
//! partition are placed at a distance that grows by one with each round, so that the followers of a leader's partitions
//! are spread over all other brokers. With racks, the brokers are first ordered so that neighbours are on different
//! racks. Then a broker is skipped while its rack already has a replica and another rack has none.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng as _;

use super::error::AdminError;
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;

/// A broker on which replicas can be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignableBroker {
    /// Its id.
    pub id: BrokerId,
    /// Its `broker.rack`.
    pub rack: Option<String>,
}

/// The start of the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The index of the broker that gets the first replica of partition 0.
    pub broker: usize,
    /// The distance from the first replica to the second one in the first round.
    pub shift: usize,
}

impl Start {
    /// A random start, so that the topics of a cluster do not all start at the same broker.
    pub fn random(brokers: usize) -> Self {
        let any = || rand::rng().random_range(0..brokers.max(1));
        Self {
            broker: any(),
            shift: any(),
        }
    }

    /// A start at this broker.
    pub fn at(index: usize) -> Self {
        Self {
            broker: index,
            shift: index,
        }
    }
}

/// The replicas for `count` partitions from number `first` on, the preferred leader first. `brokers` is ordered by id.
pub fn assign_replicas(
    brokers: &[AssignableBroker],
    first: i32,
    count: i32,
    replication_factor: i16,
    start: Start,
) -> Result<BTreeMap<i32, Vec<BrokerId>>, AdminError> {
    if count <= 0 {
        return Err(AdminError::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions must be larger than 0.",
        ));
    }
    let Some(replicas) = usize::try_from(replication_factor).ok().filter(|n| *n > 0) else {
        return Err(AdminError::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0.",
        ));
    };
    if replicas > brokers.len() {
        let message = format!(
            "Replication factor: {replicas} larger than available brokers: {}.",
            brokers.len()
        );
        return Err(AdminError::new(ErrorCode::InvalidReplicationFactor, message));
    }
    let ring = Ring::new(brokers)?;
    let mut shift = start.shift;
    let partitions = (first..first.saturating_add(count)).map(|partition| {
        let number = partition as usize;
        if number > 0 && number.is_multiple_of(brokers.len()) {
            shift += 1;
        }
        (partition, ring.replicas(number + start.broker, shift, replicas))
    });
    Ok(partitions.collect())
}

/// The brokers in the order in which the rounds visit them.
struct Ring<'a> {
    brokers: Vec<&'a AssignableBroker>,
    /// Number of racks; 0 if racks do not matter.
    racks: usize,
}

impl<'a> Ring<'a> {
    fn new(brokers: &'a [AssignableBroker]) -> Result<Self, AdminError> {
        let mut by_rack: BTreeMap<&str, Vec<&AssignableBroker>> = BTreeMap::new();
        for broker in brokers {
            if let Some(rack) = &broker.rack {
                by_rack.entry(rack).or_default().push(broker);
            }
        }
        let with_rack: usize = by_rack.values().map(Vec::len).sum();
        if with_rack == 0 {
            let brokers = brokers.iter().collect();
            return Ok(Self { brokers, racks: 0 });
        }
        if with_rack < brokers.len() {
            return Err(AdminError::new(
                ErrorCode::UnknownServerError,
                "some brokers have a rack and some have none, so that replicas cannot be spread over racks",
            ));
        }
        let racks = by_rack.len();
        let longest = by_rack.values().map(Vec::len).max().unwrap_or(0);
        let rounds = (0..longest).flat_map(|round| by_rack.values().filter_map(move |rack| rack.get(round)));
        let brokers = rounds.copied().collect();
        Ok(Self { brokers, racks })
    }

    /// The replicas of one partition. Its first replica is on the broker with index `leader`, counted round the ring.
    fn replicas(&self, leader: usize, shift: usize, count: usize) -> Vec<BrokerId> {
        let size = self.brokers.len();
        let leader = leader % size;
        let shift = if self.racks == 0 {
            shift
        } else {
            shift * self.racks
        };
        let mut chosen = vec![self.brokers[leader]];
        let followers = (0..).map(|step| {
            // The distance goes round the ring and never reaches the leader.
            let distance = 1 + (shift + step) % (size - 1).max(1);
            self.brokers[(leader + distance) % size]
        });
        let mut followers = followers.take(size * size);
        while chosen.len() < count {
            match followers.find(|broker| self.is_eligible(broker, &chosen)) {
                Some(broker) => chosen.push(broker),
                None => unreachable!("{count} replicas fit on {size} brokers"),
            }
        }
        chosen.iter().map(|broker| broker.id).collect()
    }

    fn is_eligible(&self, broker: &AssignableBroker, chosen: &[&AssignableBroker]) -> bool {
        if chosen.iter().any(|c| c.id == broker.id) {
            return false;
        }
        let racks: BTreeSet<_> = chosen.iter().map(|c| &c.rack).collect();
        self.racks == 0 || racks.len() == self.racks || !racks.contains(&broker.rack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(racks: &[(BrokerId, &str)]) -> Vec<AssignableBroker> {
        let broker = |&(id, rack): &(BrokerId, &str)| AssignableBroker {
            id,
            rack: Some(rack.to_string()).filter(|r| !r.is_empty()),
        };
        racks.iter().map(broker).collect()
    }

    fn assigned(brokers: &[AssignableBroker], count: i32, factor: i16, start: usize) -> Vec<Vec<BrokerId>> {
        let assignment = assign_replicas(brokers, 0, count, factor, Start::at(start)).unwrap();
        assignment.into_values().collect()
    }

    /// The table in the documentation of Kafka's algorithm: ten partitions with three replicas on five brokers.
    #[test]
    fn without_racks_replicas_go_round_with_a_growing_distance() {
        let five = brokers(&[(0, ""), (1, ""), (2, ""), (3, ""), (4, "")]);
        let expected = [
            [0, 1, 2],
            [1, 2, 3],
            [2, 3, 4],
            [3, 4, 0],
            [4, 0, 1],
            [0, 2, 3],
            [1, 3, 4],
            [2, 4, 0],
            [3, 0, 1],
            [4, 1, 2],
        ];
        assert_eq!(assigned(&five, 10, 3, 0), expected);
    }

    /// The example in the documentation of Kafka's algorithm: six brokers on three racks.
    #[test]
    fn with_racks_replicas_are_on_different_ones() {
        let six = brokers(&[(0, "1"), (1, "3"), (2, "3"), (3, "2"), (4, "2"), (5, "1")]);
        let expected = [[0, 3, 1], [3, 1, 5], [1, 5, 4], [5, 4, 2], [4, 2, 0], [2, 0, 3]];
        assert_eq!(assigned(&six, 6, 3, 0), expected);
        let racks: BTreeMap<BrokerId, &str> =
            six.iter().map(|b| (b.id, b.rack.as_deref().unwrap())).collect();
        for start in 0..6 {
            for replicas in assigned(&six, 30, 3, start) {
                let used: BTreeSet<_> = replicas.iter().map(|r| racks[r]).collect();
                assert_eq!(used.len(), 3, "{replicas:?}");
            }
        }
    }

    #[test]
    fn leaders_and_replicas_are_spread_evenly() {
        let six = brokers(&[(0, "1"), (1, "2"), (2, "2"), (3, "3"), (4, "3"), (5, "1")]);
        let assignment = assigned(&six, 12, 3, 0);
        for id in 0..6 {
            assert_eq!(assignment.iter().filter(|r| r[0] == id).count(), 2, "leader {id}");
            assert_eq!(
                assignment.iter().flatten().filter(|r| **r == id).count(),
                6,
                "replicas of {id}"
            );
        }
    }

    #[test]
    fn more_replicas_than_racks_share_racks_but_never_a_broker() {
        let lopsided = brokers(&[(0, "1"), (1, "1"), (2, "1"), (3, "1"), (4, "2")]);
        for factor in 1..=5 {
            for replicas in assigned(&lopsided, 20, factor, 3) {
                let distinct: BTreeSet<_> = replicas.iter().collect();
                assert_eq!(distinct.len(), factor as usize, "{replicas:?}");
                assert!(factor == 1 || replicas.contains(&4), "{replicas:?}");
            }
        }
    }

    #[test]
    fn new_partitions_continue_where_the_old_ones_end() {
        let five = brokers(&[(0, ""), (1, ""), (2, ""), (3, ""), (4, "")]);
        let whole = assign_replicas(&five, 0, 8, 2, Start::at(0)).unwrap();
        let added = assign_replicas(&five, 3, 2, 2, Start::at(0)).unwrap();
        assert_eq!(added.keys().copied().collect::<Vec<_>>(), [3, 4]);
        assert!(
            added
                .iter()
                .all(|(partition, replicas)| whole[partition] == *replicas)
        );
    }

    #[test]
    fn impossible_wishes_are_refused() {
        let two = brokers(&[(0, ""), (1, "")]);
        let mixed = brokers(&[(0, "a"), (1, "")]);
        let cases = [
            (&two, 0, 1, ErrorCode::InvalidPartitions),
            (&two, -5, 1, ErrorCode::InvalidPartitions),
            (&two, 1, 0, ErrorCode::InvalidReplicationFactor),
            (&two, 1, -2, ErrorCode::InvalidReplicationFactor),
            (&two, 1, 3, ErrorCode::InvalidReplicationFactor),
            (&mixed, 1, 1, ErrorCode::UnknownServerError),
        ];
        for (brokers, count, factor, code) in cases {
            let error = assign_replicas(brokers, 0, count, factor, Start::at(0)).unwrap_err();
            assert_eq!(error.code, code, "{count} {factor}");
        }
        let one = brokers(&[(7, "")]);
        assert_eq!(assigned(&one, 3, 1, 0), [[7], [7], [7]]);
        assert_eq!(
            assign_replicas(&[], 0, 1, 1, Start::random(0)).unwrap_err().code,
            ErrorCode::InvalidReplicationFactor
        );
    }
}

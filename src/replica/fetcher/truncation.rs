//! Computes where a follower must truncate its log so that it becomes a prefix of the leader's log. Kafka 3.9:
//! `AbstractFetcherThread.getOffsetTruncationState`.

use crate::common::ids::{LeaderEpoch, Offset};

/// The offset to truncate to, after an answer with a diverging epoch. `leader` is the largest epoch of the leader's log
/// that is not after our last epoch, with its end in that log. `own` is the same for our log and the leader's epoch
/// ((-1, -1) if our log has no such epoch).
///
/// If our log has the leader's epoch, both logs have the same records up to the smaller end of that epoch. If not, all
/// our records of later epochs are truncated, and the next fetch compares again.
pub(super) fn truncation_offset(
    leader: (LeaderEpoch, Offset),
    own: (LeaderEpoch, Offset),
    log_end_offset: Offset,
) -> Offset {
    let (leader_epoch, leader_end) = leader;
    let (own_epoch, own_end) = own;
    let target = if own_epoch < 0 || own_end < 0 {
        leader_end
    } else if own_epoch != leader_epoch {
        own_end
    } else {
        own_end.min(leader_end)
    };
    target.min(log_end_offset).max(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_of_kip_595() {
        for (leader, own, end, expected, why) in [
            ((3, 50), (3, 60), 80, 50, "the leader's epoch 3 is shorter"),
            ((3, 70), (3, 60), 80, 60, "our epoch 3 is shorter"),
            (
                (3, 50),
                (2, 40),
                80,
                40,
                "we never saw epoch 3: back to the end of 2, then ask again",
            ),
            ((3, 50), (-1, -1), 80, 50, "we have no epochs"),
            ((3, 90), (-1, -1), 80, 80, "never beyond the end"),
            (
                (-1, -1),
                (-1, -1),
                80,
                0,
                "a leader that knows nothing leaves us nothing",
            ),
        ] {
            assert_eq!(truncation_offset(leader, own, end), expected, "{why}");
        }
    }

    /// A log, given as the epochs of its records.
    fn log() -> impl Strategy<Value = Vec<LeaderEpoch>> {
        prop::collection::vec(0..3_i32, 0..12).prop_map(|steps| {
            let mut epoch = 0;
            steps
                .into_iter()
                .map(|step| {
                    epoch += step;
                    epoch
                })
                .collect()
        })
    }

    /// Answers as the leader-epoch cache does: an epoch before the first one ends where the log starts. A leader's
    /// cache always has an epoch that is not before the one in a follower's request: its own.
    fn end_offset_for_epoch(log: &[LeaderEpoch], epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        match log.iter().rev().find(|&&e| e <= epoch) {
            Some(&found) => (found, log.iter().filter(|&&e| e <= found).count() as Offset),
            None => (epoch, 0),
        }
    }

    proptest! {
        /// Two logs share a prefix and then have different epochs. Fetching and truncating in turn ends when the
        /// follower has the whole common prefix and nothing else.
        #[test]
        fn truncation_ends_at_a_common_prefix(common in log(), leader_tail in log(), follower_tail in log()) {
            // An epoch has one leader, so the tails use different epochs, and all of them are later than the common
            // part.
            let base = common.last().copied().unwrap_or(0) + 1;
            let leader: Vec<_> = common.iter().copied().chain(leader_tail.iter().map(|e| base + 2 * e)).collect();
            let mut follower: Vec<_> =
                common.iter().copied().chain(follower_tail.iter().map(|e| base + 2 * e + 1)).collect();
            for _ in 0..64 {
                let Some(&last) = follower.last() else { break };
                let offered = end_offset_for_epoch(&leader, last);
                let diverges = offered.0 < last || offered.1 < follower.len() as Offset;
                if !diverges { break; }
                let own = end_offset_for_epoch(&follower, offered.0);
                let to = truncation_offset(offered, own, follower.len() as Offset);
                prop_assert!(to < follower.len() as Offset, "it makes progress");
                follower.truncate(to as usize);
            }
            prop_assert!(leader.starts_with(&follower));
            prop_assert!(follower.len() >= common.len());
        }
    }
}

//! Owns the fetcher's side of incremental fetch sessions (KIP-227): it decides what the next request contains. Kafka
//! 3.9: `FetchSessionHandler`.

use std::collections::BTreeMap;

use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use crate::replica::fetch_session::{INITIAL_EPOCH, INVALID_SESSION_ID, next_epoch};

/// The parameters of a fetch of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic_id: Option<TopicId>,
    pub(super) epoch: LeaderEpoch,
    pub(super) fetch_offset: Offset,
    pub(super) last_fetched_epoch: Option<LeaderEpoch>,
    pub(super) log_start_offset: Offset,
}

/// The next request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SessionFetch {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    /// Partitions that the leader's session does not have yet, or has with other values.
    pub(super) to_send: Vec<TopicPartition>,
    /// Partitions that the leader should forget, with the ids under which it knows them.
    pub(super) to_forget: Vec<(TopicPartition, Option<TopicId>)>,
}

/// The session with one leader.
#[derive(Debug)]
pub(super) struct FetchSessionHandler {
    session_id: i32,
    epoch: i32,
    /// The partitions in the leader's session, as of the last request.
    partitions: BTreeMap<TopicPartition, Wanted>,
}

impl Default for FetchSessionHandler {
    fn default() -> Self {
        Self {
            session_id: INVALID_SESSION_ID,
            epoch: INITIAL_EPOCH,
            partitions: BTreeMap::new(),
        }
    }
}

impl FetchSessionHandler {
    /// The next request for all of `wanted`. If a topic has got another id, the request sends it anew and forgets the
    /// old id.
    pub(super) fn next(&mut self, wanted: BTreeMap<TopicPartition, Wanted>) -> SessionFetch {
        let before = std::mem::take(&mut self.partitions);
        let full = self.epoch == INITIAL_EPOCH;
        let changed = |(name, now): &(&TopicPartition, &Wanted)| full || before.get(*name) != Some(*now);
        let to_send = wanted
            .iter()
            .filter(changed)
            .map(|(name, _)| name.clone())
            .collect();
        let gone = |(name, was): &(&TopicPartition, &Wanted)| {
            !full && wanted.get(*name).is_none_or(|now| now.topic_id != was.topic_id)
        };
        let to_forget = before
            .iter()
            .filter(gone)
            .map(|(name, was)| (name.clone(), was.topic_id))
            .collect();
        self.partitions = wanted;
        SessionFetch {
            session_id: self.session_id,
            session_epoch: self.epoch,
            to_send,
            to_forget,
        }
    }

    /// The parameters of a partition in the request that is in flight.
    pub(super) fn requested(&self, partition: &TopicPartition) -> Option<&Wanted> {
        self.partitions.get(partition)
    }

    /// All partitions in the request that is in flight.
    pub(super) fn requested_partitions(&self) -> impl Iterator<Item = (&TopicPartition, &Wanted)> {
        self.partitions.iter()
    }

    /// Records a response that names `partitions`. Returns false if the response cannot be used.
    pub(super) fn on_response<'a>(
        &mut self,
        error: ErrorCode,
        session_id: i32,
        mut partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> bool {
        if error == ErrorCode::FetchSessionIdNotFound {
            self.forget();
            return false;
        }
        if error.is_error() || !partitions.all(|name| self.partitions.contains_key(name)) {
            self.on_error();
            return false;
        }
        if session_id == INVALID_SESSION_ID {
            self.forget();
        } else if self.epoch == INITIAL_EPOCH {
            self.session_id = session_id;
            self.epoch = next_epoch(INITIAL_EPOCH);
        } else if session_id == self.session_id {
            self.epoch = next_epoch(self.epoch);
        } else {
            self.on_error();
            return false;
        }
        true
    }

    /// Records that no response came. The leader may have seen the request or not, so the next request closes this
    /// session and starts a new one.
    pub(super) fn on_error(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }

    fn forget(&mut self) {
        self.session_id = INVALID_SESSION_ID;
        self.epoch = INITIAL_EPOCH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(offset: Offset, id: u128) -> Wanted {
        Wanted {
            topic_id: Some(TopicId::from_u128(id)),
            epoch: 1,
            fetch_offset: offset,
            last_fetched_epoch: None,
            log_start_offset: 0,
        }
    }

    fn name(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn all(offsets: &[(i32, Offset)]) -> BTreeMap<TopicPartition, Wanted> {
        offsets
            .iter()
            .map(|&(partition, offset)| (name(partition), wanted(offset, 7)))
            .collect()
    }

    #[test]
    fn after_a_full_fetch_only_changes_are_sent() {
        let mut session = FetchSessionHandler::default();
        let first = session.next(all(&[(0, 0), (1, 0), (2, 0)]));
        assert_eq!(
            (first.session_id, first.session_epoch, first.to_send.len()),
            (0, 0, 3)
        );
        assert!(session.on_response(ErrorCode::None, 99, [name(0)].iter()));
        let second = session.next(all(&[(0, 5), (1, 0), (3, 0)]));
        assert_eq!((second.session_id, second.session_epoch), (99, 1));
        assert_eq!(second.to_send, [name(0), name(3)]);
        assert_eq!(second.to_forget, [(name(2), Some(TopicId::from_u128(7)))]);
        assert!(session.on_response(ErrorCode::None, 99, [].iter()));
        let third = session.next(all(&[(0, 5), (1, 0), (3, 0)]));
        assert_eq!(
            (third.session_epoch, third.to_send.len(), third.to_forget.len()),
            (2, 0, 0)
        );
    }

    #[test]
    fn another_topic_id_is_a_replacement() {
        let mut session = FetchSessionHandler::default();
        session.next(all(&[(0, 0)]));
        assert!(session.on_response(ErrorCode::None, 99, [].iter()));
        let next = session.next([(name(0), wanted(0, 8))].into());
        assert_eq!(next.to_send, [name(0)]);
        assert_eq!(next.to_forget, [(name(0), Some(TopicId::from_u128(7)))]);
    }

    #[test]
    fn what_follows_each_kind_of_response() {
        let cases = [
            (ErrorCode::None, 99, 0, true, (99, 2)),
            (ErrorCode::None, 0, 0, true, (0, 0)),
            (ErrorCode::None, 98, 0, false, (99, 0)),
            (ErrorCode::None, 99, 5, false, (99, 0)),
            (ErrorCode::InvalidFetchSessionEpoch, 0, 0, false, (99, 0)),
            (ErrorCode::FetchSessionTopicIdError, 0, 0, false, (99, 0)),
            (ErrorCode::FetchSessionIdNotFound, 0, 0, false, (0, 0)),
        ];
        for (error, id, partition, useful, next) in cases {
            let mut session = FetchSessionHandler::default();
            session.next(all(&[(0, 0)]));
            assert!(session.on_response(ErrorCode::None, 99, [name(0)].iter()));
            session.next(all(&[(0, 1)]));
            assert_eq!(
                session.on_response(error, id, [name(partition)].iter()),
                useful,
                "{error} {id}"
            );
            let request = session.next(all(&[(0, 2)]));
            assert_eq!((request.session_id, request.session_epoch), next, "{error} {id}");
        }
    }
}

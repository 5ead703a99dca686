//! Owns one partition: its state and its log under one lock. Kafka 3.9: `Partition`.
//!
//! The lock is held while the log is written or searched, but never while a request is woken or sent.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

mod future;
pub mod read_replicas;

use super::isr_state::IsrProposal;
use super::partition_state::{AlterPartitionOutcome, LeadershipDecision, PartitionState};
use super::read::{FetchPartitionData, FollowerFetch, ReadRequest, diverging_epoch, error_code};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId, TopicPartition};
use crate::common::leader_and_isr::LeaderAndIsr;
use crate::log::{
    AppendError, AppendOrigin, FetchIsolation, LogAppendInfo, LogError, LogOffsetMetadata, UnifiedLog,
    Verification, VerificationGuard,
};
use crate::metadata::MetadataSnapshot;

/// The actions that the caller must take after the partition's lock is released.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The log has new records: fetches of followers may have something to return.
    pub log_end_advanced: bool,
    /// The high watermark moved: fetches of consumers and produce requests with acks=all may be complete.
    pub high_watermark_advanced: bool,
    /// The start of a log moved: requests to delete records may be complete.
    pub log_start_moved: bool,
    /// The proposal of another ISR for the controller.
    pub alter_partition: Option<IsrProposal>,
}

/// One partition on this broker.
pub struct Partition {
    topic_partition: TopicPartition,
    inner: Mutex<Inner>,
}

struct Inner {
    state: PartitionState,
    log: Option<Arc<UnifiedLog>>,
    /// The copy in another log dir that is to replace the log.
    future_log: Option<Arc<UnifiedLog>>,
}

impl Partition {
    /// Creates a partition without a log, before the controller has named it.
    pub fn new(
        topic_partition: TopicPartition,
        local_broker: BrokerId,
        replica_lag_time_max_ms: i64,
    ) -> Self {
        let state = PartitionState::new(local_broker, replica_lag_time_max_ms);
        Self {
            topic_partition,
            inner: Mutex::new(Inner {
                state,
                log: None,
                future_log: None,
            }),
        }
    }

    /// The topic and number of this partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// A copy of the state, for callers that need it without the lock.
    pub fn state(&self) -> PartitionState {
        self.inner.lock().state.clone()
    }

    /// The leader and its epoch; (-1, -1) before the controller has named them.
    pub fn leader_and_epoch(&self) -> (BrokerId, LeaderEpoch) {
        let inner = self.inner.lock();
        (inner.state.leader(), inner.state.leader_epoch())
    }

    /// Whether a broker is in the ISR that the controller last confirmed.
    pub fn is_in_sync(&self, broker: BrokerId) -> bool {
        self.inner.lock().state.isr().committed().contains(&broker)
    }

    /// Whether a reassignment is adding this broker's replica.
    pub fn is_adding_replica(&self, broker: BrokerId) -> bool {
        self.inner.lock().state.assignment().adding.contains(&broker)
    }

    /// The local log, of a leader or a follower.
    pub fn log(&self) -> Option<Arc<UnifiedLog>> {
        self.inner.lock().log.clone()
    }

    /// The topic id in the log's `partition.metadata`.
    pub fn topic_id(&self) -> Option<TopicId> {
        self.inner.lock().log.as_ref()?.topic_id()
    }

    /// The local log if this broker leads the partition.
    pub fn leader_log(&self) -> Result<Arc<UnifiedLog>, ErrorCode> {
        self.inner.lock().leader_log().cloned()
    }

    /// Gives the partition its log without a role, because its leader is not alive (fact 13). A partition that already
    /// has a log keeps it, here and in the methods below: the caller's log may have been replaced meanwhile.
    pub fn set_log(&self, log: Arc<UnifiedLog>) {
        self.inner.lock().log.get_or_insert(log);
    }

    /// Forgets role and log, because the replica is deleted or its log dir has failed.
    pub fn clear(&self) {
        let mut inner = self.inner.lock();
        inner.log = None;
        inner.future_log = None;
        inner.state.resign();
    }

    /// Makes this broker the leader. The start of a new epoch is written to disk before anything else changes, so that
    /// the controller's decision can be tried again after an error (facts 32 and 43). Returns `None` if the decision is
    /// outdated.
    pub fn become_leader(
        &self,
        decision: &LeadershipDecision,
        log: Arc<UnifiedLog>,
        now_ms: i64,
        snapshot: &MetadataSnapshot,
    ) -> Result<Option<Effects>, LogError> {
        let mut inner = self.inner.lock();
        if inner.state.is_outdated(decision) {
            return Ok(None);
        }
        let log = inner.log.clone().unwrap_or(log);
        let log_end_offset = log.log_end_offset();
        if inner.state.is_new_leader_epoch(decision) {
            log.assign_epoch_start_offset(decision.leader_and_isr.leader_epoch, log_end_offset)?;
        }
        inner.log = Some(log);
        inner.state.become_leader(decision, log_end_offset, now_ms);
        let high_watermark_advanced = inner.advance_high_watermark(now_ms, snapshot);
        Ok(Some(Effects {
            high_watermark_advanced,
            ..Effects::default()
        }))
    }

    /// Makes this broker a follower. Returns whether a new leader epoch started; `None` if the decision is outdated.
    pub fn become_follower(&self, decision: &LeadershipDecision, log: Arc<UnifiedLog>) -> Option<bool> {
        let mut inner = self.inner.lock();
        if inner.state.is_outdated(decision) {
            return None;
        }
        let is_new_epoch = inner.state.is_new_leader_epoch(decision);
        inner.log.get_or_insert(log);
        inner.state.become_follower(decision);
        Some(is_new_epoch)
    }

    /// Appends the records of a client or coordinator. Also returns the leader epoch of the append.
    pub fn append_as_leader(
        &self,
        records: Bytes,
        origin: AppendOrigin,
        verification: &Verification,
        required_acks: i16,
        now_ms: i64,
        snapshot: &MetadataSnapshot,
    ) -> Result<(LogAppendInfo, LeaderEpoch, Effects), AppendError> {
        let inner = self.inner.lock();
        let log = inner
            .leader_log()
            .map_err(|code| AppendError::new(code, "this broker does not lead the partition"))?;
        if required_acks == -1 && inner.state.is_under_min_isr(log.config().min_insync_replicas) {
            return Err(AppendError::new(
                ErrorCode::NotEnoughReplicas,
                "fewer replicas are in sync than min.insync.replicas demands",
            ));
        }
        let epoch = inner.state.leader_epoch();
        let info = log.append_verified_as_leader(records, epoch, origin, verification)?;
        let effects = Effects {
            log_end_advanced: !info.duplicate,
            high_watermark_advanced: inner.advance_high_watermark(now_ms, snapshot),
            ..Effects::default()
        };
        Ok((info, epoch, effects))
    }

    /// Starts to verify a transaction that a batch wants to open in the log; `None` if it is open already.
    pub fn begin_transaction_verification(
        &self,
        producer_id: ProducerId,
        epoch: i16,
        sequence: i32,
    ) -> Result<Option<VerificationGuard>, ErrorCode> {
        let log = self.leader_log()?;
        Ok(log.begin_transaction_verification(producer_id, epoch, sequence))
    }

    /// Whether enough replicas have the records up to `required_offset` (exclusive), which were appended in leader
    /// epoch `epoch`. `None` means not yet.
    pub fn check_enough_replicas(
        &self,
        required_offset: Offset,
        epoch: LeaderEpoch,
    ) -> Option<Result<(), ErrorCode>> {
        let inner = self.inner.lock();
        let log = match inner.leader_log() {
            Ok(log) if inner.state.has_led_since(epoch) => log,
            _ => return Some(Err(ErrorCode::NotLeaderOrFollower)),
        };
        if log.high_watermark() < required_offset {
            None
        } else if inner
            .state
            .may_be_under_min_isr_after_append(log.config().min_insync_replicas)
        {
            Some(Err(ErrorCode::NotEnoughReplicasAfterAppend))
        } else {
            Some(Ok(()))
        }
    }

    /// Reads records. On the first read of a follower's fetch (`note_follower`), it also records the follower's
    /// position.
    pub fn read(
        &self,
        request: &ReadRequest,
        note_follower: bool,
        now_ms: i64,
        snapshot: &MetadataSnapshot,
    ) -> Result<(FetchPartitionData, Effects), ErrorCode> {
        let mut inner = self.inner.lock();
        let log = inner.readable_log(request)?.clone();
        let mut data = FetchPartitionData {
            diverging_epoch: diverging_epoch(&log, request)?,
            ..FetchPartitionData::of_log(&log)
        };
        if data.diverging_epoch.is_some() {
            // The follower's recorded position does not change until it has truncated (fact 34).
            return Ok((data, Effects::default()));
        }
        let log_end_offset = log.log_end_offset();
        let read = log
            .read(
                request.fetch_offset,
                request.max_bytes,
                request.isolation,
                request.min_one_message,
            )
            .map_err(|e| error_code(&e))?;
        data.fetch_offset = Some(read.fetch_offset);
        data.records = read.records;
        data.first_entry_incomplete = read.first_entry_incomplete;
        data.aborted_transactions = read.aborted_transactions;
        let mut effects = Effects::default();
        if note_follower && let Some(follower) = request.follower {
            effects =
                inner.on_follower_fetch(follower, request.fetch_offset, log_end_offset, now_ms, snapshot);
            data.high_watermark = log.high_watermark();
            data.last_stable_offset = log.last_stable_offset();
        }
        Ok((data, effects))
    }

    /// The number of bytes that a waiting fetch would get now, counted from `from`, the end of its last check. `None`
    /// if the fetch must be answered at once, however many bytes it gets.
    pub fn bytes_available(
        &self,
        request: &ReadRequest,
        from: LogOffsetMetadata,
    ) -> Result<Option<u64>, ErrorCode> {
        let inner = self.inner.lock();
        let log = inner.readable_log(request)?;
        if diverging_epoch(log, request)?.is_some() {
            return Ok(None);
        }
        let end = match request.isolation {
            FetchIsolation::LogEnd => Ok(log.log_end_offset_metadata()),
            FetchIsolation::HighWatermark => log.high_watermark_metadata(),
            FetchIsolation::TxnCommitted => log.last_stable_offset_metadata(),
        }
        .map_err(|error| error_code(&error))?;
        Ok(match from.offset.cmp(&end.offset) {
            // `from` is beyond the offset that the reader may see. It is beyond the end of the log only if the log was
            // truncated.
            std::cmp::Ordering::Greater => (from.offset <= log.log_end_offset()).then_some(0),
            // After a roll, the same offset may be in the previous or in the next segment.
            std::cmp::Ordering::Equal => Some(0),
            std::cmp::Ordering::Less if from.segment_base_offset != end.segment_base_offset => None,
            std::cmp::Ordering::Less => Some(
                end.position
                    .saturating_sub(from.position)
                    .min(request.max_bytes as u64),
            ),
        })
    }

    /// The largest epoch that is not after `epoch`, and its end; (-1, -1) if it is not known.
    pub fn end_offset_for_epoch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
    ) -> Result<(LeaderEpoch, Offset), ErrorCode> {
        let inner = self.inner.lock();
        inner.state.check_leader_epoch(current_leader_epoch)?;
        Ok(inner.leader_log()?.end_offset_for_epoch(epoch))
    }

    /// The log for a search that takes long, with the leader epoch and its start at the time of this call.
    pub fn searchable_log(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        fetch_only_leader: bool,
    ) -> Result<(Arc<UnifiedLog>, LeaderEpoch, Option<Offset>), ErrorCode> {
        let inner = self.inner.lock();
        let log = inner.local_log(current_leader_epoch, fetch_only_leader)?.clone();
        Ok((
            log,
            inner.state.leader_epoch(),
            inner.state.leader_epoch_start_offset(),
        ))
    }

    /// Calls `work` with the log of a follower, if the broker still follows in the leader epoch `epoch`. `None` if not:
    /// the response for which the call was made is stale (facts 34 and 73).
    pub fn as_follower<T>(&self, epoch: LeaderEpoch, work: impl FnOnce(&UnifiedLog) -> T) -> Option<T> {
        let inner = self.inner.lock();
        if inner.state.is_leader() || inner.state.leader_epoch() != epoch {
            return None;
        }
        inner.log.as_deref().map(work)
    }

    /// Moves the start of the log to `offset`, or to the high watermark for -1. Returns the resolved offset and the low
    /// watermark. When the low watermark reaches that offset, no live replica has the records any more.
    pub fn delete_records(
        &self,
        offset: Offset,
        snapshot: &MetadataSnapshot,
    ) -> Result<(Offset, Offset), ErrorCode> {
        const HIGH_WATERMARK: Offset = -1;
        let inner = self.inner.lock();
        let log = inner.leader_log()?;
        if !log.config().cleanup_policy.delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let offset = match offset {
            HIGH_WATERMARK => log.high_watermark(),
            offset => offset,
        };
        if offset < 0 {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        log.maybe_increment_log_start_offset(offset)
            .map_err(|error| error_code(&error))?;
        Ok((offset, inner.low_watermark(snapshot)?))
    }

    /// The smallest log start offset of all live replicas and of the copy in another log dir.
    pub fn low_watermark(&self, snapshot: &MetadataSnapshot) -> Result<Offset, ErrorCode> {
        self.inner.lock().low_watermark(snapshot)
    }

    /// Proposes a smaller ISR if followers have fallen behind.
    pub fn maybe_shrink_isr(&self, now_ms: i64) -> Option<IsrProposal> {
        let mut inner = self.inner.lock();
        let log_end_offset = inner.leader_log().ok()?.log_end_offset();
        inner.state.maybe_shrink_isr(log_end_offset, now_ms)
    }

    /// Applies the controller's answer to a proposal.
    pub fn on_alter_partition(
        &self,
        proposal: &IsrProposal,
        answer: Result<LeaderAndIsr, ErrorCode>,
        now_ms: i64,
        snapshot: &MetadataSnapshot,
    ) -> (AlterPartitionOutcome, Effects) {
        let mut inner = self.inner.lock();
        let outcome = inner.state.on_alter_partition(proposal, answer);
        let mut effects = Effects::default();
        if outcome == AlterPartitionOutcome::Committed {
            effects.high_watermark_advanced = inner.advance_high_watermark(now_ms, snapshot);
        }
        drop(inner);
        (outcome, effects)
    }
}

impl Inner {
    fn leader_log(&self) -> Result<&Arc<UnifiedLog>, ErrorCode> {
        match &self.log {
            Some(log) if self.state.is_leader() => Ok(log),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    fn local_log(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        fetch_only_leader: bool,
    ) -> Result<&Arc<UnifiedLog>, ErrorCode> {
        self.state.check_leader_epoch(current_leader_epoch)?;
        if fetch_only_leader {
            return self.leader_log();
        }
        self.log.as_ref().ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// The log for a read. Epochs are checked before the follower: an unknown follower that knows our epoch may be
    /// right, and our assignment out of date (fact 40).
    fn readable_log(&self, request: &ReadRequest) -> Result<&Arc<UnifiedLog>, ErrorCode> {
        if let (Some(requested), Some(log)) = (request.topic_id, &self.log)
            && log.topic_id().is_some_and(|id| id != requested)
        {
            return Err(ErrorCode::InconsistentTopicId);
        }
        let log = self.local_log(request.current_leader_epoch, request.fetch_only_leader)?;
        match request.follower {
            Some(follower) if !self.state.is_follower(follower.broker_id) => {
                Err(match request.current_leader_epoch {
                    Some(_) => ErrorCode::UnknownLeaderEpoch,
                    None => ErrorCode::NotLeaderOrFollower,
                })
            }
            _ => Ok(log),
        }
    }

    fn on_follower_fetch(
        &mut self,
        follower: FollowerFetch,
        fetch_offset: Offset,
        log_end_offset: Offset,
        now_ms: i64,
        snapshot: &MetadataSnapshot,
    ) -> Effects {
        let log_start_moved = self.state.on_follower_fetch(
            follower.broker_id,
            fetch_offset,
            follower.log_start_offset,
            log_end_offset,
            now_ms,
        );
        let Ok(high_watermark) = self.leader_log().map(|log| log.high_watermark()) else {
            return Effects::default();
        };
        let alter_partition = self
            .state
            .maybe_expand_isr(follower.broker_id, high_watermark, &|id| snapshot.is_alive(id));
        // The high watermark can move even if this follower did not: another replica may no longer count, because it is
        // dead or late.
        let high_watermark_advanced =
            high_watermark < log_end_offset && self.advance_high_watermark(now_ms, snapshot);
        Effects {
            log_end_advanced: false,
            high_watermark_advanced,
            log_start_moved,
            alter_partition,
        }
    }

    fn low_watermark(&self, snapshot: &MetadataSnapshot) -> Result<Offset, ErrorCode> {
        let own = self.leader_log()?.log_start_offset();
        let copy = self.future_log.as_ref().map(|log| log.log_start_offset());
        let low_watermark = self.state.low_watermark(own, &|id| snapshot.is_alive(id));
        Ok(copy.map_or(low_watermark, |start| start.min(low_watermark)))
    }

    /// Moves the high watermark if possible; returns true if it moved.
    fn advance_high_watermark(&self, now_ms: i64, snapshot: &MetadataSnapshot) -> bool {
        let Ok(log) = self.leader_log() else {
            return false;
        };
        let candidate = self.state.high_watermark_candidate(
            log.log_end_offset(),
            now_ms,
            log.config().min_insync_replicas,
            &|id| snapshot.is_alive(id),
        );
        candidate.is_some_and(|to| log.maybe_increment_high_watermark(to))
    }
}

//! Appends to partitions that this broker leads, and waits until enough replicas have the records. Kafka 3.9:
//! `ReplicaManager.appendRecords`, `DelayedProduce`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::manager::ReplicaManager;
use crate::cluster::Partition;
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::common::topic_name;
use crate::log::{AppendError, AppendOrigin, LogAppendInfo, Verification, VerificationGuard};
use crate::metadata::MetadataSnapshot;

/// The result for one partition's records.
pub type AppendResult = Result<LogAppendInfo, AppendError>;

/// The records for one partition.
#[derive(Clone, Debug)]
pub struct AppendEntry {
    /// The partition to append to.
    pub partition: TopicPartition,
    /// The batches as the client or coordinator made them.
    pub records: Bytes,
    /// The guard of the verification; present if a batch opens a transaction and was verified.
    pub guard: Option<VerificationGuard>,
}

impl AppendEntry {
    /// Creates an entry without verification: its records open no transaction.
    pub fn new(partition: TopicPartition, records: Bytes) -> Self {
        Self {
            partition,
            records,
            guard: None,
        }
    }
}

/// See [`AppendEntry::new`].
impl From<(TopicPartition, Bytes)> for AppendEntry {
    fn from((partition, records): (TopicPartition, Bytes)) -> Self {
        Self::new(partition, records)
    }
}

/// Records that were appended here, but that the followers do not have yet.
struct Awaited {
    /// The index of its result.
    index: usize,
    partition: Arc<Partition>,
    /// The high watermark must reach this offset.
    required_offset: Offset,
    /// Leader epoch of the append.
    epoch: LeaderEpoch,
}

pub(super) fn refused(code: ErrorCode, message: impl Into<String>) -> AppendError {
    AppendError::new(code, message)
}

/// Adds the start of the log to the error. A producer whose earlier records are deleted from the log can then continue.
/// As in Kafka, errors that say nothing about the log do not get it.
fn with_log_start_offset(mut error: AppendError, partition: &Partition) -> AppendError {
    let is_about_the_log = !matches!(
        error.code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::CorruptMessage
            | ErrorCode::KafkaStorageError
    );
    if let (true, Ok(log)) = (is_about_the_log, partition.leader_log()) {
        error.log_start_offset = log.log_start_offset();
    }
    error
}

impl ReplicaManager {
    /// Appends to these partitions, which this broker leads, and waits as `required_acks` (0, 1, -1) requires. Results
    /// are in the order of `entries`. With -1, an error may come after the append: the records then stay in the log.
    pub async fn append_records(
        &self,
        timeout: Duration,
        required_acks: i16,
        origin: AppendOrigin,
        internal_topics_allowed: bool,
        entries: Vec<impl Into<AppendEntry>>,
    ) -> Vec<(TopicPartition, AppendResult)> {
        if !(-1..=1).contains(&required_acks) {
            let error = refused(ErrorCode::InvalidRequiredAcks, format!("acks is {required_acks}"));
            return entries
                .into_iter()
                .map(|entry| (entry.into().partition, Err(error.clone())))
                .collect();
        }
        let snapshot = self.metadata.snapshot();
        let mut awaited = Vec::new();
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            let entry: AppendEntry = entry.into();
            let name = entry.partition.clone();
            let appended = if !internal_topics_allowed && topic_name::is_internal(&name.topic) {
                let message = format!("Cannot append to internal topic {}", name.topic);
                Err(refused(ErrorCode::InvalidTopicException, message))
            } else {
                self.append_to_leader(entry, origin, required_acks, &snapshot)
            };
            let result = appended.map(|(info, epoch, partition)| {
                let required_offset = info.last_offset + 1;
                awaited.push(Awaited {
                    index: results.len(),
                    partition,
                    required_offset,
                    epoch,
                });
                info
            });
            results.push((name, result));
        }
        if required_acks == -1 {
            self.await_replicas(timeout, awaited, &mut results).await;
        }
        results
    }

    fn append_to_leader(
        &self,
        entry: AppendEntry,
        origin: AppendOrigin,
        required_acks: i16,
        snapshot: &MetadataSnapshot,
    ) -> Result<(LogAppendInfo, LeaderEpoch, Arc<Partition>), AppendError> {
        let partition = self
            .partition(&entry.partition)
            .map_err(|code| refused(code, "the partition is not on this broker"))?;
        let now_ms = self.clock.monotonic_ms();
        let verification = match self.verification.is_enabled() {
            true => Verification::Required(entry.guard),
            false => Verification::Off,
        };
        let bytes = entry.records.len();
        let appended = partition.append_as_leader(
            entry.records,
            origin,
            &verification,
            required_acks,
            now_ms,
            snapshot,
        );
        let outcome = appended.as_ref().map(|(info, ..)| info);
        self.topic_metrics
            .produced(&entry.partition.topic, bytes, outcome);
        if let (AppendOrigin::Client, Ok(info)) = (origin, outcome) {
            self.topic_metrics
                .converted_for_produce(&entry.partition.topic, &info.conversion);
        }
        let (info, epoch, effects) = appended.map_err(|error| with_log_start_offset(error, &partition))?;
        self.apply(&partition, effects);
        Ok((info, epoch, partition))
    }

    async fn await_replicas(
        &self,
        timeout: Duration,
        mut awaited: Vec<Awaited>,
        results: &mut [(TopicPartition, AppendResult)],
    ) {
        let mut try_complete = || {
            awaited.retain(
                |a| match a.partition.check_enough_replicas(a.required_offset, a.epoch) {
                    None => true,
                    Some(Ok(())) => false,
                    Some(Err(code)) => {
                        let message = "appended here, but not known to be on enough replicas";
                        results[a.index].1 = Err(refused(code, message));
                        false
                    }
                },
            );
            awaited
                .iter()
                .map(|a| a.partition.topic_partition().clone())
                .collect::<Vec<_>>()
        };
        let keys = try_complete();
        if keys.is_empty() {
            return;
        }
        let done = self
            .delayed
            .produce
            .wait(keys, timeout, || try_complete().is_empty().then_some(()))
            .await;
        if done.is_none() {
            self.expirations.produce.mark(awaited.len() as u64);
            for a in &awaited {
                let message = "the followers did not confirm in time";
                results[a.index].1 = Err(refused(ErrorCode::RequestTimedOut, message));
            }
        }
    }
}

//! Reads for consumers and followers, and waits until there is enough to return. Kafka 3.9:
//! `ReplicaManager.fetchMessages`, `DelayedFetch`.

use super::delayed_operations::DelayedFetchKey;
use super::fetch_params::{FetchParams, FetchPartition};
use super::manager::ReplicaManager;
use crate::cluster::{FetchPartitionData, FollowerFetch, Partition, ReadRequest};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::log::{FetchIsolation, LogOffsetMetadata};
use crate::metadata::MetadataSnapshot;

/// The position in one partition after the first read. A waiting fetch counts new bytes from it.
struct Position<'a> {
    wanted: &'a FetchPartition,
    from: LogOffsetMetadata,
}

/// The outcome of one pass over all partitions.
struct Pass<'a> {
    data: Vec<FetchPartitionData>,
    positions: Vec<Position<'a>>,
    bytes: u64,
    /// Whether there is an error or a diverging epoch, which must be returned at once.
    urgent: bool,
}

impl ReplicaManager {
    /// Reads all partitions, in the order given. Waits up to `max_wait` if fewer than `min_bytes` are available. The
    /// result has one element for each of `partitions`.
    pub async fn fetch_records(
        &self,
        params: &FetchParams,
        partitions: &[FetchPartition],
    ) -> Vec<FetchPartitionData> {
        let pass = self.read_partitions(params, partitions, true);
        if pass.urgent || pass.bytes >= params.min_bytes || partitions.is_empty() || params.max_wait.is_zero()
        {
            self.account(params, partitions, &pass.data);
            return pass.data;
        }
        let key = |partition: &FetchPartition| match params.isolation {
            FetchIsolation::LogEnd => DelayedFetchKey::LogEnd(partition.topic_partition.clone()),
            _ => DelayedFetchKey::HighWatermark(partition.topic_partition.clone()),
        };
        let is_complete = || self.is_fetch_complete(params, &pass.positions).then_some(());
        // Whether the wait completed or timed out, the answer is what the logs have now.
        let completed = self
            .delayed
            .fetch
            .wait(partitions.iter().map(key), params.max_wait, is_complete)
            .await;
        if completed.is_none() {
            match params.is_from_follower() {
                true => self.expirations.fetch_of_follower.mark(1),
                false => self.expirations.fetch_of_consumer.mark(1),
            }
        }
        let data = self.read_partitions(params, partitions, false).data;
        self.account(params, partitions, &data);
        data
    }

    /// Counts the data that the answer sends.
    fn account(&self, params: &FetchParams, partitions: &[FetchPartition], data: &[FetchPartitionData]) {
        self.record_leader_throttle(params, partitions, data);
        self.topic_metrics.fetched(params, partitions, data, |name| {
            self.is_adding_replica(name, params.replica_id)
        });
    }

    /// Counts the bytes for a throttled follower against the quota.
    fn record_leader_throttle(
        &self,
        params: &FetchParams,
        partitions: &[FetchPartition],
        data: &[FetchPartitionData],
    ) {
        if !params.is_from_follower() || !self.quotas.leader.is_limited() {
            return;
        }
        let throttled = |name: &TopicPartition| {
            let partition = self.partition(name);
            partition.is_ok_and(|partition| self.quotas.is_throttled_leader(&partition))
        };
        let given = partitions.iter().zip(data).filter(|(_, data)| data.size() > 0);
        let given = given.filter(|(wanted, _)| throttled(&wanted.topic_partition));
        let bytes: usize = given.map(|(_, data)| data.size()).sum();
        if bytes > 0 {
            self.quotas.leader.record(bytes as u64);
        }
    }

    /// Whether a reassignment is adding this replica on the given broker.
    pub(super) fn is_adding_replica(&self, name: &TopicPartition, broker: BrokerId) -> bool {
        self.partition(name)
            .is_ok_and(|partition| partition.is_adding_replica(broker))
    }

    fn read_partitions<'a>(
        &self,
        params: &FetchParams,
        partitions: &'a [FetchPartition],
        note_follower: bool,
    ) -> Pass<'a> {
        let snapshot = self.metadata.snapshot();
        let mut pass = Pass {
            data: Vec::with_capacity(partitions.len()),
            positions: Vec::with_capacity(partitions.len()),
            bytes: 0,
            urgent: false,
        };
        let mut budget = params.max_bytes;
        let mut min_one_message = !params.hard_max_bytes_limit;
        for wanted in partitions {
            let mut request = read_request(params, wanted);
            request.max_bytes = request.max_bytes.min(budget);
            request.min_one_message = min_one_message;
            let preferred_read_replica = self.preferred_read_replica(params, wanted, &snapshot);
            let read = match preferred_read_replica {
                Some(_) => self
                    .partition(&wanted.topic_partition)
                    .and_then(|partition| partition.offset_snapshot(request.current_leader_epoch)),
                None => self.read_partition(wanted, &request, note_follower, &snapshot),
            };
            let data = match read {
                Ok(mut data) => {
                    // An incomplete batch tells a client of version 2 or older to ask for more. Newer clients do not
                    // need it.
                    if data.first_entry_incomplete && !params.hard_max_bytes_limit {
                        data.records = None;
                    }
                    if let Some(from) = data.fetch_offset {
                        pass.positions.push(Position { wanted, from });
                    }
                    data.preferred_read_replica = preferred_read_replica;
                    data
                }
                Err(code) => FetchPartitionData::error(code),
            };
            if note_follower {
                let failed = data.error == ErrorCode::UnknownServerError;
                self.topic_metrics.read(&wanted.topic_partition.topic, failed);
            }
            // Only the first partition that has data may exceed the limits, so that a large batch does not block its
            // reader.
            min_one_message &= data.size() == 0;
            budget = budget.saturating_sub(data.size());
            pass.bytes += data.size() as u64;
            pass.urgent |= data.error.is_error()
                || data.diverging_epoch.is_some()
                || data.preferred_read_replica.is_some();
            pass.data.push(data);
        }
        pass
    }

    fn read_partition(
        &self,
        wanted: &FetchPartition,
        request: &ReadRequest,
        note_follower: bool,
        snapshot: &MetadataSnapshot,
    ) -> Result<FetchPartitionData, ErrorCode> {
        let partition = self.partition(&wanted.topic_partition)?;
        let (mut data, effects) =
            partition.read(request, note_follower, self.clock.monotonic_ms(), snapshot)?;
        self.apply(&partition, effects);
        if let Some(follower) = request.follower
            && self.quotas.should_leader_throttle(&partition, follower.broker_id)
        {
            data.records = None;
        }
        Ok(data)
    }

    /// Whether a waiting fetch must be answered: there are enough bytes, or there is a change that the reader must
    /// learn.
    fn is_fetch_complete(&self, params: &FetchParams, positions: &[Position<'_>]) -> bool {
        let mut bytes = 0;
        for position in positions {
            let request = read_request(params, position.wanted);
            let available = |partition: &Partition| {
                let available = partition.bytes_available(&request, position.from)?;
                let throttled = |f: FollowerFetch| self.quotas.should_leader_throttle(partition, f.broker_id);
                // Bytes that a throttled follower does not get are not counted.
                Ok(match request.follower.is_some_and(throttled) {
                    true => Some(0),
                    false => available,
                })
            };
            match self
                .partition(&position.wanted.topic_partition)
                .and_then(|p| available(&p))
            {
                Ok(Some(available)) => bytes += available,
                Ok(None) | Err(_) => return true,
            }
            if bytes >= params.min_bytes {
                return true;
            }
        }
        self.stop.is_cancelled()
    }
}

fn read_request(params: &FetchParams, wanted: &FetchPartition) -> ReadRequest {
    ReadRequest {
        topic_id: (!wanted.topic_id.is_nil()).then_some(wanted.topic_id),
        fetch_offset: wanted.fetch_offset,
        max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0),
        min_one_message: false,
        isolation: params.isolation,
        current_leader_epoch: wanted.current_leader_epoch,
        last_fetched_epoch: wanted.last_fetched_epoch,
        fetch_only_leader: params.fetch_only_leader,
        follower: params.is_from_follower().then_some(FollowerFetch {
            broker_id: params.replica_id,
            log_start_offset: wanted.log_start_offset,
        }),
    }
}

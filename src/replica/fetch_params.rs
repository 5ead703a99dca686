//! Defines the parameters of a fetch. Kafka 3.9: `FetchParams`.

use std::time::Duration;

use crate::common::ids::{BrokerId, LeaderEpoch, Offset, TopicId, TopicPartition};
use crate::log::FetchIsolation;

/// The parameters that hold for all partitions of one fetch.
#[derive(Clone, Debug)]
pub struct FetchParams {
    /// The replica that fetches, or -1 for a consumer.
    pub replica_id: BrokerId,
    /// The longest time that the answer may wait for `min_bytes`.
    pub max_wait: Duration,
    /// The minimum over all partitions.
    pub min_bytes: u64,
    /// The maximum over all partitions.
    pub max_bytes: usize,
    /// Whether not even one batch may exceed the limits (Fetch before version 3).
    pub hard_max_bytes_limit: bool,
    /// How far the reader may see.
    pub isolation: FetchIsolation,
    /// Whether only leaders may answer: for replicas, and for consumers that do not know KIP-392.
    pub fetch_only_leader: bool,
    /// The client, for consumers that may be sent to a follower.
    pub client: Option<ClientMetadata>,
}

/// The properties of a client by which a replica is chosen. Kafka 3.9: `ClientMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    /// `client.rack`; empty if the client has none.
    pub rack: String,
    /// The listener on which the client is connected. It uses the same listener of the other broker.
    pub listener: String,
}

impl FetchParams {
    /// Whether a replica is asking.
    pub fn is_from_follower(&self) -> bool {
        self.replica_id >= 0
    }
}

/// The parameters of a fetch for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The topic id; nil if the request did not name one.
    pub topic_id: TopicId,
    /// First offset wanted.
    pub fetch_offset: Offset,
    /// Start of the follower's log; -1 for consumers.
    pub log_start_offset: Offset,
    /// Most bytes to return.
    pub max_bytes: i32,
    /// The leader epoch that the reader expects.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Epoch of the last record the reader has.
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

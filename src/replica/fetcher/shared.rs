//! Defines the state that a fetcher and its manager share.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::fetch_state::PartitionFetchState;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::network::BrokerAddress;

/// The leader, and the number of the fetcher among the leader's `num.replica.fetchers` fetchers.
pub(super) type FetcherKey = (BrokerId, usize);

/// One fetcher.
pub(super) struct Fetcher {
    pub(super) leader: BrokerAddress,
    pub(super) partitions: Mutex<BTreeMap<TopicPartition, PartitionFetchState>>,
    /// Partitions have been added.
    pub(super) assigned: Notify,
    pub(super) stop: CancellationToken,
    /// Cancelled when the fetcher's task has ended: from then on the fetcher does not change a log.
    pub(super) ended: CancellationToken,
    /// The fetchers that had its partitions before. This fetcher starts when all of them have ended, at the ends of the
    /// logs that they left.
    pub(super) predecessors: Vec<CancellationToken>,
}

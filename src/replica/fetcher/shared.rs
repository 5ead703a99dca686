//! What a fetcher and its manager share.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::fetch_state::PartitionFetchState;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::network::BrokerAddress;

/// The leader and which of its `num.replica.fetchers` fetchers.
pub(super) type FetcherKey = (BrokerId, usize);

/// One fetcher.
pub(super) struct Fetcher {
    pub(super) leader: BrokerAddress,
    pub(super) partitions: Mutex<BTreeMap<TopicPartition, PartitionFetchState>>,
    /// Partitions have been added.
    pub(super) assigned: Notify,
    pub(super) stop: CancellationToken,
    /// Cancelled when its task has ended: from then on it does nothing more to a log.
    pub(super) ended: CancellationToken,
    /// Fetchers that had its partitions before. It begins when they have ended, with what they have left in the logs.
    pub(super) predecessors: Vec<CancellationToken>,
}

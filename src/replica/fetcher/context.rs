//! Defines the parts of the broker that its fetchers use.

use std::sync::Arc;

use crate::common::ids::BrokerId;
use crate::network::ChannelBuilder;
use crate::replica::delayed_operations::DelayedOperations;
use crate::replica::throttled_replicas::ReplicationQuotas;
use crate::replica::topic_metrics::TopicMetrics;

/// See the module.
#[derive(Clone)]
pub struct FetcherContext {
    pub(in crate::replica) broker_id: BrokerId,
    /// Opens the connections to the leaders.
    pub(in crate::replica) channels: ChannelBuilder,
    pub(in crate::replica) topic_metrics: Arc<TopicMetrics>,
    pub(in crate::replica) quotas: Arc<ReplicationQuotas>,
    /// The waiting requests. Consumers also wait for the high watermark of a follower.
    pub(in crate::replica) delayed: DelayedOperations,
}

//! The current leader and its address beside an error of leadership, in the answers of Produce (version 10) and Fetch
//! (version 16): a client then needs no Metadata request (KIP-951).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, LeaderEpoch, TopicPartition};
use crate::metadata::{BrokerMetadata, MetadataSnapshot};
use crate::protocol::fetch_response::NodeEndpoint;
use crate::replica::ReplicaManager;

/// Collects the leaders that one response names.
pub struct CurrentLeaders<'a> {
    replicas: &'a ReplicaManager,
    snapshot: Arc<MetadataSnapshot>,
    listener: &'a str,
    nodes: BTreeMap<BrokerId, NodeEndpoint>,
}

impl<'a> CurrentLeaders<'a> {
    /// No leader yet. `listener` is the one that the client is connected to.
    pub fn new(replicas: &'a ReplicaManager, listener: &'a str) -> Self {
        Self {
            replicas,
            snapshot: replicas.metadata().snapshot(),
            listener,
            nodes: BTreeMap::new(),
        }
    }

    /// The leader and its epoch to put beside an error; `None` if the error is not about leadership.
    pub fn hint(&mut self, error: ErrorCode, partition: &TopicPartition) -> Option<(BrokerId, LeaderEpoch)> {
        if !matches!(
            error,
            ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
        ) {
            return None;
        }
        let (leader, epoch) = self.replicas.current_leader(partition);
        let node = |broker: &BrokerMetadata| {
            let endpoint = broker.endpoint(self.listener)?;
            Some(NodeEndpoint {
                id: leader,
                host: endpoint.host.clone(),
                port: endpoint.port,
                rack: broker.rack.clone(),
            })
        };
        if let Some(node) = self.snapshot.brokers.get(&leader).and_then(node) {
            self.nodes.insert(leader, node);
        }
        Some((leader, epoch))
    }

    /// The addresses of all leaders that were named.
    pub fn into_nodes(self) -> impl Iterator<Item = NodeEndpoint> {
        self.nodes.into_values()
    }
}

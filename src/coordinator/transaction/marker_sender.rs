//! WriteTxnMarkers to one broker: the port of the marker channel, and the real thing over the network.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::common::ids::BrokerId;
use crate::network::{BrokerAddress, NetworkClient, NetworkError};
use crate::protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

/// The version that brokers from 2.8 on use among themselves.
const WRITE_TXN_MARKERS_VERSION: i16 = 1;

/// Where markers are sent.
pub trait MarkerSender: Send + Sync + 'static {
    /// Sends one request and gives its response.
    fn send(
        &self,
        broker: BrokerAddress,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'static, Result<WriteTxnMarkersResponse, NetworkError>>;
}

/// One connection to each broker.
pub struct NetworkMarkerSender {
    client_id: String,
    request_timeout: Duration,
    connections: Mutex<HashMap<BrokerId, Arc<NetworkClient>>>,
}

impl NetworkMarkerSender {
    /// For this broker.
    pub fn new(broker_id: BrokerId, request_timeout: Duration) -> Self {
        Self {
            client_id: format!("broker-{broker_id}-txn-marker-sender"),
            request_timeout,
            connections: Mutex::default(),
        }
    }

    fn connection(&self, broker: BrokerAddress) -> Arc<NetworkClient> {
        let mut connections = self.connections.lock();
        match connections.get(&broker.id) {
            Some(connection) if *connection.address() == broker => connection.clone(),
            _ => {
                let id = broker.id;
                let connection = NetworkClient::new(broker, &self.client_id, self.request_timeout);
                let connection = Arc::new(connection);
                connections.insert(id, connection.clone());
                connection
            }
        }
    }
}

impl MarkerSender for NetworkMarkerSender {
    fn send(
        &self,
        broker: BrokerAddress,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'static, Result<WriteTxnMarkersResponse, NetworkError>> {
        let connection = self.connection(broker);
        async move { connection.send(&request, WRITE_TXN_MARKERS_VERSION).await }.boxed()
    }
}

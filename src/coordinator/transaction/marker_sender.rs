//! Sends WriteTxnMarkers to one broker: the trait that the marker channel uses, and its implementation over the
//! network.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::network::{NetworkClient, NetworkError};
use crate::protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

/// The version that brokers from Kafka 2.8 on send to each other.
const WRITE_TXN_MARKERS_VERSION: i16 = 1;

/// Sends markers.
pub trait MarkerSender: Send + Sync + 'static {
    /// Sends one request to the broker of `client` and returns its response.
    fn send(
        &self,
        client: Arc<NetworkClient>,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'static, Result<WriteTxnMarkersResponse, NetworkError>>;
}

/// Sends over the connection of the client.
pub struct NetworkMarkerSender;

impl MarkerSender for NetworkMarkerSender {
    fn send(
        &self,
        client: Arc<NetworkClient>,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'static, Result<WriteTxnMarkersResponse, NetworkError>> {
        async move { client.send(&request, WRITE_TXN_MARKERS_VERSION).await }.boxed()
    }
}

//! WriteTxnMarkers to one broker: the port of the marker channel, and the real thing over the network.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::network::{NetworkClient, NetworkError};
use crate::protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

/// The version that brokers from 2.8 on use among themselves.
const WRITE_TXN_MARKERS_VERSION: i16 = 1;

/// How markers are sent.
pub trait MarkerSender: Send + Sync + 'static {
    /// Sends one request to the broker of `client` and gives its response.
    fn send(
        &self,
        client: Arc<NetworkClient>,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'static, Result<WriteTxnMarkersResponse, NetworkError>>;
}

/// Over the connection of the client.
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

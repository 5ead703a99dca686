//! Owns the half of a connection that is written, and the order of the requests that wait for their responses.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;

use super::transport::WriteHalf;
use crate::protocol::WireRequest;
use crate::protocol::codec;

/// The number of correlation ids, the highest ones, for the requests of a connection's own.
const OWN_CORRELATION_IDS: i32 = 8;

/// A request that waits to be written to the socket.
pub(super) struct Outgoing {
    pub(super) frame: Bytes,
    pub(super) waiting: Waiting,
}

/// A request that waits for its response frame, or for the error if none comes.
pub(super) struct Waiting {
    pub(super) correlation_id: i32,
    pub(super) respond: oneshot::Sender<Result<Bytes, String>>,
}

/// The writing half of a connection.
pub(super) struct RequestWriter<'a> {
    stream: WriteHalf,
    client_id: &'a str,
    in_flight: &'a Mutex<VecDeque<Waiting>>,
    /// The number of requests of this type's own.
    asked: i32,
}

impl<'a> RequestWriter<'a> {
    pub(super) fn new(
        stream: WriteHalf,
        client_id: &'a str,
        in_flight: &'a Mutex<VecDeque<Waiting>>,
    ) -> Self {
        Self {
            stream,
            client_id,
            in_flight,
            asked: 0,
        }
    }

    pub(super) async fn write(&mut self, outgoing: Outgoing) -> std::io::Result<()> {
        // Added before the write, because the response may arrive before this task runs again.
        self.in_flight.lock().push_back(outgoing.waiting);
        self.stream.write_all(&outgoing.frame).await?;
        self.stream.flush().await
    }

    /// Sends a request of the connection's own and waits for its response.
    pub(super) async fn ask<R: WireRequest>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, String> {
        // Kafka, too, takes the highest ids for these requests.
        let correlation_id = i32::MAX - self.asked;
        self.asked = (self.asked + 1) % OWN_CORRELATION_IDS;
        let frame = codec::encode_request(request, version, correlation_id, self.client_id)
            .map_err(|error| error.to_string())?;
        let (respond, response) = oneshot::channel();
        let waiting = Waiting {
            correlation_id,
            respond,
        };
        self.write(Outgoing { frame, waiting })
            .await
            .map_err(|error| error.to_string())?;
        let frame = response.await.map_err(|_| "it was closed".to_owned())??;
        codec::decode_response(frame, version).map_err(|error| error.to_string())
    }
}

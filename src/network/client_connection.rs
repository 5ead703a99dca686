//! Owns one open connection to a broker and the task that drives it: the task proves this broker's identity, writes
//! requests in their order, and gives each response to the oldest waiting request. Kafka 3.9: `KafkaChannel`,
//! `InFlightRequests`.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OnceCell, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::channel_builder::ChannelBuilder;
use super::request_writer::{Outgoing, RequestWriter, Waiting};
use super::transport::{ReadHalf, Transport};
use super::{sasl_client_authenticator, stream};
use crate::common::ids::BrokerId;
use crate::config::Endpoint;
use crate::protocol::codec;
use crate::protocol::frame::FrameBuffer;

/// The maximum number of requests in the queue to the connection's task. Further senders wait.
pub(super) const SEND_QUEUE: usize = 16;
/// The maximum size of a response. Kafka has no limit here except that of the length prefix.
const MAX_RESPONSE_BYTES: usize = i32::MAX as usize;

/// One TCP connection and the task that drives it.
pub(super) struct Connection {
    pub(super) requests: mpsc::Sender<Outgoing>,
    driver: AbortHandle,
    closed: AtomicBool,
    pub(super) peer_versions: OnceCell<HashMap<i16, RangeInclusive<i16>>>,
}

impl Connection {
    pub(super) fn start(stream: Transport, identity: Identity) -> Self {
        let (requests, outgoing) = mpsc::channel(SEND_QUEUE);
        let driver = tokio::spawn(drive(stream, identity, outgoing)).abort_handle();
        Self::driven_by(driver, requests)
    }

    pub(super) fn driven_by(driver: AbortHandle, requests: mpsc::Sender<Outgoing>) -> Self {
        Self {
            requests,
            driver,
            closed: AtomicBool::new(false),
            peer_versions: OnceCell::new(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.requests.is_closed()
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.driver.abort();
    }
}

/// Writes requests and reads responses until one of the two fails. Then fails the waiting requests.
async fn drive(stream: Transport, identity: Identity, mut requests: mpsc::Receiver<Outgoing>) {
    let in_flight = Mutex::new(VecDeque::new());
    let (incoming, outgoing) = stream.split();
    let reason = tokio::select! {
        reason = write_requests(RequestWriter::new(outgoing, &identity.client_id, &in_flight), &identity, &mut requests) => reason,
        reason = read_responses(incoming, &in_flight) => reason,
    };
    requests.close();
    let mut waiting: Vec<Waiting> = in_flight.into_inner().into();
    while let Ok(outgoing) = requests.try_recv() {
        waiting.push(outgoing.waiting);
    }
    for request in waiting {
        // Sending fails if the caller has dropped its request.
        let _ = request.respond.send(Err(reason.clone()));
    }
}

/// What the task of a connection needs to prove this broker's identity.
pub(super) struct Identity {
    pub(super) channels: ChannelBuilder,
    pub(super) broker: BrokerId,
    pub(super) endpoint: Endpoint,
    pub(super) client_id: String,
}

impl Identity {
    /// Returns when to do it again, if the session ends.
    async fn prove(&self, writer: &mut RequestWriter<'_>) -> Result<Option<Instant>, String> {
        let Some(client) = self.channels.sasl_client(&self.endpoint).await? else {
            return Ok(None);
        };
        let proved = sasl_client_authenticator::authenticate(writer, client).await;
        proved.inspect_err(|reason| {
            tracing::error!(
                "Connection to node {} ({}) failed authentication due to: {reason}",
                self.broker,
                self.endpoint.address()
            );
        })
    }
}

/// Returns the reason for the end.
async fn write_requests(
    mut writer: RequestWriter<'_>,
    identity: &Identity,
    requests: &mut mpsc::Receiver<Outgoing>,
) -> String {
    let mut renewal = match identity.prove(&mut writer).await {
        Ok(renewal) => renewal,
        Err(reason) => return reason,
    };
    while let Some(outgoing) = requests.recv().await {
        if renewal.is_some_and(|at| Instant::now() >= at) {
            renewal = match identity.prove(&mut writer).await {
                Ok(renewal) => renewal,
                Err(reason) => {
                    let _ = outgoing.waiting.respond.send(Err(reason.clone()));
                    return reason;
                }
            };
        }
        if let Err(error) = writer.write(outgoing).await {
            return error.to_string();
        }
    }
    "the client was dropped".to_string()
}

/// Returns the reason for the end.
async fn read_responses(mut stream: ReadHalf, in_flight: &Mutex<VecDeque<Waiting>>) -> String {
    let mut frames = FrameBuffer::new(MAX_RESPONSE_BYTES);
    loop {
        match stream::read_some(&mut stream, &mut frames).await {
            Ok(0) => return "the broker closed it".to_string(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
        loop {
            let frame = match frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return error.to_string(),
            };
            let Some(oldest) = in_flight.lock().pop_front() else {
                return "a response came that nobody asked for".to_string();
            };
            if codec::correlation_id(&frame) != Some(oldest.correlation_id) {
                let reason = "a response came out of order".to_string();
                let _ = oldest.respond.send(Err(reason.clone()));
                return reason;
            }
            // Sending fails if the caller has dropped its request.
            let _ = oldest.respond.send(Ok(frame));
        }
    }
}

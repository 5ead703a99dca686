//! Owns one connection of a client: reads a frame, lets the handler run, writes the response, and repeats. Kafka 3.9:
//! `Processor`, `KafkaChannel`.
//!
//! One request is in flight. While it is handled, the connection reads at most one more frame ahead; this also detects
//! a client that disconnects. So responses come in the order of the requests (fact 69). Quotas, when they exist, can
//! delay a throttled client between two requests.

use std::any::Any;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::ConnectionSlot;
use super::listener_metrics::ListenerMetrics;
use super::listener_security::ListenerSecurity;
use super::request_handler::{Reply, RequestContext, RequestHandler};
use super::request_metrics::{RequestMetrics, RequestTimes};
use super::session::Session;
use super::transport::Transport;
use crate::common::clock::SharedClock;
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::frame::{FrameBuffer, FrameSizeError};
use crate::security::AuthenticationError;

/// What the connections of a listener have in common.
#[derive(Clone)]
pub(super) struct ConnectionSettings {
    /// `socket.request.max.bytes`.
    pub(super) max_request_bytes: usize,
    /// `connections.max.idle.ms`: how long a client may send no byte, or accept no byte of a response.
    pub(super) max_idle: Duration,
    /// `queued.max.requests`: see [`Connection::handle`].
    pub(super) running_requests: Arc<Semaphore>,
    pub(super) metrics: Arc<RequestMetrics>,
    pub(super) security: Arc<ListenerSecurity>,
    pub(super) listener_metrics: Arc<ListenerMetrics>,
    pub(super) clock: SharedClock,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionEnd {
    #[error("closed by the client")]
    ClosedByPeer,
    #[error("the broker is stopping")]
    Stopping,
    #[error("evicted to make room for another connection")]
    Evicted,
    #[error("idle for too long")]
    Idle,
    #[error("the request failed and its client expects no response")]
    ClosedByHandler,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    FrameSize(#[from] FrameSizeError),
    #[error(transparent)]
    Request(#[from] DecodeError),
    #[error("the handler of a request panicked: {0}")]
    Panicked(String),
    #[error("{error}")]
    Unauthenticated {
        is_renewal: bool,
        error: AuthenticationError,
    },
    #[error("a request came after the end of the session")]
    SessionExpired,
    #[error("{0}")]
    UnexpectedRequest(String),
}

pub(super) struct Connection<H> {
    /// Empty during the TLS handshake, and after a failed one.
    pub(super) transport: Option<Transport>,
    pub(super) context: RequestContext,
    pub(super) slot: ConnectionSlot,
    pub(super) handler: Arc<H>,
    pub(super) settings: ConnectionSettings,
    pub(super) stopping: CancellationToken,
    pub(super) frames: FrameBuffer,
    /// Present on a SASL listener when the client is authenticated.
    pub(super) session: Option<Session>,
    /// A whole frame that was read while the previous frame was being handled.
    ahead: Option<Bytes>,
}

impl<H: RequestHandler> Connection<H> {
    pub(super) fn new(
        stream: TcpStream,
        context: RequestContext,
        slot: ConnectionSlot,
        handler: Arc<H>,
        settings: ConnectionSettings,
        stopping: CancellationToken,
    ) -> Self {
        let frames = FrameBuffer::new(settings.max_request_bytes);
        Self {
            transport: Some(Transport::Plain(stream)),
            context,
            slot,
            handler,
            settings,
            stopping,
            frames,
            session: None,
            ahead: None,
        }
    }

    /// Serves the client until one side ends the connection.
    pub(super) async fn serve(mut self) -> ConnectionEnd {
        if let Err(end) = self.authenticate().await {
            return end;
        }
        // The future that serves requests is large. A client gets its memory when it has proved its identity.
        Box::pin(self.serve_requests()).await
    }

    async fn serve_requests(mut self) -> ConnectionEnd {
        loop {
            if let Err(end) = self.serve_one().await {
                return end;
            }
        }
    }

    async fn serve_one(&mut self) -> Result<(), ConnectionEnd> {
        let frame = self.next_frame().await?;
        self.slot.touch();
        let Some(frame) = self.renew_if_asked(frame).await? else {
            return Ok(());
        };
        let (received, bytes) = (Instant::now(), frame.len());
        let (header, request) = codec::decode_request(frame)?;
        self.context.api_version = header.version;
        if self.context.client_id != *header.client_id {
            self.context.client_id = header.client_id.to_string();
        }
        let (reply, mut times) = self.handle(header.correlation_id, request, received).await?;
        match reply {
            Reply::Send(response) => {
                let answered = Instant::now();
                let chunks = response.into_chunks();
                let max_idle = self.settings.max_idle;
                self.transport()?.write_chunks(chunks, max_idle).await?;
                times.send = answered.elapsed();
            }
            Reply::Nothing => {}
            Reply::Close => return Err(ConnectionEnd::ClosedByHandler),
        }
        let metrics = &self.settings.metrics;
        metrics.record(header.api, header.version, bytes, times);
        // The same data as in Kafka's request logger.
        tracing::debug!(
            target: "request", api = ?header.api, version = header.version, client = self.context.client_id,
            peer = %self.context.peer, listener = self.context.listener, bytes, queue = ?times.queue,
            local = ?times.local, remote = ?times.remote, send = ?times.send, "answered"
        );
        Ok(())
    }

    /// The stream. There is none after a failed TLS handshake.
    pub(super) fn transport(&mut self) -> Result<&mut Transport, ConnectionEnd> {
        self.transport.as_mut().ok_or(ConnectionEnd::ClosedByPeer)
    }

    /// Waits for a whole frame. Only here, between two requests, may the broker end the connection.
    pub(super) async fn next_frame(&mut self) -> Result<Bytes, ConnectionEnd> {
        loop {
            if self.stopping.is_cancelled() {
                return Err(ConnectionEnd::Stopping);
            }
            if self.slot.evicted().is_cancelled() {
                return Err(ConnectionEnd::Evicted);
            }
            if let Some(frame) = self.ahead.take() {
                return Ok(frame);
            }
            if let Some(frame) = self.frames.next_frame()? {
                return Ok(frame);
            }
            let Some(transport) = &mut self.transport else {
                return Err(ConnectionEnd::ClosedByPeer);
            };
            let read = timeout(self.settings.max_idle, transport.read_some(&mut self.frames));
            tokio::select! {
                biased;
                read = read => match read {
                    Ok(Ok(0)) => return Err(ConnectionEnd::ClosedByPeer),
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Err(error.into()),
                    Err(_) => return Err(ConnectionEnd::Idle),
                },
                () = self.stopping.cancelled() => return Err(ConnectionEnd::Stopping),
                () = self.slot.evicted().cancelled() => return Err(ConnectionEnd::Evicted),
            }
        }
    }

    /// Runs the handler to its end and reads ahead at the same time.
    ///
    /// A request takes one of the `queued.max.requests` until its handler waits for the first time. After that it is in
    /// a purgatory in Kafka's terms. There it must not block the requests that it waits for, such as the fetches of
    /// followers.
    async fn handle(
        &mut self,
        correlation_id: i32,
        request: crate::protocol::Request,
        received: Instant,
    ) -> Result<(Reply, RequestTimes), ConnectionEnd> {
        let mut times = RequestTimes::default();
        let running = self.settings.running_requests.clone();
        let permit = running.acquire().await.map_err(|_| ConnectionEnd::Stopping)?;
        let begun = Instant::now();
        times.queue = begun - received;
        let handled = self.handler.handle(&self.context, correlation_id, request);
        let mut handled = pin!(AssertUnwindSafe(handled).catch_unwind());
        let at_once = futures::poll!(&mut handled);
        drop(permit);
        let first_pause = Instant::now();
        times.local = first_pause - begun;
        let reply = match at_once {
            Poll::Ready(reply) => reply,
            Poll::Pending => {
                let read_ahead = read_ahead(self.transport.as_mut(), &mut self.frames, &mut self.ahead);
                let reply = tokio::select! {
                    biased;
                    reply = &mut handled => reply,
                    // Reading ahead never returns.
                    never = read_ahead => match never {},
                };
                times.remote = first_pause.elapsed();
                reply
            }
        };
        let reply = reply.map_err(|panic| ConnectionEnd::Panicked(panic_message(&*panic)))?;
        Ok((reply, times))
    }
}

/// Reads until one whole frame is complete, then waits forever. If the stream ends, the next read sees the end again.
async fn read_ahead(
    transport: Option<&mut Transport>,
    frames: &mut FrameBuffer,
    ahead: &mut Option<Bytes>,
) -> std::convert::Infallible {
    let Some(transport) = transport else {
        return std::future::pending().await;
    };
    while ahead.is_none() {
        match frames.next_frame() {
            Ok(Some(frame)) => *ahead = Some(frame),
            Ok(None) => match transport.read_some(frames).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            },
            Err(_) => break,
        }
    }
    std::future::pending().await
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_string()
}

//! Accepts the connections of one listener and logs why they end. Kafka 3.9: `Acceptor`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, ConnectionEnd, ConnectionSettings};
use super::limits::ConnectionLimits;
use super::request_handler::{RequestContext, RequestHandler};
use crate::config::Endpoint;
use crate::security::KafkaPrincipal;

/// How long an acceptor waits after a failure that does not pass immediately, such as a lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

pub(super) struct Acceptor<H> {
    pub(super) endpoint: Endpoint,
    pub(super) is_protected: bool,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) settings: ConnectionSettings,
    pub(super) handler: Arc<H>,
    pub(super) stopping: CancellationToken,
    pub(super) connections: JoinSet<(ChannelId, ConnectionEnd)>,
}

impl<H: RequestHandler> Acceptor<H> {
    /// Accepts until the broker stops, then waits for the connections.
    pub(super) async fn run(mut self, listener: TcpListener) {
        let stopping = self.stopping.clone();
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                Some(ended) = self.connections.join_next() => self.log_end(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer).await,
                    Err(error) => {
                        tracing::error!(listener = self.endpoint.listener, %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                },
            }
        }
        // The listener is closed first, so that connections in the backlog are refused and do not wait.
        drop(listener);
        while let Some(ended) = self.connections.join_next().await {
            self.log_end(ended);
        }
    }

    async fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let stopping = self.stopping.clone();
        let admitted = tokio::select! {
            () = stopping.cancelled() => return,
            admitted = self.limits.admit(peer.ip(), self.is_protected) => admitted,
        };
        let slot = match admitted {
            Ok(slot) => slot,
            Err(error) => {
                tracing::info!(listener = self.endpoint.listener, %peer, %error, "connection refused");
                return;
            }
        };
        let options = stream
            .set_nodelay(true)
            .and_then(|()| Ok(rustix::net::sockopt::set_socket_keepalive(&stream, true)?));
        if let Err(error) = options {
            // The connection is already closed.
            tracing::debug!(%peer, %error, "connection lost");
            return;
        }
        let context = RequestContext {
            api_version: 0,
            client_id: String::new(),
            peer,
            listener: self.endpoint.listener.clone(),
            security_protocol: self.endpoint.security_protocol,
            principal: KafkaPrincipal::anonymous(),
        };
        let channel_id = match stream.local_addr() {
            Ok(local) => ChannelId {
                local,
                peer,
                number: slot.id(),
            },
            Err(_) => return,
        };
        let metrics = self.settings.listener_metrics.clone();
        metrics.connection_creation.mark(1);
        let connection = Connection::new(
            stream,
            context,
            slot,
            self.handler.clone(),
            self.settings.clone(),
            self.stopping.clone(),
        );
        self.connections
            .spawn(async move { (channel_id, connection.serve().await) });
    }

    fn log_end(&self, ended: Result<(ChannelId, ConnectionEnd), JoinError>) {
        let listener = self.endpoint.listener.as_str();
        self.settings.listener_metrics.connection_close.mark(1);
        let (channel, end) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(listener, %error, "connection task failed");
                return;
            }
        };
        match end {
            ConnectionEnd::Unauthenticated { is_renewal, error } => {
                let what = if is_renewal {
                    "re-authentication"
                } else {
                    "authentication"
                };
                let ip = channel.peer.ip();
                tracing::info!(
                    listener,
                    "Failed {what} with /{ip} (channelId={channel}) ({error})"
                );
            }
            ConnectionEnd::FrameSize(_) | ConnectionEnd::Request(_) | ConnectionEnd::UnexpectedRequest(_) => {
                tracing::warn!(listener, peer = %channel.peer, reason = %end, "connection closed because of a malformed request");
            }
            ConnectionEnd::Panicked(_) => {
                tracing::error!(listener, peer = %channel.peer, reason = %end, "connection closed");
            }
            ConnectionEnd::ClosedByHandler | ConnectionEnd::Evicted => {
                tracing::info!(listener, peer = %channel.peer, reason = %end, "connection closed");
            }
            _ => tracing::debug!(listener, peer = %channel.peer, reason = %end, "connection closed"),
        }
    }
}

/// Kafka's name for a connection: both addresses and a number.
pub(super) struct ChannelId {
    local: SocketAddr,
    peer: SocketAddr,
    number: u64,
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.local, self.peer, self.number)
    }
}

//! Owns the listeners and the connections that they accept. Kafka 3.9: `SocketServer`, `Acceptor`.
//!
//! Binding and serving are two steps: a broker must know its ports before it registers, and it registers before it
//! serves. Between the two steps clients wait in the operating system's listen backlog.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, ConnectionEnd, ConnectionSettings};
use super::limits::ConnectionLimits;
use super::request_handler::{RequestContext, RequestHandler};
use super::request_metrics::RequestMetrics;
use super::transport::Transport;
use crate::config::{BrokerConfig, Endpoint, SecurityProtocol};
use crate::metrics::Registry;
use crate::security::KafkaPrincipal;

/// How long an acceptor waits after a failure that does not pass immediately, such as a lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be resolved or is in use.
    #[error("listener {listener} cannot listen on {address}: {source}")]
    Address {
        /// The listener's name.
        listener: String,
        /// `host:port` as configured.
        address: String,
        /// The error from the operating system.
        source: io::Error,
    },
    /// A host in the overrides cannot be resolved.
    #[error("max.connections.per.ip.overrides: {0}")]
    Limits(io::Error),
    /// The listener's security protocol is not implemented yet.
    #[error("listener {listener} wants {}, and only PLAINTEXT is supported", protocol.name())]
    UnsupportedProtocol {
        /// The listener's name.
        listener: String,
        /// The configured security protocol.
        protocol: SecurityProtocol,
    },
}

/// Bound listeners that do not accept yet.
pub struct SocketServer {
    listeners: Vec<(Endpoint, TcpListener)>,
    inter_broker_listener: String,
    limits: Arc<ConnectionLimits>,
    settings: ConnectionSettings,
}

/// Listeners that accept. Dropping it ends every connection immediately.
pub struct RunningServer {
    acceptors: JoinSet<()>,
    stopping: CancellationToken,
}

impl SocketServer {
    /// Binds every listener of the configuration. The request metrics are registered in `metrics`.
    pub async fn bind(config: &BrokerConfig, metrics: &Registry) -> Result<Self, BindError> {
        let mut listeners = vec![];
        for endpoint in &config.listeners {
            let (listener, protocol) = (endpoint.listener.clone(), endpoint.security_protocol);
            if protocol != SecurityProtocol::Plaintext {
                return Err(BindError::UnsupportedProtocol { listener, protocol });
            }
            let bound = bind_endpoint(endpoint, config).await;
            let bound = bound.and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
            let (port, socket) = bound.map_err(|source| BindError::Address {
                listener,
                address: format!("{}:{}", endpoint.host, endpoint.port),
                source,
            })?;
            let endpoint = Endpoint {
                port,
                ..endpoint.clone()
            };
            listeners.push((endpoint, socket));
        }
        Ok(Self {
            listeners,
            inter_broker_listener: config.inter_broker_listener_name.clone(),
            limits: limits(config).await?,
            settings: ConnectionSettings {
                max_request_bytes: config.socket_request_max_bytes,
                max_idle: Duration::from_millis(config.connections_max_idle_ms),
                running_requests: Arc::new(Semaphore::new(
                    config.queued_max_requests.clamp(1, Semaphore::MAX_PERMITS),
                )),
                metrics: Arc::new(RequestMetrics::new(metrics.clone())),
            },
        })
    }

    /// The connection limits. They also apply to the running server.
    pub fn limits(&self) -> Arc<ConnectionLimits> {
        self.limits.clone()
    }

    /// The listeners in the order of the configuration, with their bound ports.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners.iter().map(|(endpoint, _)| endpoint)
    }

    /// Starts to accept connections. Must be called within a Tokio runtime.
    pub fn start<H: RequestHandler>(self, handler: &Arc<H>) -> RunningServer {
        let stopping = CancellationToken::new();
        let mut acceptors = JoinSet::new();
        let several = self.listeners.len() > 1;
        for (endpoint, listener) in self.listeners {
            let acceptor = Acceptor {
                is_protected: several && endpoint.listener == self.inter_broker_listener,
                endpoint,
                limits: self.limits.clone(),
                settings: self.settings.clone(),
                handler: handler.clone(),
                stopping: stopping.clone(),
                connections: JoinSet::new(),
            };
            acceptors.spawn(acceptor.run(listener));
        }
        RunningServer { acceptors, stopping }
    }
}

impl RunningServer {
    /// Stops accepting, waits until every request in flight is answered, and ends the connections. Connections that are
    /// not done after `grace` are closed.
    pub async fn stop(mut self, grace: Duration) {
        self.stopping.cancel();
        let all_ended = async { while self.acceptors.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            tracing::info!("connections with requests in flight were cut off");
        }
    }
}

async fn limits(config: &BrokerConfig) -> Result<Arc<ConnectionLimits>, BindError> {
    let config = config.clone();
    let limits = tokio::task::spawn_blocking(move || ConnectionLimits::new(&config)).await;
    limits
        .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
        .map_err(BindError::Limits)
}

async fn bind_endpoint(endpoint: &Endpoint, config: &BrokerConfig) -> io::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = match endpoint.host.as_str() {
        // An empty host means every interface, in IPv4 and, if available, IPv6.
        "" => vec![
            ([0u16; 8], endpoint.port).into(),
            ([0u8; 4], endpoint.port).into(),
        ],
        host => lookup_host((host, endpoint.port)).await?.collect(),
    };
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match bind_address(address, config) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn bind_address(address: SocketAddr, config: &BrokerConfig) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit these sizes. If a size is not positive, the operating system decides.
    if let Ok(bytes @ 1..) = u32::try_from(config.socket_send_buffer_bytes) {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Ok(bytes @ 1..) = u32::try_from(config.socket_receive_buffer_bytes) {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    socket.listen(
        u32::try_from(config.socket_listen_backlog_size)
            .unwrap_or(1)
            .max(1),
    )
}

struct Acceptor<H> {
    endpoint: Endpoint,
    is_protected: bool,
    limits: Arc<ConnectionLimits>,
    settings: ConnectionSettings,
    handler: Arc<H>,
    stopping: CancellationToken,
    connections: JoinSet<(SocketAddr, ConnectionEnd)>,
}

impl<H: RequestHandler> Acceptor<H> {
    async fn run(mut self, listener: TcpListener) {
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
        let connection = Connection::new(
            Transport::Plain(stream),
            context,
            slot,
            self.handler.clone(),
            self.settings.clone(),
            self.stopping.clone(),
        );
        self.connections
            .spawn(async move { (peer, connection.serve().await) });
    }

    fn log_end(&self, ended: Result<(SocketAddr, ConnectionEnd), JoinError>) {
        let listener = self.endpoint.listener.as_str();
        match ended {
            Ok((peer, end @ (ConnectionEnd::FrameSize(_) | ConnectionEnd::Request(_)))) => {
                tracing::warn!(listener, %peer, reason = %end, "connection closed because of a malformed request");
            }
            Ok((peer, end @ ConnectionEnd::Panicked(_))) => {
                tracing::error!(listener, %peer, reason = %end, "connection closed");
            }
            Ok((peer, end @ (ConnectionEnd::ClosedByHandler | ConnectionEnd::Evicted))) => {
                tracing::info!(listener, %peer, reason = %end, "connection closed");
            }
            Ok((peer, end)) => tracing::debug!(listener, %peer, reason = %end, "connection closed"),
            Err(error) => tracing::error!(listener, %error, "connection task failed"),
        }
    }
}

#[cfg(test)]
mod tests;

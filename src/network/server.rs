//! Owns the listeners and the connections that they accept. Kafka 3.9: `SocketServer`, `Acceptor`.
//!
//! Binding and serving are two steps: a broker must know its ports before it registers, and it registers before it
//! serves. Between the two steps clients wait in the operating system's listen backlog.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::acceptor::Acceptor;
use super::connection::ConnectionSettings;
use super::limits::ConnectionLimits;
use super::listener_metrics::ListenerMetrics;
use super::listener_security::ListenerSecurities;
use super::request_handler::RequestHandler;
use super::request_metrics::RequestMetrics;
use crate::common::clock::SharedClock;
use crate::config::{BrokerConfig, Endpoint};
use crate::metrics::Registry;

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
}

/// Bound listeners that do not accept yet.
pub struct SocketServer {
    listeners: Vec<BoundListener>,
    inter_broker_listener: String,
    limits: Arc<ConnectionLimits>,
}

struct BoundListener {
    endpoint: Endpoint,
    socket: TcpListener,
    settings: ConnectionSettings,
}

/// Listeners that accept. Dropping it ends every connection immediately.
pub struct RunningServer {
    acceptors: JoinSet<()>,
    stopping: CancellationToken,
}

impl SocketServer {
    /// Binds every listener of the configuration. The request metrics are registered in `metrics`.
    pub async fn bind(
        config: &BrokerConfig,
        securities: &ListenerSecurities,
        metrics: &Registry,
        clock: &SharedClock,
    ) -> Result<Self, BindError> {
        let request_metrics = Arc::new(RequestMetrics::new(metrics.clone()));
        let running_requests = Arc::new(Semaphore::new(
            config.queued_max_requests.clamp(1, Semaphore::MAX_PERMITS),
        ));
        let mut listeners = vec![];
        for endpoint in &config.listeners {
            let listener = endpoint.listener.clone();
            let Some(security) = securities.of(&listener).cloned() else {
                unreachable!("every listener has its security");
            };
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
            let settings = ConnectionSettings {
                max_request_bytes: config.socket_request_max_bytes,
                max_idle: Duration::from_millis(config.connections_max_idle_ms),
                running_requests: running_requests.clone(),
                metrics: request_metrics.clone(),
                security,
                listener_metrics: Arc::new(ListenerMetrics::new(metrics, &endpoint.listener)),
                clock: clock.clone(),
            };
            listeners.push(BoundListener {
                endpoint,
                socket,
                settings,
            });
        }
        Ok(Self {
            listeners,
            inter_broker_listener: config.inter_broker_listener_name.clone(),
            limits: limits(config).await?,
        })
    }

    /// The connection limits. They also apply to the running server.
    pub fn limits(&self) -> Arc<ConnectionLimits> {
        self.limits.clone()
    }

    /// The listeners in the order of the configuration, with their bound ports.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners.iter().map(|listener| &listener.endpoint)
    }

    /// Starts to accept connections. Must be called within a Tokio runtime.
    pub fn start<H: RequestHandler>(self, handler: &Arc<H>) -> RunningServer {
        let stopping = CancellationToken::new();
        let mut acceptors = JoinSet::new();
        let several = self.listeners.len() > 1;
        for listener in self.listeners {
            let acceptor = Acceptor {
                is_protected: several && listener.endpoint.listener == self.inter_broker_listener,
                endpoint: listener.endpoint,
                limits: self.limits.clone(),
                settings: listener.settings,
                handler: handler.clone(),
                stopping: stopping.clone(),
                connections: JoinSet::new(),
            };
            acceptors.spawn(acceptor.run(listener.socket));
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

#[cfg(test)]
mod tests;

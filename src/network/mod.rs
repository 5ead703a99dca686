//! The connections: the server for clients and brokers, and the client for other brokers.
//! Imports `common`, `config`, `metrics`, `protocol`. Kafka 3.9: `SocketServer`, `RequestChannel`, `NetworkClient`.

pub mod client;
mod connection;
mod limits;
pub mod request_handler;
mod request_metrics;
pub mod server;
mod stream;

pub use client::{BrokerAddress, NetworkClient, NetworkError};
pub use limits::ConnectionLimits;
pub use request_handler::{Reply, RequestContext, RequestHandler};
pub use server::{BindError, RunningServer, SocketServer};

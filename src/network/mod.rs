//! Owns the connections: the server for clients and brokers and the client for other brokers. The channel to the
//! controller and the queues of requests to brokers use that client. Imports `common`, `config`, `metrics`, `protocol`,
//! `security`.
//! Kafka 3.9: `SocketServer`, `RequestChannel`, `NetworkClient`.

mod acceptor;
mod authentication;
mod channel_builder;
pub mod client;
mod client_connection;
mod connection;
pub mod inter_broker_send_thread;
mod limits;
mod listener_metrics;
mod listener_security;
pub mod node_to_controller;
pub mod request_handler;
mod request_metrics;
mod request_writer;
mod sasl_client_authenticator;
mod sasl_server_authenticator;
pub mod server;
mod session;
mod stream;
mod transport;

pub use channel_builder::ChannelBuilder;
pub use client::{BrokerAddress, ClientSettings, NetworkClient, NetworkError};
pub use inter_broker_send_thread::{InterBrokerRequests, InterBrokerSendThread};
pub use limits::ConnectionLimits;
pub use listener_security::{ListenerSecurities, SecurityError};
pub use node_to_controller::{NodeToControllerChannelManager, NodeToControllerError};
pub use request_handler::{Reply, RequestContext, RequestHandler};
pub use server::{BindError, RunningServer, SocketServer};

//! The interface between connections and the broker: it takes a request and returns a reply. Kafka 3.9:
//! `ApiRequestHandler`, `RequestChannel`.

use std::future::Future;
use std::net::SocketAddr;

use crate::config::SecurityProtocol;
use crate::protocol::{Request, Response};
use crate::security::KafkaPrincipal;

/// The origin of a request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The version of the request.
    pub api_version: i16,
    /// The client id. May be empty.
    pub client_id: String,
    /// The client's address.
    pub peer: SocketAddr,
    /// The name of the listener that received the request, in upper case.
    pub listener: String,
    /// The listener's security protocol.
    #[allow(dead_code)] // Until there is an authorizer.
    pub security_protocol: SecurityProtocol,
    /// The identity that the client has proved.
    #[allow(dead_code)] // Until there is an authorizer.
    pub principal: KafkaPrincipal,
}

/// The result of a request.
#[derive(Debug)]
pub enum Reply {
    /// The connection sends this response.
    Send(Response),
    /// The client expects no response: a Produce request with acks=0.
    Nothing,
    /// The connection is closed without a response. This is the only way to report a failure to a client that expects
    /// no response.
    Close,
}

/// The broker as its connections see it.
pub trait RequestHandler: Send + Sync + 'static {
    /// Handles one request. Requests of one connection come one after another, requests of different connections in
    /// parallel.
    ///
    /// The future runs to its end even if the client has disconnected. It may wait for any time. A panic in it ends
    /// only the connection.
    fn handle(
        &self,
        context: &RequestContext,
        correlation_id: i32,
        request: Request,
    ) -> impl Future<Output = Reply> + Send;
}

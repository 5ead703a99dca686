//! What stands between connections and the broker: a request goes in, a reply comes out.
//! Kafka 3.9: `ApiRequestHandler`, `RequestChannel`.

use std::future::Future;
use std::net::SocketAddr;

use crate::protocol::{Request, Response};

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Version of the request.
    pub api_version: i16,
    /// The client's name for itself; may be empty.
    pub client_id: String,
    /// Its address.
    pub peer: SocketAddr,
    /// Name of the listener it came through, in upper case.
    pub listener: String,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Reply {
    /// The client gets this response.
    Send(Response),
    /// The client expects no response: a Produce request with acks=0.
    Nothing,
    /// The connection is closed without a response: the only way to tell a client that expects none of a
    /// failure.
    Close,
}

/// The broker as its connections see it.
pub trait RequestHandler: Send + Sync + 'static {
    /// Handles one request. Requests of one connection come one after the other, those of many at once.
    ///
    /// The future is driven to its end even if the client has gone. It may wait as long as it wants to, and it
    /// may panic: that costs the connection and nothing else.
    fn handle(
        &self,
        context: &RequestContext,
        correlation_id: i32,
        request: Request,
    ) -> impl Future<Output = Reply> + Send;
}

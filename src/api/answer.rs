//! The answer of a handler, and how it becomes a reply. Most handlers answer with a response alone, which is written in
//! the version of the request.

use crate::network::{Reply, RequestContext};
use crate::protocol::codec::EncodeError;
use crate::protocol::fetch_response::FetchResponse;
use crate::protocol::{Response, WireResponse};

/// The answer of a handler that has more to say than a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// The client waits for this.
    Respond(T),
    /// The client waits for this, in another version than that of its request.
    RespondIn(i16, T),
    /// The client expects nothing: a Produce request with acks=0.
    Nothing,
    /// The connection is closed, as after a request that cannot be read.
    Close,
}

/// What a request's connection does with the answer.
pub trait IntoReply {
    /// The bytes for the client, or what happens instead.
    fn into_reply(self, context: &RequestContext, correlation_id: i32) -> Reply;
}

impl<T: WireResponse> IntoReply for T {
    fn into_reply(self, context: &RequestContext, correlation_id: i32) -> Reply {
        reply(context, Response::of(&self, context.api_version, correlation_id))
    }
}

impl<T: WireResponse> IntoReply for Answer<T> {
    fn into_reply(self, context: &RequestContext, correlation_id: i32) -> Reply {
        match self {
            Self::Respond(response) => response.into_reply(context, correlation_id),
            Self::RespondIn(version, response) => {
                reply(context, Response::of(&response, version, correlation_id))
            }
            Self::Nothing => Reply::Nothing,
            Self::Close => Reply::Close,
        }
    }
}

impl IntoReply for FetchResponse {
    fn into_reply(self, context: &RequestContext, correlation_id: i32) -> Reply {
        reply(context, self.into_response(context.api_version, correlation_id))
    }
}

fn reply(context: &RequestContext, response: Result<Response, EncodeError>) -> Reply {
    match response {
        Ok(response) => Reply::Send(response),
        Err(error) => {
            tracing::error!(peer = %context.peer, %error, "a response cannot be written");
            Reply::Close
        }
    }
}

//! Owns what a server's side of an exchange answers to a token. Kafka 3.9: `SaslServer.evaluateResponse` and the
//! negotiated properties.

use bytes::Bytes;

use crate::security::KafkaPrincipal;

/// The answer to one token of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The bytes to send, often none.
    pub response: Bytes,
    /// Who the client is, once that is proven. The exchange is then complete.
    pub authenticated: Option<Authenticated>,
    /// Whether a client that sends raw tokens gets no frame at all in place of an empty one.
    pub is_silent: bool,
}

impl Evaluation {
    /// An answer after which the client sends another token.
    pub fn challenge(response: impl Into<Bytes>) -> Self {
        Self {
            response: response.into(),
            authenticated: None,
            is_silent: false,
        }
    }

    /// The last answer.
    pub fn complete(response: impl Into<Bytes>, authenticated: Authenticated) -> Self {
        Self {
            response: response.into(),
            authenticated: Some(authenticated),
            is_silent: false,
        }
    }
}

/// A client that has proven its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Its identity.
    pub principal: KafkaPrincipal,
    /// When its credentials expire, in milliseconds since 1970, if they do. May be past: tokens have a grace period.
    pub expires_at_ms: Option<i64>,
}

impl Authenticated {
    /// A user whose credentials do not expire.
    pub fn user(name: &str) -> Self {
        Self {
            principal: KafkaPrincipal::user(name),
            expires_at_ms: None,
        }
    }
}

//! Owns what a connection remembers of a client's proof of identity. Kafka 3.9: `SaslServerAuthenticator.ReauthInfo`.

use tokio::time::Instant;

use crate::security::KafkaPrincipal;

/// An identity that a client has proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SaslSession {
    pub(super) principal: KafkaPrincipal,
    pub(super) mechanism: String,
    /// How long the proof is good, in milliseconds from the end of the exchange. `None` is without limit.
    pub(super) lifetime_ms: Option<i64>,
    /// Whether the client learns the lifetime: SaslAuthenticate has it from version 1 on.
    pub(super) learns_lifetime: bool,
}

/// The identity of a client on a SASL listener.
pub(super) struct Session {
    pub(super) proved: SaslSession,
    /// The next request after this moment closes the connection. `None` is never.
    pub(super) expires: Option<Instant>,
    /// When the last renewal began.
    pub(super) renewed: Option<Instant>,
}

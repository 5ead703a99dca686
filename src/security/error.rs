//! Owns the error of a failed authentication. Kafka 3.9: `AuthenticationException`.

/// Why a client is not who it says. The text is Kafka's; some of it goes to the client, so it tells no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthenticationError(String);

impl AuthenticationError {
    /// An error with Kafka's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

//! Owns the error of TLS settings that cannot be used. The texts are Kafka's, so that what operators search for is
//! found.

use std::fmt::Display;

/// Why a listener's TLS settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SslError(String);

impl SslError {
    /// An error with Kafka's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A store that cannot be read.
    pub fn store(path: &str, kind: &str, reason: impl Display) -> Self {
        Self(format!(
            "Failed to load SSL keystore {path} of type {kind}: {reason}"
        ))
    }
}

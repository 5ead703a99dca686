//! Owns the errors of SASL exchanges: which of them a client is told. Kafka 3.9: `SaslAuthenticationException`, Java's
//! `SaslException`, `KerberosError`.

use crate::security::AuthenticationError;

/// Why an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The client is told the text, with the error 58.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// The client is told only that its credentials are invalid, see [`SaslError::client_text`]: the text, which is for
    /// the log at debug, would tell whether the user exists.
    #[error("{0}")]
    InvalidCredentials(String),
    /// A passing error, such as a clock that differs. The connection is closed without an answer or a delay, as after
    /// an I/O error, and the client tries again.
    #[error("{0}")]
    #[cfg_attr(
        not(feature = "gssapi"),
        allow(dead_code, reason = "only Kerberos has such errors")
    )]
    Retriable(String),
}

impl SaslError {
    /// An error whose text the client is told.
    pub fn authentication(text: impl Into<String>) -> Self {
        Self::Authentication(AuthenticationError::new(text))
    }

    /// An error whose text stays here.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::InvalidCredentials(text.into())
    }

    /// The text of the error 58 that is the answer; `None` if the connection is to be closed without one.
    pub fn client_text(&self, mechanism: &str, is_reauthentication: bool) -> Option<String> {
        match self {
            Self::Authentication(error) => Some(error.to_string()),
            Self::InvalidCredentials(_) => {
                let during = match is_reauthentication {
                    true => "re-authentication",
                    false => "authentication",
                };
                Some(format!(
                    "Authentication failed during {during} due to invalid credentials with SASL mechanism {mechanism}"
                ))
            }
            Self::Retriable(_) => None,
        }
    }
}

/// Why the mechanisms of a listener cannot be set up: the broker does not start. Kafka 3.9: `KafkaException`,
/// `ConfigException`, Java's `LoginException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SaslSetupError(String);

impl SaslSetupError {
    /// An error with its text, which has no secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<crate::security::jaas::JaasError> for SaslSetupError {
    fn from(error: crate::security::jaas::JaasError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_told_no_more_than_kafka_tells() {
        let told = SaslError::authentication("Authentication failed: username not specified");
        let text = "Authentication failed: username not specified";
        assert_eq!(told.client_text("PLAIN", false).as_deref(), Some(text));
        let kept = SaslError::invalid("no such user");
        let text = |during: &str| {
            format!(
                "Authentication failed during {during} due to invalid credentials with SASL mechanism SCRAM-SHA-256"
            )
        };
        assert_eq!(
            kept.client_text("SCRAM-SHA-256", false),
            Some(text("authentication"))
        );
        assert_eq!(
            kept.client_text("SCRAM-SHA-256", true),
            Some(text("re-authentication"))
        );
        assert_eq!(
            SaslError::Retriable("skew".to_owned()).client_text("GSSAPI", false),
            None
        );
    }
}

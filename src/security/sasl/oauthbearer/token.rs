//! Owns what a validated token says, why one is refused, and the reading of its parts. Kafka 3.9: `OAuthBearerToken`,
//! `OAuthBearerValidationResult`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The claims, or the header, of a token.
pub type Claims = Map<String, Value>;

/// A token that proves an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The user's name.
    pub principal: String,
    /// When it expires, in milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// A token that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is told.
    pub json: String,
    /// Why, for the log. Says nothing of the token but names of claims and times.
    pub reason: String,
}

impl Refusal {
    /// A token that is not valid.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self {
            json: r#"{"status":"invalid_token"}"#.to_owned(),
            reason: reason.into(),
        }
    }

    /// A token without a scope that is needed; `scope` is the list of those needed.
    pub fn insufficient_scope(scope: &str, reason: impl Into<String>) -> Self {
        Self {
            json: format!(r#"{{"status":"insufficient_scope", "scope":"{scope}"}}"#),
            reason: reason.into(),
        }
    }
}

/// Reads an object of JSON in Base64. Java's two decoders take one alphabet each; both are taken here.
pub fn read_part(part: &str) -> Result<Claims, Refusal> {
    let unpadded = part.trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD
        .decode(unpadded)
        .or_else(|_| STANDARD_NO_PAD.decode(unpadded))
        .map_err(|_| Refusal::invalid("malformed Base64 URL encoded value"))?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(Refusal::invalid("malformed JSON")),
    }
}

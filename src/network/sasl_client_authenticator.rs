//! Proves this broker's identity to another broker, on a new connection and again before the session ends.
//! Kafka 3.9: `SaslClientAuthenticator`.
//!
//! The requests of the exchange go through the connection's queue like all others, so that a renewal may begin while
//! responses are on their way.

use std::time::Duration;

use bytes::Bytes;
use rand::Rng as _;
use tokio::time::Instant;

use super::request_writer::RequestWriter;
use crate::common::error::ErrorCode;
use crate::protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use crate::protocol::wire_text;
use crate::security::sasl::SaslClient;

/// The version of SaslHandshake behind which tokens are SaslAuthenticate requests.
const HANDSHAKE_VERSION: i16 = 1;
/// A version of SaslAuthenticate that every broker of Kafka 3.9 serves.
const AUTHENTICATE_VERSION: i16 = 2;
/// A session is renewed after this share of its lifetime, and up to [`RENEWAL_SPREAD`] later, so that not all
/// connections are renewed at the same time (KIP-368).
const RENEWAL_SHARE: f64 = 0.85;
const RENEWAL_SPREAD: f64 = 0.10;

/// Runs the exchange. Returns when to renew the session, if it ends.
pub(super) async fn authenticate(
    writer: &mut RequestWriter<'_>,
    mut client: SaslClient,
) -> Result<Option<Instant>, String> {
    let mechanism = client.mechanism().to_owned();
    let handshake = SaslHandshakeRequest::default().with_mechanism(wire_text(&mechanism));
    let response = writer.ask(&handshake, HANDSHAKE_VERSION).await?;
    if response.error_code != 0 {
        let enabled: Vec<&str> = response.mechanisms.iter().map(|name| name.as_str()).collect();
        return Err(format!(
            "Client SASL mechanism '{mechanism}' not enabled in the server, enabled mechanisms are {enabled:?}"
        ));
    }
    let begun = Instant::now();
    let failed = |error: &dyn std::fmt::Display| format!("SASL {mechanism}: {error}");
    let mut token = client.first();
    loop {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(token);
        let response = writer.ask(&request, AUTHENTICATE_VERSION).await?;
        if response.error_code != 0 {
            let text = response.error_message.as_ref().map(|text| text.as_str());
            let code = ErrorCode::from_code(response.error_code);
            return Err(text
                .filter(|text| !text.is_empty())
                .map_or_else(|| format!("{code:?}"), str::to_owned));
        }
        let challenge = Bytes::from(response.auth_bytes.to_vec());
        let answer = client
            .evaluate(&challenge)
            .await
            .map_err(|error| failed(&error))?;
        match answer {
            Some(answer) => token = answer,
            None if client.is_complete() => return Ok(renewal(begun, response.session_lifetime_ms)),
            None => return Err(failed(&"the exchange ended early")),
        }
    }
}

fn renewal(begun: Instant, lifetime_ms: i64) -> Option<Instant> {
    let lifetime_ms = u64::try_from(lifetime_ms).ok().filter(|&lifetime| lifetime > 0)?;
    let share = RENEWAL_SHARE + RENEWAL_SPREAD * rand::rng().random::<f64>();
    begun.checked_add(Duration::from_millis(lifetime_ms).mul_f64(share))
}

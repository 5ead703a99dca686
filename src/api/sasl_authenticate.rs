//! SaslAuthenticate (36): the bytes of a SASL mechanism. No listener has SASL, so the request is refused.
//! Kafka 3.9: `KafkaApis.handleSaslAuthenticateRequest`.

use super::declaration::Declaration;
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use crate::protocol::wire_text;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::SaslAuthenticate, 0..=2, &[]);

/// Answers one request.
pub async fn handle(_: &Api, _: &RequestContext, _: SaslAuthenticateRequest) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default()
        .with_error_code(ErrorCode::IllegalSaslState.code())
        .with_error_message(Some(wire_text(
            "SaslAuthenticate request received after successful authentication",
        )))
}

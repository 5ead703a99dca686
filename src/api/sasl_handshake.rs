//! SaslHandshake (17): chooses a SASL mechanism. No listener has SASL, so the request is refused.
//! Kafka 3.9: `KafkaApis.handleSaslHandshakeRequest`.

use super::declaration::Declaration;
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::SaslHandshake, 0..=1, &[]);

/// Answers one request.
pub async fn handle(_: &Api, _: &RequestContext, _: SaslHandshakeRequest) -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ErrorCode::IllegalSaslState.code())
}

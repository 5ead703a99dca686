//! RenewDelegationToken (39): prolongs a token. It needs a listener with SASL or TLS, and is refused. Kafka 3.9:
//! `KafkaApis.handleRenewTokenRequest`.

use super::declaration::Declaration;
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};

/// The time of a token that does not exist.
const NEVER: i64 = -1;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::RenewDelegationToken, 0..=2, &[]);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    _: RenewDelegationTokenRequest,
) -> RenewDelegationTokenResponse {
    RenewDelegationTokenResponse::default()
        .with_error_code(ErrorCode::DelegationTokenRequestNotAllowed.code())
        .with_expiry_timestamp_ms(NEVER)
}

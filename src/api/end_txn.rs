//! EndTxn (26): commits or aborts a transaction. Kafka 3.9: `KafkaApis.handleEndTxnRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::coordinator::transaction::{ProducerIdAndEpoch, TransactionResult};
use crate::protocol::ApiKey;
use crate::protocol::messages::{EndTxnRequest, EndTxnResponse};

/// First version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 2;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::EndTxn,
    0..=4,
    &[Check::always(
        &[Right(AclOperation::Write, Resource::TransactionalId)],
        Refusal::Request(ErrorCode::TransactionalIdAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(api: &Api, context: &RequestContext, request: EndTxnRequest) -> EndTxnResponse {
    let producer = ProducerIdAndEpoch {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let result = match request.committed {
        true => TransactionResult::Commit,
        false => TransactionResult::Abort,
    };
    let ended = api
        .transactions
        .end(&request.transactional_id, producer, result)
        .await;
    let code = ended.err().unwrap_or(ErrorCode::None);
    let code = for_version(code, context.api_version, FIRST_VERSION_WITH_PRODUCER_FENCED);
    EndTxnResponse::default().with_error_code(code.code())
}

/// PRODUCER_FENCED becomes INVALID_PRODUCER_EPOCH for clients that do not know it.
pub(super) fn for_version(code: ErrorCode, version: i16, first_with_producer_fenced: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if version < first_with_producer_fenced => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}

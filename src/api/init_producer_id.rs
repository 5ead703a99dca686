//! InitProducerId (22): gives a producer its id and epoch. Kafka 3.9: `KafkaApis.handleInitProducerIdRequest`.
//!
//! Without a transactional id every request gets a new producer id, even if it names the id that the producer had: an
//! idempotent producer asks so when it has lost its sequence.

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::end_txn::for_version;
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::coordinator::transaction::ProducerIdAndEpoch;
use crate::protocol::ApiKey;
use crate::protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProducerId as WireProducerId,
};
use crate::record::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

/// First version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 4;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::InitProducerId,
    0..=5,
    &[
        Check::when(
            When::Transactional,
            &[Right(AclOperation::Write, Resource::TransactionalId)],
            Refusal::Request(ErrorCode::TransactionalIdAuthorizationFailed),
        ),
        Check::when(
            When::NotTransactional,
            &[
                Right(AclOperation::IdempotentWrite, Resource::Cluster),
                Right(AclOperation::Write, Resource::AnyTopic),
            ],
            Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
        ),
    ],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let initialized = match expected(&request) {
        Ok(expected) => {
            let id = request.transactional_id.as_ref().map(|id| &***id);
            let timeout_ms = request.transaction_timeout_ms;
            api.transactions.init_producer_id(id, timeout_ms, expected).await
        }
        Err(error) => Err(error),
    };
    match initialized {
        Ok(producer) => response(producer, ErrorCode::None),
        Err(error) => {
            let none = ProducerIdAndEpoch {
                id: NO_PRODUCER_ID,
                epoch: NO_PRODUCER_EPOCH,
            };
            let error = for_version(error, context.api_version, FIRST_VERSION_WITH_PRODUCER_FENCED);
            response(none, error)
        }
    }
}

/// The id and epoch that the producer had before. A request has both or neither.
fn expected(request: &InitProducerIdRequest) -> Result<Option<ProducerIdAndEpoch>, ErrorCode> {
    let (id, epoch) = (request.producer_id.0, request.producer_epoch);
    match (id != NO_PRODUCER_ID, epoch != NO_PRODUCER_EPOCH) {
        (true, true) => Ok(Some(ProducerIdAndEpoch { id, epoch })),
        (false, false) => Ok(None),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

fn response(producer: ProducerIdAndEpoch, error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_producer_id(WireProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_error_code(error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_without_an_epoch_is_no_producer() {
        let cases = [
            ((-1, -1), Ok(None)),
            ((5, 0), Ok(Some(ProducerIdAndEpoch { id: 5, epoch: 0 }))),
            ((5, -1), Err(ErrorCode::InvalidRequest)),
            ((-1, 0), Err(ErrorCode::InvalidRequest)),
        ];
        for ((id, epoch), expect) in cases {
            let request = InitProducerIdRequest::default()
                .with_producer_id(WireProducerId(id))
                .with_producer_epoch(epoch);
            assert_eq!(expected(&request), expect, "{id} {epoch}");
        }
    }
}

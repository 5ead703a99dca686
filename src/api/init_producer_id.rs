//! InitProducerId, versions 0 to 5. Kafka 3.9: `KafkaApis.handleInitProducerIdRequest`,
//! `TransactionCoordinator.handleInitProducerId`.
//!
//! Without a transactional id every request gets a new producer id, even one that names the id it had: that is
//! what an idempotent producer does after it lost track of its sequence. With one, the request is the transaction
//! coordinator's; this broker has none yet and answers COORDINATOR_NOT_AVAILABLE, on which clients look for the
//! coordinator again.

use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::common::ids::ProducerId;
use crate::protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProducerId as WireProducerId,
};
use crate::record::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let max_timeout_ms = api.config.transaction_max_timeout_ms;
    match check(&request, max_timeout_ms).and_then(|()| api.producer_ids.generate()) {
        Ok(id) => response(id, 0, ErrorCode::None),
        Err(error) => response(NO_PRODUCER_ID, NO_PRODUCER_EPOCH, error),
    }
}

fn check(request: &InitProducerIdRequest, max_timeout_ms: i32) -> Result<(), ErrorCode> {
    let has_id = request.producer_id.0 != NO_PRODUCER_ID;
    let has_epoch = request.producer_epoch != NO_PRODUCER_EPOCH;
    if has_id != has_epoch {
        return Err(ErrorCode::InvalidRequest);
    }
    match &request.transactional_id {
        None => Ok(()),
        Some(id) if id.is_empty() => Err(ErrorCode::InvalidRequest),
        Some(_) if !(1..=max_timeout_ms).contains(&request.transaction_timeout_ms) => {
            Err(ErrorCode::InvalidTransactionTimeout)
        }
        Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

fn response(id: ProducerId, epoch: i16, error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_producer_id(WireProducerId(id))
        .with_producer_epoch(epoch)
        .with_error_code(error.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::StrBytes;

    #[test]
    fn only_whole_requests_without_transactional_id_get_an_id() {
        let request = |transactional_id: Option<&'static str>, timeout_ms, id, epoch| {
            let id_text = transactional_id.map(|id| StrBytes::from_static_str(id).into());
            InitProducerIdRequest::default()
                .with_transactional_id(id_text)
                .with_transaction_timeout_ms(timeout_ms)
                .with_producer_id(WireProducerId(id))
                .with_producer_epoch(epoch)
        };
        let cases = [
            (request(None, -1, -1, -1), Ok(())),
            (request(None, -1, 5, 0), Ok(())),
            (request(None, -1, 5, -1), Err(ErrorCode::InvalidRequest)),
            (request(None, -1, -1, 0), Err(ErrorCode::InvalidRequest)),
            (request(Some(""), 1000, -1, -1), Err(ErrorCode::InvalidRequest)),
            (
                request(Some("t"), 0, -1, -1),
                Err(ErrorCode::InvalidTransactionTimeout),
            ),
            (
                request(Some("t"), 901, -1, -1),
                Err(ErrorCode::InvalidTransactionTimeout),
            ),
            (
                request(Some("t"), 900, -1, -1),
                Err(ErrorCode::CoordinatorNotAvailable),
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(check(&request, 900), expected, "{request:?}");
        }
    }
}

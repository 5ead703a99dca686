//! AllocateProducerIds (67): gives a broker a block of producer ids (KIP-730).
//! Kafka 3.9: `KafkaApis.handleAllocateProducerIdsRequest`.

use super::declaration::{Declaration, FROM_BROKERS};
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::common::ids::ProducerId;
use crate::protocol::ApiKey;
use crate::protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration =
    Declaration::built(ApiKey::AllocateProducerIds, 0..=0, FROM_BROKERS);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: AllocateProducerIdsRequest,
) -> AllocateProducerIdsResponse {
    response(
        api.controller
            .allocate_producer_ids(request.broker_id.0, request.broker_epoch)
            .await,
    )
}

fn response(result: Result<(ProducerId, i32), ErrorCode>) -> AllocateProducerIdsResponse {
    match result {
        Ok((first, number)) => AllocateProducerIdsResponse::default()
            .with_producer_id_start(first.into())
            .with_producer_id_len(number),
        Err(error) => AllocateProducerIdsResponse::default().with_error_code(error.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_or_an_error() {
        let block = response(Ok((2000, 1000)));
        assert_eq!(
            (block.error_code, block.producer_id_start.0, block.producer_id_len),
            (0, 2000, 1000)
        );
        assert_eq!(response(Err(ErrorCode::NotController)).error_code, 41);
    }
}

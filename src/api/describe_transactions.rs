//! DescribeTransactions (65): the state of transactions. Kafka 3.9: `KafkaApis.handleDescribeTransactionsRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::coordinator::transaction::TransactionValue;
use crate::protocol::ApiKey;
use crate::protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use crate::protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId as WireProducerId,
    TopicName as WireTopicName,
};
use crate::protocol::{StrBytes, wire_text};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeTransactions,
    0..=0,
    &[
        Check::always(
            &[Right(AclOperation::Describe, Resource::TransactionalId)],
            Refusal::Entry(ErrorCode::TransactionalIdAuthorizationFailed),
        ),
        Check::always(
            &[Right(AclOperation::Describe, Resource::AnsweredTopic)],
            Refusal::LeftOut,
        ),
    ],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|id| {
        let response = match api.transactions.describe(&id) {
            Ok(value) => transaction_state(&value),
            Err(error) => TransactionState::default().with_error_code(error.code()),
        };
        response.with_transactional_id(id)
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

fn transaction_state(value: &TransactionValue) -> TransactionState {
    let topics = value.partitions_by_topic().into_iter().map(|(name, partitions)| {
        TopicData::default()
            .with_topic(WireTopicName(wire_text(name)))
            .with_partitions(partitions)
    });
    TransactionState::default()
        .with_producer_id(WireProducerId(value.producer.id))
        .with_producer_epoch(value.producer.epoch)
        .with_transaction_state(StrBytes::from_static_str(value.state.name()))
        .with_transaction_timeout_ms(value.timeout_ms)
        .with_transaction_start_time_ms(value.start_ms)
        .with_topics(topics.collect())
}

//! ListTransactions (66): the transactions that this broker coordinates.
//! Kafka 3.9: `KafkaApis.handleListTransactionsRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::coordinator::transaction::{ListFilter, TransactionState};
use crate::protocol::ApiKey;
use crate::protocol::messages::list_transactions_response::TransactionState as WireTransactionState;
use crate::protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, ProducerId as WireProducerId,
};
use crate::protocol::{StrBytes, wire_text};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::ListTransactions,
    0..=1,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::AnsweredTransactionalId)],
        Refusal::LeftOut,
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let (mut states, mut unknown) = (Vec::new(), Vec::new());
    let any_state = request.state_filters.is_empty();
    for name in request.state_filters {
        match TransactionState::from_name(&name) {
            Some(state) => states.push(state),
            // An unknown state is listed once even if the request repeats it.
            None if unknown.contains(&name) => {}
            None => unknown.push(name),
        }
    }
    let filter = ListFilter {
        producer_ids: request.producer_id_filters.iter().map(|id| id.0).collect(),
        states: (!any_state).then_some(states),
        duration_ms: request.duration_filter,
    };
    match api.transactions.list(&filter) {
        Err(error) => ListTransactionsResponse::default().with_error_code(error.code()),
        Ok(listed) => {
            let listed = listed.into_iter().map(|transaction| {
                WireTransactionState::default()
                    .with_transactional_id(wire_text(&transaction.transactional_id).into())
                    .with_producer_id(WireProducerId(transaction.producer_id))
                    .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
            });
            ListTransactionsResponse::default()
                .with_unknown_state_filters(unknown)
                .with_transaction_states(listed.collect())
        }
    }
}

//! AddOffsetsToTxn (25): adds a group's partition of `__consumer_offsets` to a transaction.
//! Kafka 3.9: `KafkaApis.handleAddOffsetsToTxnRequest`.

use std::collections::BTreeSet;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::end_txn::for_version;
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::coordinator::transaction::ProducerIdAndEpoch;
use crate::protocol::ApiKey;
use crate::protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

/// First version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 2;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::AddOffsetsToTxn,
    0..=4,
    &[
        Check::always(
            &[Right(AclOperation::Write, Resource::TransactionalId)],
            Refusal::Request(ErrorCode::TransactionalIdAuthorizationFailed),
        ),
        Check::always(
            &[Right(AclOperation::Read, Resource::Group)],
            Refusal::Request(ErrorCode::GroupAuthorizationFailed),
        ),
    ],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let producer = ProducerIdAndEpoch {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let partition = api.groups.partition_for(&request.group_id);
    let partitions = BTreeSet::from([TopicPartition::new(GROUP_METADATA_TOPIC, partition)]);
    let added = api
        .transactions
        .add_partitions(&request.transactional_id, producer, partitions)
        .await;
    let code = added.err().unwrap_or(ErrorCode::None);
    let code = for_version(code, context.api_version, FIRST_VERSION_WITH_PRODUCER_FENCED);
    AddOffsetsToTxnResponse::default().with_error_code(code.code())
}

//! AddPartitionsToTxn (24): adds partitions to a transaction, or verifies that they are in it.
//! Kafka 3.9: `KafkaApis.handleAddPartitionsToTxnRequest`.
//!
//! A client sends one transaction, in versions up to 3. From version 4 on brokers send the request, with many
//! transactions, and mostly to verify them only (KIP-890).

use std::collections::BTreeSet;

use futures::future::join_all;

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::end_txn::for_version;
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::common::topic_name;
use crate::coordinator::transaction::ProducerIdAndEpoch;
use crate::protocol::ApiKey;
use crate::protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use crate::protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use crate::protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, TopicName};

/// The last version that clients send.
const LAST_CLIENT_VERSION: i16 = 3;
/// First version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 2;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::AddPartitionsToTxn,
    0..=5,
    &[
        Check::when(
            When::UpToVersion(LAST_CLIENT_VERSION),
            &[Right(AclOperation::Write, Resource::TransactionalId)],
            Refusal::AllEntries(ErrorCode::TransactionalIdAuthorizationFailed),
        ),
        Check::when(
            When::UpToVersion(LAST_CLIENT_VERSION),
            &[Right(AclOperation::Write, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
        Check::when(
            When::FromVersion(LAST_CLIENT_VERSION + 1),
            &[Right(AclOperation::ClusterAction, Resource::Cluster)],
            Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
        ),
    ],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let version = context.api_version;
    if version > LAST_CLIENT_VERSION {
        let results = request.transactions.into_iter().map(|transaction| async move {
            let topic_results = answer(api, version, &transaction).await;
            AddPartitionsToTxnResult::default()
                .with_transactional_id(transaction.transactional_id)
                .with_topic_results(topic_results)
        });
        return AddPartitionsToTxnResponse::default().with_results_by_transaction(join_all(results).await);
    }
    let transaction = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(request.v3_and_below_transactional_id)
        .with_producer_id(request.v3_and_below_producer_id)
        .with_producer_epoch(request.v3_and_below_producer_epoch)
        .with_topics(request.v3_and_below_topics);
    let results = answer(api, version, &transaction).await;
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results)
}

async fn answer(
    api: &Api,
    version: i16,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = &transaction.topics;
    let snapshot = api.metadata.snapshot();
    let refusal = |p: &TopicPartition| {
        if version <= LAST_CLIENT_VERSION && topic_name::is_internal(&p.topic) {
            // A client adds partitions of `__consumer_offsets` by AddOffsetsToTxn only.
            Some(ErrorCode::TopicAuthorizationFailed)
        } else if snapshot.partition(&p.topic, p.partition).is_none() {
            Some(ErrorCode::UnknownTopicOrPartition)
        } else {
            None
        }
    };
    let requested: BTreeSet<_> = partitions(topics).collect();
    if requested.iter().any(|partition| refusal(partition).is_some()) {
        // If one partition cannot be added, none is.
        return results(topics, |partition| {
            refusal(partition).unwrap_or(ErrorCode::OperationNotAttempted)
        });
    }
    let id = &*transaction.transactional_id;
    let producer = ProducerIdAndEpoch {
        id: transaction.producer_id.0,
        epoch: transaction.producer_epoch,
    };
    let answered = if transaction.verify_only {
        let requested = requested.into_iter().collect();
        api.transactions.verify_partitions(id, producer, requested)
    } else {
        let added = api.transactions.add_partitions(id, producer, requested).await;
        added.map(|()| Vec::new())
    };
    match answered {
        Ok(codes) => results(topics, |partition| {
            let code = codes.iter().find(|(p, _)| p == partition);
            code.map_or(ErrorCode::None, |(_, code)| *code)
        }),
        Err(error) => {
            let error = for_version(error, version, FIRST_VERSION_WITH_PRODUCER_FENCED);
            results(topics, |_| error)
        }
    }
}

fn partitions(topics: &[AddPartitionsToTxnTopic]) -> impl Iterator<Item = TopicPartition> {
    topics.iter().flat_map(|topic| {
        let name: crate::common::ids::TopicName = (&**topic.name).into();
        let partitions = topic.partitions.iter();
        partitions.map(move |&partition| TopicPartition::new(name.clone(), partition))
    })
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&TopicPartition) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let result = |name: &TopicName, index: i32| {
        let partition = TopicPartition::new(&***name, index);
        AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(index)
            .with_partition_error_code(code(&partition).code())
    };
    let topic = |topic: &AddPartitionsToTxnTopic| {
        let partitions = topic.partitions.iter();
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.map(|&index| result(&topic.name, index)).collect())
    };
    topics.iter().map(topic).collect()
}

//! Produce (0): records for partitions that this broker leads. Kafka 3.9: `KafkaApis.handleProduceRequest`.

use std::time::Duration;

use bytes::Bytes;

use super::answer::Answer;
use super::current_leader::CurrentLeaders;
use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::log::AppendError;
use crate::metadata::MetadataSnapshot;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::produce_request::TopicProduceData;
use crate::protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use crate::protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use crate::record::conversion::Conversion;
use crate::record::{RecordBatches, validate_produce_version};
use crate::replica::{AppendEntry, AppendResult, ReplicaManager, TransactionalOperation};

/// The client id of Kafka's tool that repairs internal topics; no other client may write to them.
const ADMIN_CLIENT_ID: &str = "__admin_client";
/// First version that names the invalid records (KIP-467).
const FIRST_VERSION_WITH_RECORD_ERRORS: i16 = 8;
/// First version that names the current leader (KIP-951).
const FIRST_VERSION_WITH_CURRENT_LEADER: i16 = 10;
/// First version whose clients know TRANSACTION_ABORTABLE (KIP-890).
const FIRST_VERSION_WITH_ABORTABLE: i16 = 11;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::Produce,
    0..=11,
    &[
        Check::when(
            When::Transactional,
            &[Right(AclOperation::Write, Resource::TransactionalId)],
            Refusal::AllEntries(ErrorCode::TransactionalIdAuthorizationFailed),
        ),
        Check::always(
            &[Right(AclOperation::Write, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
    ],
);

/// Answers one request.
pub async fn handle(api: &Api, context: &RequestContext, request: ProduceRequest) -> Answer<ProduceResponse> {
    let replicas = &api.replicas;
    let acks = request.acks;
    if request.transactional_id.is_none() && has_transactional_records(&request) {
        // Without the id no coordinator can verify the transaction.
        return match acks {
            0 => Answer::Close,
            _ => Answer::Respond(refuse_all(request, ErrorCode::TransactionalIdAuthorizationFailed)),
        };
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let snapshot = replicas.metadata().snapshot();
    let mut topics = Vec::with_capacity(request.topic_data.len());
    let mut entries = Vec::new();
    // A partition that is not refused here is appended to; its slot is the place of its result.
    let mut slots = Vec::new();
    for TopicProduceData {
        name, partition_data, ..
    } in request.topic_data
    {
        let topic = snapshot.topic_name(&name);
        let mut results: Vec<(TopicPartition, AppendResult)> = Vec::with_capacity(partition_data.len());
        for data in partition_data {
            let partition = TopicPartition::new(topic.clone(), data.index);
            let records = data.records.unwrap_or_default();
            let refusal = match check(&snapshot, context.api_version, &partition, &records) {
                Err(refusal) => refusal,
                Ok(()) => {
                    slots.push((topics.len(), results.len()));
                    entries.push(AppendEntry::new(partition.clone(), records));
                    refused(ErrorCode::UnknownServerError, "the records were not appended")
                }
            };
            results.push((partition, Err(refusal)));
        }
        topics.push((name, results));
    }
    let internal_topics_allowed = context.client_id == ADMIN_CLIENT_ID;
    let operation = match context.api_version {
        FIRST_VERSION_WITH_ABORTABLE.. => TransactionalOperation::GenericError,
        _ => TransactionalOperation::DefaultError,
    };
    let transaction = request.transactional_id.as_ref().map(|id| (&***id, operation));
    let appended = replicas
        .handle_produce_append(timeout, acks, internal_topics_allowed, transaction, entries)
        .await;
    let mut conversion = Conversion::default();
    for ((topic, partition), (_, result)) in slots.into_iter().zip(appended) {
        if let Ok(info) = &result {
            conversion += info.conversion;
        }
        topics[topic].1[partition].1 = result;
    }
    replicas.topic_metrics().produce_conversions.record(&conversion);
    if acks == 0 {
        let failed = topics
            .iter()
            .flat_map(|(_, results)| results)
            .find(|(_, r)| r.is_err());
        return match failed {
            Some((partition, result)) => {
                let error = result.as_ref().err();
                tracing::info!(%partition, ?error, "closing a connection that produces with acks=0");
                Answer::Close
            }
            None => Answer::Nothing,
        };
    }
    Answer::Respond(response(replicas, context, topics))
}

/// Looks at the first batch of each partition only, as Kafka does.
fn has_transactional_records(request: &ProduceRequest) -> bool {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let mut records = partitions.filter_map(|partition| partition.records.as_ref());
    records.any(|records| match RecordBatches::new(records).next() {
        Some(Ok(batch)) => batch.is_transactional(),
        _ => false,
    })
}

/// The same error for every partition of a request.
fn refuse_all(request: ProduceRequest, code: ErrorCode) -> ProduceResponse {
    let topics = request.topic_data.into_iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(code.code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1)
        });
        TopicProduceResponse::default()
            .with_partition_responses(partitions.collect())
            .with_name(topic.name)
    });
    ProduceResponse::default().with_responses(topics.collect())
}

fn refused(code: ErrorCode, message: &str) -> AppendError {
    AppendError::new(code, message)
}

/// Checks a partition and its records before the append.
fn check(
    snapshot: &MetadataSnapshot,
    version: i16,
    partition: &TopicPartition,
    records: &Bytes,
) -> Result<(), AppendError> {
    if snapshot
        .partition(&partition.topic, partition.partition)
        .is_none()
    {
        // Kafka sends no message with this code.
        return Err(refused(ErrorCode::UnknownTopicOrPartition, ""));
    }
    validate_produce_version(version, records).map_err(|invalid| AppendError {
        record_errors: invalid.record_errors,
        ..AppendError::new(invalid.code, invalid.message)
    })?;
    Ok(())
}

fn response(
    replicas: &ReplicaManager,
    context: &RequestContext,
    topics: Vec<(TopicName, Vec<(TopicPartition, AppendResult)>)>,
) -> ProduceResponse {
    let version = context.api_version;
    let mut leaders = CurrentLeaders::new(replicas, &context.listener);
    let topics = topics.into_iter().map(|(name, results)| {
        let results = results.into_iter().map(|(partition, result)| {
            let response = PartitionProduceResponse::default().with_index(partition.partition);
            let error = match result {
                Ok(info) => {
                    return response
                        .with_base_offset(info.first_offset)
                        .with_log_append_time_ms(info.log_append_time)
                        .with_log_start_offset(info.log_start_offset);
                }
                Err(error) => error,
            };
            let mut response = response
                .with_error_code(error.code.code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(error.log_start_offset);
            if version >= FIRST_VERSION_WITH_CURRENT_LEADER
                && let Some((leader, epoch)) = leaders.hint(error.code, &partition)
            {
                let leader = LeaderIdAndEpoch::default().with_leader_id(leader.into());
                response = response.with_current_leader(leader.with_leader_epoch(epoch));
            }
            if version >= FIRST_VERSION_WITH_RECORD_ERRORS {
                response = with_details(response, error);
            }
            response
        });
        TopicProduceResponse::default()
            .with_name(name)
            .with_partition_responses(results.collect())
    });
    let response = ProduceResponse::default().with_responses(topics.collect());
    let nodes = leaders.into_nodes().map(|node| {
        NodeEndpoint::default()
            .with_node_id(node.id.into())
            .with_host(StrBytes::from_string(node.host))
            .with_port(node.port.into())
            .with_rack(node.rack.map(StrBytes::from_string))
    });
    response.with_node_endpoints(nodes.collect())
}

fn with_details(response: PartitionProduceResponse, error: AppendError) -> PartitionProduceResponse {
    let record_errors = error.record_errors.into_iter().map(|(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(StrBytes::from_string(message)))
    });
    let message = (!error.message.is_empty()).then(|| StrBytes::from_string(error.message));
    response
        .with_record_errors(record_errors.collect())
        .with_error_message(message)
}

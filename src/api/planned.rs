//! Answers of APIs that are not built yet: UNSUPPORTED_VERSION wherever the response has room for it. None of
//! them is advertised, so only clients that do not ask first ever see one.
//! Kafka 3.9: `AbstractRequest.getErrorResponse`.

use crate::common::error::ErrorCode;
use crate::protocol::messages::*;

const UNSUPPORTED: i16 = ErrorCode::UnsupportedVersion as i16;

pub(super) fn add_partitions_to_txn(request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
    use add_partitions_to_txn_response::{AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult};
    let topics = request.v3_and_below_topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|&index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(UNSUPPORTED)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(partitions.collect())
    });
    // The versions up to 3 have the topics, those from 4 on the error.
    AddPartitionsToTxnResponse::default()
        .with_error_code(UNSUPPORTED)
        .with_results_by_topic_v3_and_below(topics.collect())
}

pub(super) fn add_offsets_to_txn() -> AddOffsetsToTxnResponse {
    AddOffsetsToTxnResponse::default().with_error_code(UNSUPPORTED)
}

pub(super) fn end_txn() -> EndTxnResponse {
    EndTxnResponse::default().with_error_code(UNSUPPORTED)
}

pub(super) fn write_txn_markers(request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
    use write_txn_markers_response::*;
    let markers = request.markers.into_iter().map(|marker| {
        let topics = marker.topics.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|&index| {
                WritableTxnMarkerPartitionResult::default()
                    .with_partition_index(index)
                    .with_error_code(UNSUPPORTED)
            });
            WritableTxnMarkerTopicResult::default()
                .with_name(topic.name)
                .with_partitions(partitions.collect())
        });
        WritableTxnMarkerResult::default()
            .with_producer_id(marker.producer_id)
            .with_topics(topics.collect())
    });
    WriteTxnMarkersResponse::default().with_markers(markers.collect())
}

pub(super) fn txn_offset_commit(request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    use txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic};
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(UNSUPPORTED)
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

pub(super) fn describe_client_quotas() -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default()
        .with_error_code(UNSUPPORTED)
        .with_entries(None)
}

pub(super) fn alter_client_quotas(request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
    use alter_client_quotas_response::{EntityData, EntryData};
    let entries = request.entries.into_iter().map(|entry| {
        let entity = entry.entity.into_iter().map(|entity| {
            EntityData::default()
                .with_entity_type(entity.entity_type)
                .with_entity_name(entity.entity_name)
        });
        EntryData::default()
            .with_error_code(UNSUPPORTED)
            .with_entity(entity.collect())
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}

pub(super) fn describe_user_scram_credentials() -> DescribeUserScramCredentialsResponse {
    DescribeUserScramCredentialsResponse::default().with_error_code(UNSUPPORTED)
}

pub(super) fn alter_user_scram_credentials(
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    use alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
    let deleted = request.deletions.into_iter().map(|deletion| deletion.name);
    let upserted = request.upsertions.into_iter().map(|upsertion| upsertion.name);
    let results = deleted.chain(upserted).map(|user| {
        AlterUserScramCredentialsResult::default()
            .with_user(user)
            .with_error_code(UNSUPPORTED)
    });
    AlterUserScramCredentialsResponse::default().with_results(results.collect())
}

pub(super) fn describe_producers(request: DescribeProducersRequest) -> DescribeProducersResponse {
    use describe_producers_response::{PartitionResponse, TopicResponse};
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            PartitionResponse::default()
                .with_partition_index(index)
                .with_error_code(UNSUPPORTED)
        });
        TopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

pub(super) fn describe_transactions(request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    use describe_transactions_response::TransactionState;
    let states = request.transactional_ids.into_iter().map(|id| {
        TransactionState::default()
            .with_error_code(UNSUPPORTED)
            .with_transactional_id(id)
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

pub(super) fn list_transactions() -> ListTransactionsResponse {
    ListTransactionsResponse::default().with_error_code(UNSUPPORTED)
}

//! WriteTxnMarkers, versions 0 and 1: a transaction has ended, says its coordinator, or an operator of one that hangs.
//! Kafka 3.9: `KafkaApis.handleWriteTxnMarkersRequest`.

use std::time::Duration;

use futures::future::join_all;

use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::log::AppendOrigin;
use crate::protocol::messages::write_txn_markers_request::WritableTxnMarker;
use crate::protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use crate::record::{BatchBuilder, ControlRecordType, EndTransactionMarker};
use crate::replica::AppendEntry;

/// A marker counts when all replicas in sync have it (trap 67).
const ALL_IN_SYNC: i16 = -1;

/// Answers one request, when every marker is replicated.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    // All are begun before the first is waited for.
    let results = request.markers.into_iter().map(|marker| write(api, marker));
    WriteTxnMarkersResponse::default().with_markers(join_all(results).await)
}

async fn write(api: &Api, marker: WritableTxnMarker) -> WritableTxnMarkerResult {
    let (producer, epoch) = (marker.producer_id.0, marker.producer_epoch);
    let end = EndTransactionMarker {
        control_type: match marker.transaction_result {
            true => ControlRecordType::Commit,
            false => ControlRecordType::Abort,
        },
        coordinator_epoch: marker.coordinator_epoch,
    };
    let records = BatchBuilder::end_transaction_marker(end, producer, epoch, api.clock.wall_ms());
    let mut entries = Vec::new();
    for topic in &marker.topics {
        let name = crate::common::ids::TopicName::from(&**topic.name);
        for &partition in &topic.partition_indexes {
            let partition = TopicPartition::new(name.clone(), partition);
            if api.replicas.partition(&partition).is_ok() {
                entries.push(AppendEntry::new(partition, records.clone()));
            }
        }
    }
    let timeout = Duration::from_millis(api.config.request_timeout_ms);
    let written = api
        .replicas
        .append_records(timeout, ALL_IN_SYNC, AppendOrigin::Coordinator, true, entries)
        .await;
    // What the transaction committed in groups counts as soon as its marker does (trap 68).
    let offsets: Vec<_> = written
        .iter()
        .filter(|(partition, result)| &*partition.topic == GROUP_METADATA_TOPIC && result.is_ok())
        .map(|(partition, _)| partition.partition)
        .collect();
    if !offsets.is_empty() {
        let groups = &api.groups;
        groups.on_transaction_completed(producer, &offsets, marker.transaction_result);
    }
    let code = |topic: &str, index: i32| {
        let is_same = |p: &TopicPartition| &*p.topic == topic && p.partition == index;
        match written.iter().find(|(partition, _)| is_same(partition)) {
            Some((_, Ok(_))) => ErrorCode::None,
            Some((_, Err(error))) => error.code,
            // Not on this broker: the sender looks for the leader again.
            None => ErrorCode::UnknownTopicOrPartition,
        }
    };
    let topics = marker.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            WritableTxnMarkerPartitionResult::default()
                .with_partition_index(index)
                .with_error_code(code(&topic.name, index).code())
        });
        WritableTxnMarkerTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    WritableTxnMarkerResult::default()
        .with_producer_id(marker.producer_id)
        .with_topics(topics.collect())
}

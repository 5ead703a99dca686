//! WriteTxnMarkers (27): ends a transaction in the partitions of this broker. The request comes from the coordinator,
//! or from an operator who ends a transaction that hangs. Kafka 3.9: `KafkaApis.handleWriteTxnMarkersRequest`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{ProducerId, TopicName, TopicPartition};
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::log::AppendOrigin;
use crate::protocol::ApiKey;
use crate::protocol::messages::write_txn_markers_request::WritableTxnMarker;
use crate::protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::protocol::messages::{
    ProducerId as WireProducerId, TopicName as WireTopicName, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::protocol::wire_text;
use crate::record::{BatchBuilder, ControlRecordType, EndTransactionMarker};
use crate::replica::AppendEntry;

/// All replicas in sync must have a marker before it counts (fact 67).
const ALL_IN_SYNC: i16 = -1;

/// The result of a marker in each partition.
type Codes = BTreeMap<TopicPartition, ErrorCode>;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::WriteTxnMarkers,
    0..=1,
    &[Check::always(
        &[
            Right(AclOperation::Alter, Resource::Cluster),
            Right(AclOperation::ClusterAction, Resource::Cluster),
        ],
        Refusal::AllEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request, when every marker is replicated.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    // All markers are begun before the first one is waited for.
    let written = request.markers.into_iter().map(|marker| write(api, marker));
    response(join_all(written).await)
}

/// Writes the marker of one producer. Returns a code for each partition.
async fn write(api: &Api, marker: WritableTxnMarker) -> (ProducerId, Codes) {
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
    let mut codes = Codes::new();
    for topic in &marker.topics {
        let name = TopicName::from(&**topic.name);
        for &partition in &topic.partition_indexes {
            let partition = TopicPartition::new(name.clone(), partition);
            // The partition is not on this broker: the sender looks for the leader again.
            let is_first = codes
                .insert(partition.clone(), ErrorCode::UnknownTopicOrPartition)
                .is_none();
            if is_first && api.replicas.partition(&partition).is_ok() {
                entries.push(AppendEntry::new(partition, records.clone()));
            }
        }
    }
    let timeout = Duration::from_millis(api.config.request_timeout_ms);
    let written = api
        .replicas
        .append_records(timeout, ALL_IN_SYNC, AppendOrigin::Coordinator, true, entries)
        .await;
    // Offsets that the transaction has committed count as soon as its marker does (fact 68).
    let offsets: Vec<_> = written
        .iter()
        .filter(|(partition, result)| &*partition.topic == GROUP_METADATA_TOPIC && result.is_ok())
        .map(|(partition, _)| partition.partition)
        .collect();
    if !offsets.is_empty() {
        let groups = &api.groups;
        groups.on_transaction_completed(producer, &offsets, marker.transaction_result);
    }
    let written = written.into_iter().map(|(partition, result)| {
        let code = result.err().map_or(ErrorCode::None, |error| error.code);
        (partition, code)
    });
    codes.extend(written);
    (producer, codes)
}

/// One result for each producer, even one with several markers: Apache Kafka's coordinators look up one result by
/// producer and would overlook the others.
fn response(written: Vec<(ProducerId, Codes)>) -> WriteTxnMarkersResponse {
    let mut producers: BTreeMap<ProducerId, Codes> = BTreeMap::new();
    // A marker without partitions has no result.
    for (producer, codes) in written.into_iter().filter(|(_, codes)| !codes.is_empty()) {
        producers.entry(producer).or_default().extend(codes);
    }
    let markers = producers.into_iter().map(|(producer, codes)| {
        let mut topics: Vec<WritableTxnMarkerTopicResult> = Vec::new();
        for (TopicPartition { topic, partition }, code) in codes {
            let result = WritableTxnMarkerPartitionResult::default()
                .with_partition_index(partition)
                .with_error_code(code.code());
            match topics.last_mut().filter(|last| **last.name == *topic) {
                Some(last) => last.partitions.push(result),
                None => topics.push(
                    WritableTxnMarkerTopicResult::default()
                        .with_name(WireTopicName(wire_text(&topic)))
                        .with_partitions(vec![result]),
                ),
            }
        }
        WritableTxnMarkerResult::default()
            .with_producer_id(WireProducerId(producer))
            .with_topics(topics)
    });
    WriteTxnMarkersResponse::default().with_markers(markers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_has_one_result_however_many_markers() {
        let codes = |codes: &[(&str, i32, ErrorCode)]| -> Codes {
            let code =
                |&(topic, partition, code): &(&str, i32, _)| (TopicPartition::new(topic, partition), code);
            codes.iter().map(code).collect()
        };
        let (none, fenced) = (ErrorCode::None, ErrorCode::InvalidProducerEpoch);
        let response = response(vec![
            (7, codes(&[("t", 0, none), ("u", 1, fenced)])),
            (8, codes(&[("t", 0, fenced)])),
            (7, codes(&[("t", 3, none), ("u", 1, none)])),
            (9, codes(&[])),
        ]);
        let flat = response.markers.iter().flat_map(|marker| {
            marker.topics.iter().flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|p| {
                    (
                        marker.producer_id.0,
                        topic.name.to_string(),
                        p.partition_index,
                        p.error_code,
                    )
                })
            })
        });
        let expected = [
            (7, "t".into(), 0, 0),
            (7, "t".into(), 3, 0),
            (7, "u".into(), 1, 0),
            (8, "t".into(), 0, fenced.code()),
        ];
        assert_eq!(flat.collect::<Vec<_>>(), expected);
        assert_eq!(response.markers.len(), 2);
    }
}

//! Tests that compare this module's encoding with that of the generated messages.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::fetch_response as generated;
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::common::file_range::FileRange;
use crate::protocol::codec;

fn contents(response: Response) -> Vec<u8> {
    let mut all = vec![];
    for chunk in response.into_chunks() {
        match chunk {
            Chunk::Bytes(bytes) => all.extend_from_slice(&bytes),
            Chunk::File(range) => {
                let mut bytes = vec![0; range.length];
                range.file.read_exact_at(&mut bytes, range.position).unwrap();
                all.extend_from_slice(&bytes);
            }
        }
    }
    all
}

fn records_of(partition: &FetchPartitionResponse) -> Bytes {
    let response = Response::of_chunks(partition.records.clone());
    Bytes::from(contents(response))
}

/// The same content, without the fields that the version does not have.
fn as_generated(response: &FetchResponse, version: i16) -> generated::FetchResponse {
    let epoch_end = |(epoch, end): (i32, i64)| {
        generated::EpochEndOffset::default()
            .with_epoch(epoch)
            .with_end_offset(end)
    };
    let leader = |(id, epoch): (i32, i32)| {
        generated::LeaderIdAndEpoch::default()
            .with_leader_id(id.into())
            .with_leader_epoch(epoch)
    };
    let aborted = |(id, offset): &(i64, i64)| {
        generated::AbortedTransaction::default()
            .with_producer_id((*id).into())
            .with_first_offset(*offset)
    };
    let partition = |p: &FetchPartitionResponse| {
        generated::PartitionData::default()
            .with_partition_index(p.index)
            .with_error_code(p.error.code())
            .with_high_watermark(p.high_watermark)
            .with_last_stable_offset(p.last_stable_offset)
            .with_log_start_offset(p.log_start_offset)
            .with_diverging_epoch(p.diverging_epoch.map(epoch_end).unwrap_or_default())
            .with_current_leader(p.current_leader.map(leader).unwrap_or_default())
            .with_aborted_transactions(
                p.aborted_transactions
                    .as_ref()
                    .map(|all| all.iter().map(aborted).collect()),
            )
            .with_preferred_read_replica(
                if version >= 11 {
                    p.preferred_read_replica
                } else {
                    -1
                }
                .into(),
            )
            .with_records(Some(records_of(p)))
    };
    let topic = |t: &FetchTopicResponse| {
        generated::FetchableTopicResponse::default()
            .with_topic(StrBytes::from_string(t.name.to_string()).into())
            .with_topic_id(t.id)
            .with_partitions(t.partitions.iter().map(partition).collect())
    };
    let endpoint = |e: &NodeEndpoint| {
        generated::NodeEndpoint::default()
            .with_node_id(e.id.into())
            .with_host(StrBytes::from_string(e.host.clone()))
            .with_port(i32::from(e.port))
            .with_rack(e.rack.clone().map(StrBytes::from_string))
    };
    let endpoints = response.node_endpoints.iter().map(endpoint).collect();
    generated::FetchResponse::default()
        .with_throttle_time_ms(response.throttle_time_ms)
        .with_error_code(response.error.code())
        .with_session_id(if version >= 7 { response.session_id } else { 0 })
        .with_responses(response.topics.iter().map(topic).collect())
        .with_node_endpoints(if version >= 16 { endpoints } else { vec![] })
}

fn file_with(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

fn full_response() -> FetchResponse {
    let file = file_with(&(0..100_000u32).map(|i| i as u8).collect::<Vec<u8>>());
    let range = |position, length| {
        Chunk::File(FileRange {
            file: file.clone(),
            position,
            length,
        })
    };
    let with_records = FetchPartitionResponse {
        high_watermark: 1 << 40,
        last_stable_offset: 12,
        log_start_offset: 3,
        aborted_transactions: Some(vec![(7, 8), (9, 10)]),
        preferred_read_replica: 4,
        records: vec![
            range(10, 70_000),
            range(0, 0),
            Chunk::Bytes(Bytes::from_static(b"tail")),
        ],
        ..FetchPartitionResponse::error(0, ErrorCode::None)
    };
    let moved = FetchPartitionResponse {
        diverging_epoch: Some((5, 77)),
        current_leader: Some((2, 6)),
        ..FetchPartitionResponse::error(300, ErrorCode::NotLeaderOrFollower)
    };
    let small = FetchPartitionResponse {
        aborted_transactions: Some(vec![]),
        records: vec![range(99, 61)],
        ..with_records.clone()
    };
    let topic = |name: &str, id, partitions| FetchTopicResponse {
        name: name.into(),
        id: TopicId::from_u128(id),
        partitions,
    };
    FetchResponse {
        throttle_time_ms: 17,
        error: ErrorCode::None,
        session_id: 123_456,
        topics: vec![
            topic("first", 1, vec![with_records, moved.clone()]),
            topic("none", 2, vec![]),
            topic(&"x".repeat(200), 3, vec![small; 130]),
            topic("last", 4, vec![moved]),
        ],
        node_endpoints: vec![
            NodeEndpoint {
                id: 2,
                host: "broker-2".to_string(),
                port: 9092,
                rack: None,
            },
            NodeEndpoint {
                id: 3,
                host: "::1".to_string(),
                port: 65_535,
                rack: Some("r".to_string()),
            },
        ],
    }
}

#[test]
fn every_version_is_laid_out_as_the_generated_code_does() {
    let plain = |error| FetchResponse::error(error);
    for response in [
        full_response(),
        plain(ErrorCode::None),
        plain(ErrorCode::FetchSessionIdNotFound),
    ] {
        for version in 0..=17 {
            let expected = codec::encode_response(&as_generated(&response, version), version, 99).unwrap();
            let ours = response.clone().into_response(version, 99).unwrap();
            assert_eq!(ours.len(), expected.len(), "version {version}");
            assert!(contents(ours) == expected, "version {version}");
        }
    }
}

#[test]
fn a_response_beyond_the_length_prefix_is_refused() {
    let huge = Chunk::File(FileRange {
        file: file_with(b""),
        position: 0,
        length: 1 << 30,
    });
    let partition = FetchPartitionResponse {
        records: vec![huge],
        ..FetchPartitionResponse::error(0, ErrorCode::None)
    };
    let topic = FetchTopicResponse {
        name: "t".into(),
        id: TopicId::nil(),
        partitions: vec![partition.clone(), partition],
    };
    let response = FetchResponse {
        topics: vec![topic],
        ..FetchResponse::error(ErrorCode::None)
    };
    assert!(response.into_response(17, 1).is_err());
}

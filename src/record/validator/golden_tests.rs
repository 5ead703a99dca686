//! Tests that compare the validator with Apache Kafka 3.9.1: its answers to good and spoiled Produce requests, and the
//! segments that it wrote. A line of `produced.txt` has a name, the request's version, the topic's kind, the error
//! code, the records sent and the segment written, in hex.

use std::sync::LazyLock;

use super::*;
use crate::config::{CleanupPolicy, CompressionType};
use crate::record::validate_produce_version;

const PRODUCED: &str = include_str!("../testdata/produced.txt");
/// Approximate time of the capture. Only the timestamp rules of the topic `range` use it.
const NOW: i64 = 1_732_000_000_000;

static PARTITION: LazyLock<TopicPartition> = LazyLock::new(|| TopicPartition::new("t", 0));

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('-').as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn config(kind: &str) -> LogConfig {
    let mut config = LogConfig::default();
    match kind {
        "plain" => {}
        "compact" => {
            config.cleanup_policy = CleanupPolicy {
                delete: false,
                compact: true,
            }
        }
        "append" => config.message_timestamp_type = TimestampType::LogAppendTime,
        "range" => config.message_timestamp_before_max_ms = 1_000_000_000_000,
        "gzip" => config.compression_type = CompressionType::Gzip,
        _ => panic!("unknown kind of topic {kind}"),
    }
    config
}

/// Header and unpacked records, because two implementations of a codec may compress differently.
fn unpacked(batch: &[u8]) -> (BatchHeader, Vec<u8>) {
    let batch = RecordBatch::parse(batch).unwrap().unwrap();
    assert!(batch.is_valid_crc());
    let records = batch
        .compression()
        .unwrap()
        .decompress(2, batch.records(), 1 << 20)
        .unwrap();
    let header = BatchHeader {
        length: 0,
        crc: 0,
        ..batch.header()
    };
    (header, records)
}

#[test]
fn kafka_answered_and_wrote_the_same() {
    let mut identical = 0;
    for line in PRODUCED.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let [name, version, kind, code, sent, written] = fields[..] else {
            panic!("{line}")
        };
        let (sent, expected) = (Bytes::from(unhex(sent)), unhex(written));
        let config = config(kind);
        let append_time = RecordBatch::parse(&expected)
            .unwrap()
            .map(|batch| batch.max_timestamp());
        let context = AppendContext {
            partition: &PARTITION,
            config: &config,
            next_offset: 0,
            leader_epoch: 0,
            now_ms: append_time.filter(|_| kind == "append").unwrap_or(NOW),
            origin: AppendOrigin::Client,
        };
        let version = version.parse().unwrap();
        let result = validate_produce_version(version, &sent).and_then(|()| validate_append(&sent, &context));
        let ours = result
            .as_ref()
            .map_or_else(|error| error.code, |_| ErrorCode::None);
        match (code.parse().unwrap(), name.split('-').next().unwrap()) {
            // barnabas repairs wrong offset deltas.
            (_, "gaps") => assert_eq!(ours, ErrorCode::None, "{name}"),
            // Where Kafka only answers "unknown", barnabas's code names the problem.
            (-1, "codec5" | "codec7") => assert_eq!(ours, ErrorCode::UnsupportedCompressionType, "{name}"),
            (-1, _) => assert_eq!(ours, ErrorCode::InvalidRecord, "{name}"),
            (code, _) => assert_eq!(ours.code(), code, "{name}"),
        }
        if let (Ok(validated), false) = (&result, name.starts_with("gaps")) {
            let bytes = [&validated.header.encode(), &validated.records[..]].concat();
            assert_eq!(unpacked(&bytes), unpacked(&expected), "{name}");
            assert!(bytes == expected || validated.is_rebuilt, "{name}");
            identical += usize::from(bytes == expected);
        }
    }
    assert!(
        identical >= 50,
        "only {identical} segments are the same byte for byte"
    );
}

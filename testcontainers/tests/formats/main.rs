//! Compares the old message formats with Apache Kafka: the answers to producers of formats 0 and 1, what the broker
//! stores for their messages, and what consumers older than format 2 receive.

mod messages;

use anyhow::Result;
use barnabas::parts::{BatchBuilder, Compression};
use barnabas_testcontainers::parity::{Pair, Story, messages::*};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::protocol::StrBytes;

use messages::{describe, shapes};

const CODECS: [Compression; 4] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
];
/// Fetch limits: the first fits everything, the second one or two batches, the third no batch.
const LIMITS: [i32; 3] = [1 << 20, 400, 30];

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_are_answered_as_apache_kafka_answers_them() -> Result<()> {
    let pair = Pair::start(|broker| broker).await?;
    pair.play("topics", topics).await;
    tokio::join!(
        pair.play("old producers", old_producers),
        pair.play("old consumers", old_consumers),
        pair.play("settings", settings),
    );
    pair.finish()
}

async fn topics(story: Story) -> Result<()> {
    let topics: [(&str, &[(&str, &str)]); 8] = [
        ("plain", &[]),
        ("gzip", &[("compression.type", "gzip")]),
        ("append", &[("message.timestamp.type", "LogAppendTime")]),
        ("compact", &[("cleanup.policy", "compact")]),
        ("new", &[]),
        ("stamped", &[("message.timestamp.type", "LogAppendTime")]),
        ("zstd", &[("compression.type", "zstd")]),
        ("closed", &[("message.downconversion.enable", "false")]),
    ];
    for (name, config) in topics {
        story.cluster().create_topic(name, 1, 1, config).await?;
    }
    Ok(())
}

/// Produces and observes the answer without its time. Returns the base offset.
async fn produce(
    story: &Story,
    step: &str,
    version: i16,
    topic: &'static str,
    records: Bytes,
) -> Result<i64> {
    let data = PartitionProduceData::default().with_records(Some(records));
    let topic_data = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str(topic)))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic_data]);
    let response = story.peek(version, request).await?;
    let answer = &response.responses[0].partition_responses[0];
    story.observe(
        &format!("{step} to {topic} (Produce v{version})"),
        format!(
            "{}, offset {}, start {}, append time {}, blames {:?}",
            shown_error(step, answer.error_code),
            answer.base_offset,
            answer.log_start_offset,
            answer.log_append_time_ms.signum(),
            answer
                .record_errors
                .iter()
                .map(|e| e.batch_index)
                .collect::<Vec<_>>(),
        ),
    );
    Ok(answer.base_offset)
}

/// Kafka answers UNKNOWN_SERVER_ERROR to some invalid records. barnabas answers these with a more exact error, so only
/// the refusal is compared.
fn shown_error(step: &str, code: i16) -> String {
    let is_unexpected = ["garbage", "unknown codec", "negative timestamp"];
    match is_unexpected.iter().any(|name| step.contains(name)) && code != 0 {
        true => "refused".into(),
        false => format!("error {code}"),
    }
}

/// Sends one fetch. Returns the error, the high watermark and the records.
async fn fetch(
    story: &Story,
    version: i16,
    topic: &'static str,
    offset: i64,
    limit: i32,
) -> Result<(i16, i64, Bytes)> {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(limit);
    let wanted = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str(topic)))
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(50)
        .with_topics(vec![wanted]);
    let response = story.peek(version, request).await?;
    let answer = &response.responses[0].partitions[0];
    let records = answer.records.clone().unwrap_or_default();
    Ok((answer.error_code, answer.high_watermark, records))
}

/// Reads up to the end of the log, as a consumer does.
async fn read_on(story: &Story, version: i16, topic: &'static str, from: i64, limit: i32) -> Result<()> {
    let mut offset = from;
    let mut seen = String::new();
    loop {
        let (error, end, records) = fetch(story, version, topic, offset, limit).await?;
        let (described, next) = describe(&records, version < 4)?;
        if offset == from || error != 0 {
            seen += &format!("error {error}, end {end}\n");
        }
        seen += &described;
        match next {
            Some(next) if next > offset && error == 0 => offset = next,
            _ => break,
        }
    }
    let step = format!("{topic} from {from}, {limit} bytes at a time (Fetch v{version})");
    story.observe(&step, seen);
    Ok(())
}

async fn old_producers(story: Story) -> Result<()> {
    for (topic, versions) in [
        ("plain", 0..3),
        ("gzip", 0..1),
        ("append", 2..3),
        ("compact", 1..2),
    ] {
        let mut next = 0;
        for version in versions {
            for (name, records) in shapes(&CODECS) {
                let offset = produce(&story, &name, version, topic, records).await?;
                if offset >= 0 {
                    read_on(&story, 4, topic, offset.max(next), 1 << 20).await?;
                    next = offset;
                }
            }
        }
    }
    let (_, records) = shapes(&CODECS).swap_remove(0);
    for version in 3..=9 {
        produce(&story, "an old message", version, "plain", records.clone()).await?;
    }
    read_on(&story, 1, "plain", 0, 1 << 20).await?;
    read_on(&story, 3, "gzip", 0, 1 << 20).await
}

/// Three records: one without a key, one without a value, with fields that old formats do not have.
fn batch(codec: Compression) -> Bytes {
    let mut batch = BatchBuilder::new(0).compression(codec, None);
    batch.append(1_000, Some(b"key"), Some(&[b'v'; 70]), &[("header", Some(b"x"))]);
    batch.append(3_000, None, Some(b"second"), &[]);
    batch.append(2_000, Some(b"third"), None, &[]);
    batch.build()
}

async fn old_consumers(story: Story) -> Result<()> {
    for topic in ["new", "stamped"] {
        for codec in CODECS.into_iter().chain(CODECS) {
            produce(&story, codec.name(), 7, topic, batch(codec)).await?;
        }
        for version in [0, 1, 2, 3, 4, 10] {
            for from in [0, 1, 2, 3, 4, 5, 12, 23, 24, 25] {
                read_on(&story, version, topic, from, LIMITS[0]).await?;
            }
            for limit in &LIMITS[1..] {
                read_on(&story, version, topic, 0, *limit).await?;
            }
        }
    }
    Ok(())
}

async fn settings(story: Story) -> Result<()> {
    produce(&story, "zstd, too early", 6, "new", batch(Compression::Zstd)).await?;
    for topic in ["zstd", "closed"] {
        produce(&story, "gzip", 7, topic, batch(Compression::Gzip)).await?;
    }
    produce(&story, "zstd", 7, "closed", batch(Compression::Zstd)).await?;
    for version in 0..=12 {
        for topic in ["zstd", "closed"] {
            read_on(&story, version, topic, 0, LIMITS[0]).await?;
        }
    }
    // A topic without a fixed codec that also contains a zstd batch.
    story.cluster().create_topic("mixed", 1, 1, &[]).await?;
    for codec in [Compression::Gzip, Compression::Zstd, Compression::None] {
        produce(&story, codec.name(), 7, "mixed", batch(codec)).await?;
    }
    for version in [0, 2, 3, 4, 9, 10] {
        for from in [0, 3, 4, 6] {
            read_on(&story, version, "mixed", from, LIMITS[0]).await?;
        }
    }
    Ok(())
}

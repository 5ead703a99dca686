//! Stories about Produce: every reason why a broker refuses records. The stories leave out two cases in which Kafka has
//! no useful answer: records that are null, and a codec that does not exist (UNKNOWN_SERVER_ERROR in Kafka,
//! UNSUPPORTED_COMPRESSION_TYPE in barnabas).

use anyhow::Result;
use barnabas::parts::{BatchBuilder, Compression};
use barnabas_testcontainers::parity::messages::produce_request::{PartitionProduceData, TopicProduceData};
use barnabas_testcontainers::parity::{Story, messages::*};
use bytes::Bytes;

use crate::support::*;

const HOUR_MS: i64 = 3_600_000;

fn produce(name: &str, partition: i32, records: Option<Bytes>) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(records);
    let data = TopicProduceData::default()
        .with_name(topic(name))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(1)
        .with_timeout_ms(5_000)
        .with_topic_data(vec![data])
}

/// A batch of records with these ages, with or without a key.
fn batch_of(times: &[i64], key: Option<&[u8]>) -> Bytes {
    let mut batch = BatchBuilder::new(0);
    for &time in times {
        batch.append(time, key, Some(b"value"), &[]);
    }
    batch.build()
}

fn changed(bytes: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = bytes.to_vec();
    change(&mut bytes);
    bytes.into()
}

pub async fn refusals(story: Story, now: i64) -> Result<()> {
    let good = batch_of(&[now, now], None);
    let mixed = {
        let mut batch = BatchBuilder::new(0);
        for key in [Some(b"k" as &[u8]), None, Some(b"k"), None] {
            batch.append(now, key, Some(b"value"), &[]);
        }
        batch.build()
    };
    let mut zstd = BatchBuilder::new(0).compression(Compression::Zstd, None);
    zstd.append(now, None, Some(b"value"), &[]);
    let zstd = zstd.build();
    let mut transactional = BatchBuilder::new(0).producer(7, 0, 0).transactional(true);
    transactional.append(now, None, Some(b"value"), &[]);
    let transactional = transactional.build();
    let cases: Vec<(&str, &str, i32, Option<Bytes>)> = vec![
        ("nowhere", "nowhere", 0, Some(good.clone())),
        ("no such partition", "t", 9, Some(good.clone())),
        ("a negative partition", "t", -1, Some(good.clone())),
        ("an invalid name", "a b", 0, Some(good.clone())),
        ("internal offsets", "__share_group_state", 0, Some(good.clone())),
        ("nothing", "t", 0, Some(Bytes::new())),
        ("half a batch", "t", 0, Some(good.slice(..good.len() - 1))),
        ("not even a header", "t", 0, Some(good.slice(..20))),
        (
            "two batches",
            "t",
            0,
            Some([good.clone(), good.clone()].concat().into()),
        ),
        (
            "a flipped byte",
            "t",
            0,
            Some(changed(&good, |b| *b.last_mut().unwrap() ^= 1)),
        ),
        ("an unknown format", "t", 0, Some(changed(&good, |b| b[16] = 3))),
        (
            "a negative format",
            "t",
            0,
            Some(changed(&good, |b| b[16] = 0xff)),
        ),
        ("a length too small", "t", 0, Some(changed(&good, |b| b[11] = 3))),
        (
            "too old",
            "timely",
            0,
            Some(batch_of(&[now, now - HOUR_MS], None)),
        ),
        (
            "from the future",
            "timely",
            0,
            Some(batch_of(&[now + HOUR_MS], None)),
        ),
        (
            "too old, all",
            "timely",
            0,
            Some(batch_of(&[now - HOUR_MS; 3], None)),
        ),
        ("no time", "timely", 0, Some(batch_of(&[-1], None))),
        ("no key", "compact", 0, Some(good.clone())),
        ("some without key", "compact", 0, Some(mixed)),
        ("too large", "small", 0, Some(batch_of(&[now; 20], None))),
        ("zstd", "t", 0, Some(zstd)),
        ("a transaction of nobody", "t", 0, Some(transactional.clone())),
    ];
    for version in 0..=11 {
        for (what, name, partition, records) in &cases {
            let request = produce(name, *partition, records.clone());
            story.ask(what, version, request).await?;
        }
        for acks in [2, -2, i16::MAX] {
            let request = produce("t", 0, Some(good.clone())).with_acks(acks);
            story.ask(&format!("acks {acks}"), version, request).await?;
        }
        if version >= 3 {
            let request = produce("t", 0, Some(transactional.clone()))
                .with_transactional_id(Some(TransactionalId(text("nobody's"))));
            story.ask("a transaction that is not", version, request).await?;
            sequences(&story, version, now).await?;
            headers(&story, version, &good).await?;
        }
    }
    Ok(())
}

/// An idempotent producer that makes mistakes, a new one for each version.
async fn sequences(story: &Story, version: i16, now: i64) -> Result<()> {
    let batch_of = |epoch, sequence| {
        let mut batch = BatchBuilder::new(0).producer(1_000_000 + i64::from(version), epoch, sequence);
        batch.append(now, None, Some(b"value"), &[]);
        Some(batch.build())
    };
    let cases = [
        ("first", 1, 0),
        ("again", 1, 0),
        ("a gap", 1, 5),
        ("an old epoch", 0, 1),
        ("a new epoch with a gap", 2, 5),
        ("no sequence", 1, -1),
        ("no epoch", -1, 1),
    ];
    for (what, epoch, sequence) in cases {
        let request = produce("t", 1, batch_of(epoch, sequence));
        let answer = story
            .ask(&format!("{what} of a sequence"), version, request)
            .await;
        drop(answer?);
    }
    Ok(())
}

/// Batches whose headers contradict their records.
async fn headers(story: &Story, version: i16, good: &Bytes) -> Result<()> {
    // Byte positions in the batch: attributes 21, last offset delta 23, base offset 0, record count 57.
    let cases: [(&str, usize, &[u8]); 7] = [
        ("a count too high", 57, &[0, 0, 0, 3]),
        ("a count too low", 57, &[0, 0, 0, 1]),
        ("a negative count", 57, &[0xff; 4]),
        ("no record", 57, &[0; 4]),
        ("a wrong last offset", 23, &[0, 0, 0, 9]),
        ("a negative last offset", 23, &[0xff; 4]),
        ("a control batch", 22, &[0x20]),
    ];
    for (what, at, bytes) in cases {
        let forged = changed(good, |batch| {
            batch[at..at + bytes.len()].copy_from_slice(bytes);
            let crc = crc32c(&batch[21..]);
            batch[17..21].copy_from_slice(&crc.to_be_bytes());
        });
        let request = produce("t", 0, Some(forged));
        story.ask(what, version, request).await?;
    }
    Ok(())
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (!(crc & 1)).wrapping_add(1));
        }
    }
    !crc
}

//! Compares the records that both clusters have written to `__consumer_offsets`: keys, values and their versions,
//! tombstones, batches.
//!
//! Stories run at the same time, so records of different groups are in any order. The records of one group must have
//! the same order. Times differ. Kafka orders members, and the records within a batch, by its hash maps.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use barnabas_testcontainers::parity::{Labels, StoredRecord, Story, stored_records};
use bytes::{Buf, Bytes};

const PARTITIONS: usize = 3;
/// The only time that a story sets itself.
const NAMED_MS: i64 = 1_700_000_000_000;

/// Shows the records of every group, batch by batch.
pub async fn compare(story: Story) -> Result<()> {
    let mut batches_of: BTreeMap<String, Vec<Vec<StoredRecord>>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let dir = story.cluster().brokers[0]
            .log_dir()
            .join(format!("__consumer_offsets-{partition}"));
        let mut last_batch = None;
        for record in stored_records(&dir)? {
            let group = match record.is_control {
                true => format!("markers of partition {partition}"),
                false => read_group(record.key.clone().context("a record without key")?)?,
            };
            let batches = batches_of.entry(group).or_default();
            if last_batch != Some(record.base_offset) {
                last_batch = Some(record.base_offset);
                batches.push(Vec::new());
            }
            batches.last_mut().context("a batch")?.push(record);
        }
    }
    for (group, batches) in batches_of {
        // Each group gets separate labels, so that it does not matter which group saw an id first.
        let mut labels = Labels::default();
        let mut shown = Vec::new();
        for batch in batches {
            let mut records = Vec::new();
            for record in &batch {
                records.push(show(record, &labels)?);
            }
            records.sort();
            shown.push(labels.of(&records.join(", ")));
        }
        // Transactions of different groups end in any order.
        if group.starts_with("markers") {
            shown.sort();
        }
        story.observe(&format!("the records of {group:?}"), shown.join("; "));
    }
    Ok(())
}

fn read_group(mut key: Bytes) -> Result<String> {
    key.get_i16();
    Ok(string(&mut key).unwrap_or_default())
}

fn show(record: &StoredRecord, labels: &Labels) -> Result<String> {
    let producer = match record.producer_id {
        -1 => String::new(),
        _ => format!(
            " epoch {} transactional {}",
            record.producer_epoch, record.is_transactional
        ),
    };
    let mut key = record.key.clone().context("a record without key")?;
    let value = record.value.clone();
    if record.is_control {
        return Ok(format!("{}{producer}", key.escape_ascii()));
    }
    let (key_text, version) = (key.escape_ascii().to_string(), key.get_i16());
    let value = match (value, version) {
        (None, _) => "tombstone".to_owned(),
        (Some(value), 0 | 1) => offset_value(value),
        (Some(value), _) => group_value(value, labels),
    };
    Ok(format!(
        "{key_text} = {value}{producer} {}",
        record.has_append_time
    ))
}

fn offset_value(mut value: Bytes) -> String {
    let version = value.get_i16();
    let offset = value.get_i64();
    let epoch = (version >= 3).then(|| value.get_i32());
    let metadata = string(&mut value);
    let committed = time(value.get_i64());
    let expires = (version == 1).then(|| time(value.get_i64()));
    format!(
        "v{version} {offset} {epoch:?} {metadata:?} {committed} {expires:?} and {}",
        value.remaining()
    )
}

fn group_value(mut value: Bytes, labels: &Labels) -> String {
    let version = value.get_i16();
    let protocol_type = string(&mut value);
    let generation = value.get_i32();
    let (protocol, leader) = (string(&mut value), string(&mut value));
    let since = time(value.get_i64());
    let member = |value: &mut Bytes| {
        let texts = [string(value), string(value), string(value), string(value)];
        let (rebalance_ms, session_ms) = (value.get_i32(), value.get_i32());
        let (subscription, assignment) = (bytes(value), bytes(value));
        format!("{texts:?} {rebalance_ms} {session_ms} {subscription} {assignment}")
    };
    let mut members: Vec<_> = (0..value.get_i32()).map(|_| member(&mut value)).collect();
    members.sort_by_key(|member| labels.known(member));
    let left = value.remaining();
    format!(
        "v{version} {protocol_type:?} {generation} {protocol:?} {leader:?} {since} {members:?} and {left}"
    )
}

fn time(ms: i64) -> String {
    match ms {
        -1 | NAMED_MS => ms.to_string(),
        _ => "a time".into(),
    }
}

fn string(bytes: &mut Bytes) -> Option<String> {
    let length = usize::try_from(bytes.get_i16()).ok()?;
    Some(String::from_utf8_lossy(&bytes.split_to(length)).into_owned())
}

fn bytes(bytes: &mut Bytes) -> String {
    let length = usize::try_from(bytes.get_i32()).unwrap_or(0);
    bytes.split_to(length).escape_ascii().to_string()
}

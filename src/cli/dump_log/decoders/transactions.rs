//! The records of `__transaction_state`, in the words of Kafka's tool.
//! Kafka 3.9: `TransactionLog.formatRecordKeyAndValue`.
//!
//! ```text
//! key   0  version:i16 transactional_id:string
//! value 0  version:i16 producer_id:i64 producer_epoch:i16 timeout_ms:i32 status:i8
//!          partitions:array? of {topic:string partitions:array of i32} last_update_ms:i64 start_ms:i64
//! ```

use super::fields::Fields;
use super::{Decoded, KeyAndValue};
use crate::cli::dump_log::java::{HashTable, hash_of_partition};
use crate::record::Record;

/// The status of a transaction by its number.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub(super) fn decode(record: &Record<'_>) -> Result<KeyAndValue, String> {
    let key = record.key.ok_or("a record without a key")?;
    let mut key = Fields(key);
    let truncated = "the key of a transaction ends too soon";
    let version = key.i16().ok_or(truncated)?;
    if version != 0 {
        return Ok((Some(Decoded::Text(format!("unknown::version={version}"))), None));
    }
    let id = key.string().ok_or(truncated)?;
    let key = format!("transaction_metadata::transactionalId={id}");
    let value = match record.value {
        None => "<DELETE>".to_owned(),
        Some(value) => value_text(value)?,
    };
    Ok((Some(Decoded::Text(key)), Some(Decoded::Text(value))))
}

fn value_text(bytes: &[u8]) -> Result<String, String> {
    let mut fields = Fields(bytes);
    match fields.i16() {
        Some(0) => {}
        version => return Err(format!("unknown version {version:?} of a transaction's value")),
    }
    fields_text(&mut fields)
        .ok_or_else(|| "the value of a transaction ends too soon or has no known state".to_owned())
}

fn fields_text(fields: &mut Fields<'_>) -> Option<String> {
    let producer_id = fields.i64()?;
    let producer_epoch = fields.i16()?;
    let timeout_ms = fields.i32()?;
    let [status] = fields.take()?;
    let state = STATES.get(usize::from(status))?;
    let partitions = read_partitions(fields)?;
    let last_update_ms = fields.i64()?;
    Some(format!(
        "producerId:{producer_id},producerEpoch:{producer_epoch},state={state},partitions=[{}],\
         txnLastUpdateTimestamp={last_update_ms},txnTimeoutMs={timeout_ms}",
        partitions.join(","),
    ))
}

/// The partitions of a transaction, in the order in which Kafka's set of them gives them out.
fn read_partitions(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let mut partitions = Vec::new();
    let mut set = HashTable::new();
    for _ in 0..fields.nullable_count()? {
        let topic = fields.string()?;
        let of_topic = partitions.len();
        for _ in 0..fields.count()? {
            partitions.push((topic, fields.i32()?));
        }
        let added = partitions.len() - of_topic;
        set.expect(added);
        (0..added).for_each(|_| set.add());
    }
    set.sort(&mut partitions, |(topic, partition)| {
        hash_of_partition(topic, *partition)
    });
    let names = partitions
        .into_iter()
        .map(|(topic, partition)| format!("{topic}-{partition}"));
    Some(names.collect())
}

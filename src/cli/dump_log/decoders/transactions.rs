//! The records of `__transaction_state`, in the text form of Kafka's tool. Kafka 3.9:
//! `TransactionLog.formatRecordKeyAndValue`.
//!
//! [`crate::coordinator::transaction::log`] documents the layouts.

use std::fmt::Display;

use super::decoded::{Decoded, KeyAndValue};
use crate::cli::dump_log::java::{HashTable, hash_of_partition};
use crate::common::ids::TopicPartition;
use crate::coordinator::transaction::TransactionValue;
use crate::coordinator::transaction::log::{Key, read_key, read_value};
use crate::record::Record;

pub(super) fn decode(record: &Record<'_>) -> Result<KeyAndValue, String> {
    let unreadable =
        |part, error: &dyn Display| format!("the {part} of a transaction is unreadable: {error}");
    let key = record.key.ok_or("a record without a key")?;
    let id = match read_key(key).map_err(|error| unreadable("key", &error))? {
        Key::TransactionalId(id) => id,
        Key::Unknown(version) => {
            return Ok((Some(Decoded::Text(format!("unknown::version={version}"))), None));
        }
    };
    let key = format!("transaction_metadata::transactionalId={id}");
    let value = match record.value {
        None => "<DELETE>".to_owned(),
        Some(bytes) => value_text(&read_value(bytes).map_err(|error| unreadable("value", &error))?),
    };
    Ok((Some(Decoded::Text(key)), Some(Decoded::Text(value))))
}

fn value_text(value: &TransactionValue) -> String {
    let TransactionValue {
        producer,
        timeout_ms,
        state,
        partitions,
        last_update_ms,
        start_ms: _,
    } = value;
    let partitions: Vec<String> = in_order_of_kafka(partitions.iter())
        .into_iter()
        .map(TopicPartition::to_string)
        .collect();
    format!(
        "producerId:{},producerEpoch:{},state={},partitions=[{}],\
         txnLastUpdateTimestamp={last_update_ms},txnTimeoutMs={timeout_ms}",
        producer.id,
        producer.epoch,
        state.name(),
        partitions.join(","),
    )
}

/// The partitions, topic by topic, in the iteration order of Kafka's set.
fn in_order_of_kafka<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> Vec<&'a TopicPartition> {
    let mut partitions: Vec<_> = partitions.collect();
    let mut set = HashTable::new();
    for of_topic in partitions.chunk_by(|a, b| a.topic == b.topic) {
        set.expect(of_topic.len());
        of_topic.iter().for_each(|_| set.add());
    }
    set.sort(&mut partitions, |partition| {
        hash_of_partition(&partition.topic, partition.partition)
    });
    partitions
}

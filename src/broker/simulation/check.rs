//! Checks what must hold in a simulated cluster: during a history, and after it on the repaired cluster.

use std::collections::BTreeMap;

use super::load::{Promises, Record};
use super::world::{PARTITIONS, World};
use crate::common::ids::{BrokerId, Offset};
use crate::log::{FetchIsolation, UnifiedLog};
use crate::record::RecordBatches;

/// The content of a log between two offsets, as bytes and as records.
struct Content {
    bytes: Vec<u8>,
    records: Vec<(Offset, Record)>,
}

fn content(log: &UnifiedLog, from: Offset, isolation: FetchIsolation) -> Result<Content, String> {
    let mut found = Content {
        bytes: Vec::new(),
        records: Vec::new(),
    };
    let mut offset = from;
    loop {
        let read = log.read(offset, 1 << 20, isolation, true);
        let Some(slice) = read
            .map_err(|error| format!("reading from {offset}: {error}"))?
            .records
        else {
            return Ok(found);
        };
        let bytes = slice
            .read()
            .map_err(|error| format!("reading from {offset}: {error}"))?;
        for batch in RecordBatches::new(&bytes) {
            let batch = batch.map_err(|error| format!("behind offset {offset}: {error}"))?;
            if !batch.is_valid_crc() {
                return Err(format!("offset {}: the checksum is wrong", batch.base_offset()));
            }
            let record = (batch.producer_id(), batch.base_sequence());
            found.records.push((batch.base_offset(), record));
            offset = batch.next_offset();
        }
        found.bytes.extend_from_slice(&bytes);
    }
}

/// Reads the committed records as a consumer does, from every broker that believes it is the leader. Compares them with
/// the records that the consumer has seen before.
pub(super) fn show(world: &World, index: i32, promises: &mut Promises) -> Result<(), String> {
    for &broker in &world.brokers {
        let Some(log) = world.leader_log(broker, index) else {
            continue;
        };
        // The consumer reads the last records again, to detect changes.
        let from = log.high_watermark().saturating_sub(20).max(0);
        let Ok(content) = content(&log, from, FetchIsolation::HighWatermark) else {
            // The broker's disk may just have failed. The check at the end of the history detects a real fault.
            continue;
        };
        for (offset, record) in content.records {
            let before = *promises.shown.entry(offset).or_insert(record);
            if before != record {
                return Err(format!(
                    "partition {index}: at offset {offset} a consumer was shown {before:?}, and {record:?} by broker {broker}"
                ));
            }
        }
    }
    Ok(())
}

/// The content of every log on every broker.
pub(super) fn contents(world: &World) -> Vec<(BrokerId, i32, Vec<u8>)> {
    let of = |&broker: &BrokerId| {
        (0..PARTITIONS).filter_map(move |index| {
            let content = content(&*world.log(broker, index)?, 0, FetchIsolation::LogEnd).ok()?;
            Some((broker, index, content.bytes))
        })
    };
    world.brokers.iter().flat_map(of).collect()
}

/// Checks a repaired cluster.
pub(super) async fn verify(
    world: &World,
    promises: &BTreeMap<i32, std::sync::Arc<parking_lot::Mutex<Promises>>>,
) -> Result<(), String> {
    for index in 0..PARTITIONS {
        let replicas = world.replicas(index).await;
        let promises = promises[&index].lock();
        let result = verify_partition(world, index, &replicas, &promises);
        result.map_err(|broken| format!("partition {index}: {broken}"))?;
    }
    match world.around.network.panics() {
        0 => Ok(()),
        panics => Err(format!("{panics} handlers panicked")),
    }
}

fn verify_partition(
    world: &World,
    index: i32,
    replicas: &[BrokerId],
    promises: &Promises,
) -> Result<(), String> {
    if let Some(absurd) = promises.absurd.first() {
        return Err(absurd.clone());
    }
    let of = |broker: BrokerId| {
        let log = world.log(broker, index).ok_or("a replica is missing")?;
        content(&log, 0, FetchIsolation::LogEnd).map_err(|error| format!("broker {broker}: {error}"))
    };
    let first = of(replicas[0])?;
    for &broker in &replicas[1..] {
        let other = of(broker)?;
        if other.bytes != first.bytes {
            let at = first.records.iter().zip(&other.records).position(|(a, b)| a != b);
            let around = |content: &Content| {
                let from = at.unwrap_or(0).saturating_sub(1);
                let records: Vec<_> = content.records.iter().skip(from).take(5).copied().collect();
                (content.records.len(), content.bytes.len(), records)
            };
            return Err(format!(
                "brokers {} and {broker} differ at batch {at:?}: {:?} and {:?}",
                replicas[0],
                around(&first),
                around(&other)
            ));
        }
    }
    verify_records(&first.records, promises)
}

fn verify_records(records: &[(Offset, Record)], promises: &Promises) -> Result<(), String> {
    let by_offset: BTreeMap<Offset, Record> = records.iter().copied().collect();
    let mut next: BTreeMap<_, i32> = BTreeMap::new();
    for (offset, (producer, sequence)) in records {
        let expected = next.entry(*producer).or_insert(0);
        if sequence != expected {
            return Err(format!(
                "offset {offset}: producer {producer}'s sequence {sequence} where {expected} should be"
            ));
        }
        *expected += 1;
    }
    for (record, offset) in &promises.acknowledged {
        let found = by_offset.get(offset);
        if found != Some(record) {
            return Err(format!(
                "{record:?} was acknowledged at offset {offset}, where {found:?} is"
            ));
        }
    }
    for (offset, record) in &promises.shown {
        let found = by_offset.get(offset);
        if found != Some(record) {
            return Err(format!(
                "{record:?} was shown at offset {offset}, where {found:?} is"
            ));
        }
    }
    Ok(())
}

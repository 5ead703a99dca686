//! Decides for one batch whether the cleaner removes it, keeps it as it is, or rewrites it with fewer records.
//! Kafka 3.9: `MemoryRecords.filterTo`.

use std::collections::HashMap;

use super::error::CleanError;
use super::filter::{BatchRetention, Horizon, batch_retention, retains_record};
use super::offset_map::{KEYS_AT_A_TIME, KeyHash, OffsetMap};
use super::stats::CleanerStats;
use super::transactions::CleanedTransactions;
use crate::common::ids::{Offset, ProducerId};
use crate::config::TimestampType;
use crate::log::index::AbortedTxn;
use crate::log::unified_log::LastRecord;
use crate::record::{
    BatchHeader, EndTransactionMarker, RawRecords, RecordBatch, RecordError, Survivors, retain_messages,
};

/// Largest unpacked size of a batch.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// Buffers that are used again for batch after batch.
#[derive(Default)]
pub struct Scratch {
    /// A batch's records, unpacked.
    unpacked: Vec<u8>,
    /// The unpacked records that stay.
    survivors: Vec<u8>,
    /// The records that stay, compressed as the log stores them.
    packed: Vec<u8>,
    /// The hashes of the keys that are looked up next.
    hashes: Vec<Option<KeyHash>>,
}

impl Scratch {
    /// The records of a batch of format 2, unpacked if necessary.
    pub fn plain<'a>(&'a mut self, batch: &RecordBatch<'a>) -> Result<&'a [u8], RecordError> {
        plain(batch, &mut self.unpacked)
    }

    /// Frees the extra memory that an unusually large batch needed.
    pub fn shrink(&mut self, bytes: usize) {
        for buffer in [&mut self.unpacked, &mut self.survivors, &mut self.packed] {
            buffer.clear();
            buffer.shrink_to(bytes);
        }
    }
}

fn plain<'a>(batch: &RecordBatch<'a>, unpacked: &'a mut Vec<u8>) -> Result<&'a [u8], RecordError> {
    if !batch.is_compressed() {
        return Ok(batch.records());
    }
    unpacked.clear();
    let compression = batch.compression()?;
    compression.decompress_into(batch.magic(), batch.records(), UNPACKED_BYTES_MAX, unpacked)?;
    Ok(unpacked)
}

/// The decision about a batch.
#[derive(Debug)]
pub enum Fate<'a> {
    /// The batch is removed.
    Dropped,
    /// The batch stays as it is.
    Verbatim,
    /// The batch stays with this header and these records.
    Rewritten(BatchHeader, &'a [u8]),
    /// A message of format 0 or 1 that stays in this form.
    RewrittenMessage(&'a [u8]),
}

/// Decides batch by batch, from the start of a group of segments.
pub struct Recopy<'a> {
    /// The last offset of each key in `verified`.
    pub map: &'a OffsetMap,
    /// The times that the clean uses.
    pub horizon: Horizon,
    /// The last write of each active producer.
    pub last_records: &'a HashMap<ProducerId, LastRecord>,
    /// The position of the walk among the transactions.
    pub transactions: &'a mut CleanedTransactions,
    /// The offsets of the batches whose checksums were checked when the map was built.
    pub verified: std::ops::Range<Offset>,
    /// Buffers.
    pub scratch: &'a mut Scratch,
    /// The statistics.
    pub stats: &'a mut CleanerStats,
}

/// The result of the check of a batch's records.
struct FilterResult {
    read: i32,
    retained: i32,
    max_timestamp: i64,
    has_tombstone: bool,
}

impl Recopy<'_> {
    /// The decision about the next batch, and the entry for the transaction index if the batch is an abort marker that
    /// needs one.
    pub fn decide(&mut self, batch: &RecordBatch<'_>) -> Result<(Fate<'_>, Option<AbortedTxn>), CleanError> {
        self.stats.bytes_read += batch.size_in_bytes() as u64;
        let (can_discard, aborted) = self.pass(batch)?;
        let (retention, discards_records) =
            batch_retention(batch, can_discard, &self.horizon, self.last_records);
        if retention == BatchRetention::Delete {
            self.verify(batch)?;
            return Ok((Fate::Dropped, aborted));
        }
        let fate = match batch.magic() {
            0 | 1 => self.decide_message(batch)?,
            _ => {
                let spent_marker = can_discard && batch.is_control_batch();
                self.decide_batch(batch, retention, discards_records, spent_marker)?
            }
        };
        Ok((fate, aborted))
    }

    /// Passes the batch to the transactions.
    fn pass(&mut self, batch: &RecordBatch<'_>) -> Result<(bool, Option<AbortedTxn>), CleanError> {
        if !batch.is_control_batch() {
            return Ok((self.transactions.on_batch(batch), None));
        }
        let marker = EndTransactionMarker::read(batch, batch.records())?;
        let verdict = self
            .transactions
            .on_control_batch(batch, marker.map(|(marker, _)| marker.control_type));
        Ok((verdict.can_discard, verdict.aborted))
    }

    /// Checks the batch: a corrupt batch must not cause the removal of records, and must not get a new checksum.
    fn verify(&self, batch: &RecordBatch<'_>) -> Result<(), CleanError> {
        if self.verified.contains(&batch.base_offset()) && self.verified.contains(&batch.last_offset()) {
            return Ok(());
        }
        batch
            .ensure_valid_crc()
            .map_err(|e| CleanError::Uncleanable(e.reason))
    }

    fn decide_batch(
        &mut self,
        batch: &RecordBatch<'_>,
        retention: BatchRetention,
        discards_records: bool,
        spent_marker: bool,
    ) -> Result<Fate<'_>, CleanError> {
        let result = self.filter_records(batch, discards_records)?;
        self.stats.messages_read += result.read as u64;
        self.stats.messages_written += result.retained as u64;
        if result.retained == 0 {
            self.verify(batch)?;
            return Ok(match retention {
                BatchRetention::RetainEmpty => Fate::Rewritten(batch.emptied(), &[]),
                _ => Fate::Dropped,
            });
        }
        let needs_horizon = (result.has_tombstone || spent_marker) && batch.delete_horizon_ms().is_none();
        if result.retained == result.read && !needs_horizon {
            return Ok(Fate::Verbatim);
        }
        self.verify(batch)?;
        let horizon = needs_horizon.then(|| self.horizon.for_new_tombstones());
        let (header, records) = self.rebuild(batch, &result, horizon)?;
        Ok(Fate::Rewritten(header, records))
    }

    /// Checks the records of a batch. Copies those that stay, as whole ranges, to the scratch buffer, unless all stay
    /// and none is a tombstone.
    fn filter_records(
        &mut self,
        batch: &RecordBatch<'_>,
        discards_records: bool,
    ) -> Result<FilterResult, CleanError> {
        let Scratch {
            unpacked,
            survivors,
            hashes,
            ..
        } = &mut *self.scratch;
        survivors.clear();
        let records = plain(batch, unpacked)?;
        let count = batch.count().unwrap_or(0);
        let mut ahead = RawRecords::new(count, records);
        let retains_tombstones = self.horizon.retains_tombstones(batch);
        let mut result = FilterResult {
            read: 0,
            retained: 0,
            max_timestamp: i64::MIN,
            has_tombstone: false,
        };
        // Start of the current run of records that stay, and position of the walk.
        let (mut run, mut position) = (0, 0);
        for (i, record) in RawRecords::new(count, records).enumerate() {
            if i % KEYS_AT_A_TIME == 0 {
                hashes.clear();
                for record in ahead.by_ref().take(KEYS_AT_A_TIME) {
                    hashes.push(record?.key.map(|key| self.map.hash(key)));
                }
                self.map.touch(hashes.iter().copied().flatten());
            }
            let record = record?;
            let key = hashes[i % KEYS_AT_A_TIME];
            result.read += 1;
            let offset = batch.base_offset() + i64::from(record.offset_delta);
            let retained = !discards_records
                && (batch.is_control_batch()
                    || retains(
                        self.map,
                        self.stats,
                        offset,
                        key,
                        record.has_value,
                        retains_tombstones,
                    ));
            let start = position;
            position += record.bytes.len();
            if retained {
                result.retained += 1;
                result.has_tombstone |= !record.has_value;
                let timestamp = batch.base_timestamp().wrapping_add(record.timestamp_delta);
                result.max_timestamp = result.max_timestamp.max(timestamp);
            } else {
                survivors.extend_from_slice(&records[run..start]);
                run = position;
            }
        }
        let may_stay_verbatim = run == 0 && !result.has_tombstone && !batch.is_control_batch();
        if !may_stay_verbatim {
            survivors.extend_from_slice(&records[run..]);
        }
        Ok(result)
    }

    /// The batch with the surviving records, in the same codec.
    fn rebuild(
        &mut self,
        batch: &RecordBatch<'_>,
        result: &FilterResult,
        horizon: Option<i64>,
    ) -> Result<(BatchHeader, &[u8]), CleanError> {
        let Scratch {
            unpacked,
            survivors,
            packed,
            ..
        } = &mut *self.scratch;
        if let Some(horizon) = horizon {
            // Record deltas count from the base timestamp, and the horizon takes that field over.
            unpacked.clear();
            let moved_by = batch.base_timestamp().wrapping_sub(horizon);
            for record in RawRecords::new(result.retained, survivors) {
                let record = record?;
                let delta = match batch.timestamp_type() {
                    TimestampType::CreateTime => record.timestamp_delta.wrapping_add(moved_by),
                    TimestampType::LogAppendTime => batch.max_timestamp().wrapping_sub(horizon),
                };
                record.put_with_timestamp_delta(delta, unpacked);
            }
            std::mem::swap(unpacked, survivors);
        }
        let records: &[u8] = match batch.is_compressed() {
            false => survivors,
            true => {
                *packed =
                    batch
                        .compression()
                        .map_err(RecordError::from)?
                        .compress(None, batch.magic(), survivors);
                packed
            }
        };
        let header = batch.with_survivors(&Survivors {
            records,
            count: result.retained,
            max_timestamp: result.max_timestamp,
            delete_horizon_ms: horizon,
        });
        Ok((header, records))
    }

    fn decide_message(&mut self, batch: &RecordBatch<'_>) -> Result<Fate<'_>, CleanError> {
        let retains_tombstones = self.horizon.retains_tombstones(batch);
        let (map, stats) = (self.map, &mut *self.stats);
        let result = retain_messages(batch, UNPACKED_BYTES_MAX, |record| {
            retains(
                map,
                stats,
                record.offset,
                record.key.map(|key| map.hash(key)),
                record.value.is_some(),
                retains_tombstones,
            )
        })?;
        self.stats.messages_read += result.read as u64;
        self.stats.messages_written += result.retained as u64;
        if result.retained == result.read && result.read > 0 {
            return Ok(Fate::Verbatim);
        }
        self.verify(batch)?;
        Ok(match result.rewritten {
            None => Fate::Dropped,
            Some(message) => {
                self.scratch.packed = message;
                Fate::RewrittenMessage(&self.scratch.packed)
            }
        })
    }
}

/// Whether a data record stays.
#[inline]
fn retains(
    map: &OffsetMap,
    stats: &mut CleanerStats,
    offset: Offset,
    key: Option<KeyHash>,
    has_value: bool,
    retains_tombstones: bool,
) -> bool {
    if offset > map.latest_offset() {
        return true;
    }
    let Some(key) = key else {
        stats.invalid_messages_read += 1;
        return false;
    };
    retains_record(offset, has_value, retains_tombstones, map.get(key))
}

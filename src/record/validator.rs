//! The leader's validation of records, and the batch that it makes of them. Kafka 3.9: `LogValidator`,
//! `UnifiedLog.analyzeAndValidateRecords`.
//!
//! The result is always exactly one batch of format 2. Usually it is the producer's own batch: its payload stays
//! unchanged, and only its header is replaced. The batch is rebuilt when
//!
//! - it is in format 0 or 1,
//! - `compression.type` demands another codec than the batch has, unless it is an uncompressed control batch,
//! - its records do not count their offsets 0, 1, 2, … (Kafka 3.9 tries to repair that, but keeps an uncompressed batch
//!   as it is and answers UNKNOWN_SERVER_ERROR to a compressed one).
//!
//! A rebuilt batch keeps its producer id, epoch and sequence (fact 59). The validator reads every record in any case,
//! as Kafka does, because the number of records and their largest timestamp must be right before consumers depend on
//! them.
//!
//! This module ignores a producer's earlier batches; the log's producer state checks those.

use bytes::Bytes;

use super::batch::{BatchHeader, CURRENT_MAGIC, NO_TIMESTAMP, RecordBatch};
use super::batches::RecordBatches;
use super::builder::BatchBuilder;
use super::compression::Compression;
use super::error::InvalidRecords;
use super::record::{Record, RecordReader};
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::config::{LogConfig, TimestampType};

/// Largest number of records that are reported individually; a batch of empty records could have a hundred thousand.
const MAX_RECORD_ERRORS: usize = 1000;
/// A batch that has to be rebuilt, and a record larger than the unpacking buffer, may unpack to at most this multiple
/// of `max.message.bytes` (or of [`MIN_UNPACKED_BYTES`], if that is more). The validator refuses data with a better
/// compression as too large, because it must hold all of it in memory.
const MAX_EXPANSION: usize = 64;
const MIN_UNPACKED_BYTES: usize = 64 << 20;
/// Upper limit in any case, because lengths are 32-bit numbers.
const MAX_UNPACKED_BYTES: usize = 1 << 30;
/// The origin of an append, which decides which checks apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A follower, or a replay of records that are already in the log: nothing is refused.
    Replication,
    /// A coordinator on this broker, including its transaction markers: trusted, except for its producer's epoch.
    Coordinator,
    /// A Produce request.
    Client,
}

/// The log's state at the time of the append.
#[derive(Clone, Copy, Debug)]
pub struct AppendContext<'a> {
    /// The log's partition.
    pub partition: &'a TopicPartition,
    /// The topic's configuration.
    pub config: &'a LogConfig,
    /// The offset that the first record gets.
    pub next_offset: Offset,
    /// The epoch in which this broker leads the partition.
    pub leader_epoch: LeaderEpoch,
    /// The current time.
    pub now_ms: i64,
    /// The origin of the append.
    pub origin: AppendOrigin,
}

/// One validated batch with its offsets, ready to be written: first [`BatchHeader::encode`], then the records.
#[derive(Clone, Debug)]
pub struct ValidatedRecords {
    /// The header with the offsets, leader epoch, timestamps and CRC that are written to disk.
    pub header: BatchHeader,
    /// The bytes after the header: the producer's own unless `is_rebuilt`.
    pub records: Bytes,
    /// The leader's time if `message.timestamp.type` is LogAppendTime, else -1.
    pub log_append_time: i64,
    /// Whether the batch was re-encoded; Kafka counts such records as converted.
    pub is_rebuilt: bool,
    /// Approximate size of its unpacked records; 0 if they were not unpacked.
    pub unpacked_bytes: usize,
}

/// Checks the batch (or the messages of format 0 or 1) in `records` and assigns its offsets. Ignores bytes after the
/// last complete batch.
pub fn validate_append(
    records: &Bytes,
    context: &AppendContext<'_>,
) -> Result<ValidatedRecords, InvalidRecords> {
    let (first, source) = check_batches(records, context)?;
    let target = Compression::target(context.config.compression_type, source);
    let is_control = source == Compression::None && first.is_control_batch();
    if first.magic() == CURRENT_MAGIC && (source == target || is_control) {
        let mut check = RecordCheck::new(context);
        check.walk(&first, None)?;
        check.finish()?;
        if check.are_offsets_consecutive {
            let mut placed = place(&first, check.max_timestamp, records, context);
            if source != Compression::None {
                placed.unpacked_bytes = check.unpacked_bytes;
            }
            return Ok(placed);
        }
    }
    rebuild(records, &first, target, context)
}

/// The checks that do not read the records. Returns the first batch and the common codec.
fn check_batches<'a>(
    records: &'a [u8],
    context: &AppendContext<'_>,
) -> Result<(RecordBatch<'a>, Compression), InvalidRecords> {
    let mut first: Option<RecordBatch<'a>> = None;
    let mut source = Compression::None;
    let mut is_single = true;
    for batch in RecordBatches::new(records) {
        let batch = batch?;
        check_size(batch.size_in_bytes(), context)?;
        batch.ensure_valid_crc()?;
        let compression = batch
            .compression()
            .map_err(|error| InvalidRecords::new(ErrorCode::UnsupportedCompressionType, error.to_string()))?;
        if compression != Compression::None {
            source = compression;
        }
        is_single = first.is_none();
        let first = first.get_or_insert(batch);
        if batch.magic() != first.magic() {
            return Err(InvalidRecords::invalid(
                "batches of different formats in one append",
            ));
        }
        if context.origin == AppendOrigin::Client {
            check_client_batch(&batch)?;
        }
    }
    let first = first.ok_or_else(|| InvalidRecords::invalid("there is no complete batch"))?;
    if !is_single && (first.magic() >= CURRENT_MAGIC || source != Compression::None) {
        return Err(InvalidRecords::invalid("there must be exactly one batch"));
    }
    Ok((first, source))
}

fn check_size(size: usize, context: &AppendContext<'_>) -> Result<(), InvalidRecords> {
    let limit = context.config.max_message_bytes;
    if size <= usize::try_from(limit).unwrap_or(0) {
        return Ok(());
    }
    let message = format!("a batch of {size} bytes, more than max.message.bytes, {limit}");
    Err(InvalidRecords::new(ErrorCode::MessageTooLarge, message))
}

fn check_client_batch(batch: &BatchHeader) -> Result<(), InvalidRecords> {
    if batch.magic() < CURRENT_MAGIC {
        return Ok(());
    }
    if batch.base_offset() != 0 {
        return Err(InvalidRecords::invalid(format!(
            "base offset {} instead of 0",
            batch.base_offset()
        )));
    }
    let from_offsets = i64::from(batch.last_offset_delta()) + 1;
    if from_offsets <= 0 || from_offsets != i64::from(batch.count) {
        let message = format!("{} records, but {from_offsets} offsets", batch.count);
        return Err(InvalidRecords::invalid(message));
    }
    if batch.is_control_batch() {
        return Err(InvalidRecords::invalid("clients do not write control records"));
    }
    if batch.has_producer_id() && batch.base_sequence() < 0 {
        let message = format!(
            "sequence {} of producer {}",
            batch.base_sequence(),
            batch.producer_id()
        );
        return Err(InvalidRecords::invalid(message));
    }
    Ok(())
}

/// The producer's own batch with a new header.
fn place(
    batch: &RecordBatch<'_>,
    max_timestamp: i64,
    records: &Bytes,
    context: &AppendContext<'_>,
) -> ValidatedRecords {
    let mut header = batch.header();
    let timestamp_type = context.config.message_timestamp_type;
    let (max_timestamp, log_append_time) = match timestamp_type {
        TimestampType::CreateTime => (max_timestamp, NO_TIMESTAMP),
        TimestampType::LogAppendTime => (context.now_ms, context.now_ms),
    };
    header.set_max_timestamp(timestamp_type, max_timestamp, batch.records());
    header.set_base_offset(context.next_offset);
    header.set_partition_leader_epoch(context.leader_epoch);
    ValidatedRecords {
        header,
        records: records.slice_ref(batch.records()),
        log_append_time,
        is_rebuilt: false,
        unpacked_bytes: 0,
    }
}

/// One new batch with all records in `records`.
fn rebuild(
    records: &[u8],
    first: &BatchHeader,
    target: Compression,
    context: &AppendContext<'_>,
) -> Result<ValidatedRecords, InvalidRecords> {
    let log_append_time = match context.config.message_timestamp_type {
        TimestampType::CreateTime => None,
        TimestampType::LogAppendTime => Some(context.now_ms),
    };
    let mut builder = BatchBuilder::new(context.next_offset)
        .compression(target, target.level(context.config))
        .log_append_time(log_append_time)
        .producer(first.producer_id(), first.producer_epoch(), first.base_sequence())
        .transactional(first.is_transactional())
        .partition_leader_epoch(context.leader_epoch);
    let mut check = RecordCheck::new(context);
    for batch in RecordBatches::new(records) {
        check.walk(&batch?, Some((&mut builder, target)))?;
    }
    check.finish()?;
    if builder.count() == 0 {
        return Err(InvalidRecords::invalid("there is no record"));
    }
    let unpacked_bytes = check.unpacked_bytes + builder.uncompressed_size();
    let (header, records) = builder.build_parts();
    check_size(header.size_in_bytes(), context)?;
    let log_append_time = log_append_time.unwrap_or(NO_TIMESTAMP);
    Ok(ValidatedRecords {
        header,
        records,
        log_append_time,
        is_rebuilt: true,
        unpacked_bytes,
    })
}

/// The check of all records, which may be in several messages.
struct RecordCheck<'a> {
    context: &'a AppendContext<'a>,
    index: i32,
    max_timestamp: i64,
    are_offsets_consecutive: bool,
    are_timestamps_invalid: bool,
    unpacked_bytes: usize,
    record_errors: Vec<(i32, String)>,
    /// Number of bad records, which may exceed the number of reported ones.
    errors: usize,
}

impl<'a> RecordCheck<'a> {
    fn new(context: &'a AppendContext<'a>) -> Self {
        Self {
            context,
            index: 0,
            max_timestamp: NO_TIMESTAMP,
            are_offsets_consecutive: true,
            are_timestamps_invalid: false,
            unpacked_bytes: 0,
            record_errors: Vec::new(),
            errors: 0,
        }
    }

    /// Checks each record, and adds it to `builder` while all records are good.
    fn walk(
        &mut self,
        batch: &RecordBatch<'_>,
        mut builder: Option<(&mut BatchBuilder, Compression)>,
    ) -> Result<(), InvalidRecords> {
        let limit = unpacked_limit(self.context.config);
        let mut reader = RecordReader::new(batch, limit)?;
        while let Some(record) = reader.next()? {
            self.check(batch, &record);
            self.unpacked_bytes += record.size();
            if let Some((builder, target)) = &mut builder
                && self.record_errors.is_empty()
            {
                if record.timestamp < NO_TIMESTAMP {
                    // Negative timestamps are accepted in a batch that need not be rebuilt, as in Kafka.
                    let message = format!("timestamp {} is negative", record.timestamp);
                    return Err(InvalidRecords::new(ErrorCode::InvalidTimestamp, message));
                }
                let offset = self.context.next_offset + i64::from(self.index);
                builder.append_with_offset(
                    offset,
                    record.timestamp,
                    record.key,
                    record.value,
                    record.headers,
                );
                match target {
                    Compression::None => check_size(builder.uncompressed_size(), self.context)?,
                    _ if builder.uncompressed_size() > limit => {
                        return Err(super::error::RecordError::TooLarge(limit).into());
                    }
                    _ => {}
                }
            }
            self.index += 1;
        }
        Ok(())
    }

    #[inline]
    fn check(&mut self, batch: &BatchHeader, record: &Record<'_>) {
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.are_offsets_consecutive &=
            record.offset.wrapping_sub(batch.base_offset()) == i64::from(self.index);
        let config = self.context.config;
        if config.cleanup_policy.compact && record.key.is_none() {
            self.blame(format!(
                "Compacted topic cannot accept message without key in topic partition {}",
                self.context.partition
            ));
        } else if config.message_timestamp_type == TimestampType::CreateTime
            && record.timestamp != NO_TIMESTAMP
        {
            let age = self.context.now_ms.saturating_sub(record.timestamp);
            let is_too_old = age > config.message_timestamp_before_max_ms;
            if is_too_old || age.saturating_neg() > config.message_timestamp_after_max_ms {
                self.are_timestamps_invalid = true;
                self.blame(format!(
                    "Timestamp {} of message with offset {} is out of range. The timestamp should be within [{}, {}]",
                    record.timestamp,
                    record.offset,
                    self.context
                        .now_ms
                        .saturating_sub(config.message_timestamp_before_max_ms),
                    self.context
                        .now_ms
                        .saturating_add(config.message_timestamp_after_max_ms),
                ));
            }
        } else if batch.timestamp_type() == TimestampType::LogAppendTime {
            self.are_timestamps_invalid = true;
            self.blame(format!(
                "Invalid timestamp type in message {}. Producer should not set timestamp type to LogAppendTime.",
                record.offset
            ));
        }
    }

    #[cold]
    fn blame(&mut self, reason: String) {
        self.errors += 1;
        if self.record_errors.len() < MAX_RECORD_ERRORS {
            self.record_errors.push((self.index, reason));
        }
    }

    /// One bad record makes the whole batch invalid.
    fn finish(&mut self) -> Result<(), InvalidRecords> {
        if self.record_errors.is_empty() {
            return Ok(());
        }
        let record_errors = std::mem::take(&mut self.record_errors);
        let (code, message) = match self.are_timestamps_invalid {
            true => (
                ErrorCode::InvalidTimestamp,
                "One or more records have been rejected due to invalid timestamp".to_owned(),
            ),
            false => (ErrorCode::InvalidRecord, rejected(self.errors, &record_errors)),
        };
        Err(InvalidRecords {
            code,
            message,
            record_errors,
        })
    }
}

/// Kafka's message, including its way of printing the first errors.
fn rejected(errors: usize, record_errors: &[(i32, String)]) -> String {
    let named = record_errors.iter().take(3);
    let named: Vec<_> = named
        .map(|(index, message)| format!("RecordError(batchIndex={index}, message='{message}')"))
        .collect();
    format!(
        "One or more records have been rejected due to {errors} record errors in total, and only showing the first \
         three errors at most: [{}]",
        named.join(", ")
    )
}

fn unpacked_limit(config: &LogConfig) -> usize {
    let max_message_bytes = usize::try_from(config.max_message_bytes).unwrap_or(0);
    max_message_bytes
        .saturating_mul(MAX_EXPANSION)
        .clamp(MIN_UNPACKED_BYTES, MAX_UNPACKED_BYTES)
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;

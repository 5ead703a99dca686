//! Appends to a log: the leader checks and numbers the records, a follower appends them as they are.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::MutexGuard;

use super::results::LogAppendInfo;
use super::{UnifiedLog, Writer};
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset};
use crate::log::error::{AppendError, LogError};
use crate::log::index::AbortedTxn;
use crate::log::producer_state::{AppendDecision, ProducerBatch, Verification};
use crate::log::segment::{LogSegment, OFFSET_SPAN_MAX, SegmentAppend};
use crate::record::conversion::Conversion;
use crate::record::validator::{AppendContext, AppendOrigin, ValidatedRecords, validate_append};
use crate::record::{BatchError, BatchHeader, RecordBatches};

/// The checked records from the leader.
struct FollowerRecords<'a> {
    /// Whole batches that can be appended together.
    bytes: &'a [u8],
    first_offset: Offset,
    /// The offset that must not be below the end of the log. The header of a wrapper of format 0 or 1 stores only its
    /// last offset.
    first_or_last_offset: Offset,
    last_offset: Offset,
    max_timestamp: i64,
    offset_of_max_timestamp: Offset,
}

impl UnifiedLog {
    /// Appends records that open no transaction, or whose transaction needs no verification: see
    /// [`append_verified_as_leader`](Self::append_verified_as_leader).
    pub fn append_as_leader(
        &self,
        records: Bytes,
        epoch: LeaderEpoch,
        origin: AppendOrigin,
    ) -> Result<LogAppendInfo, AppendError> {
        self.append_verified_as_leader(records, epoch, origin, &Verification::Off)
    }

    /// Validates the records, assigns offsets and appends. `records` come from the client or the coordinator.
    /// Everything that reads the records happens before the log is locked; this works because the CRC covers neither
    /// offset nor epoch. `verification` matters if the batch begins a transaction.
    pub fn append_verified_as_leader(
        &self,
        records: Bytes,
        epoch: LeaderEpoch,
        origin: AppendOrigin,
        verification: &Verification,
    ) -> Result<LogAppendInfo, AppendError> {
        self.context.dir.ensure_online()?;
        if RecordBatches::new(&records).next().is_none() {
            return Ok(self.nothing_appended());
        }
        let config = self.config.load();
        let now_ms = self.context.clock.wall_ms();
        let begun_ms = self.context.clock.monotonic_ms();
        let context = AppendContext {
            partition: &self.partition,
            config: &config,
            next_offset: 0,
            leader_epoch: epoch,
            now_ms,
            origin,
        };
        let mut batch = validate_append(&records, &context).map_err(|e| AppendError {
            record_errors: e.record_errors,
            ..AppendError::new(e.code, e.message)
        })?;
        let mut conversion = Conversion {
            temporary_bytes: batch.unpacked_bytes as u64,
            ..Conversion::default()
        };
        if batch.is_rebuilt {
            let millis = self.context.clock.monotonic_ms() - begun_ms;
            conversion.records =
                u64::try_from(batch.header.last_offset() - batch.header.base_offset() + 1).unwrap_or(0);
            conversion.time = Duration::from_millis(millis.try_into().unwrap_or(0));
        }
        let size = batch.header.size_in_bytes();
        if size as i64 > i64::from(config.segment_bytes) {
            return Err(AppendError::new(
                ErrorCode::RecordListTooLarge,
                format!(
                    "a batch of {size} bytes, more than segment.bytes, {}",
                    config.segment_bytes
                ),
            ));
        }
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let mut info = self.append_batch(&mut writer, &mut batch, (origin, verification), now_ms)?;
        info.conversion = conversion;
        self.flush_if_due(writer, config.flush_messages)?;
        Ok(info)
    }

    /// Producers of old formats may send no records, or no complete ones. This is no error, and has no offset.
    fn nothing_appended(&self) -> LogAppendInfo {
        LogAppendInfo {
            first_offset: -1,
            last_offset: -2,
            max_timestamp: -1,
            log_append_time: -1,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
            size: 0,
            conversion: Conversion::default(),
        }
    }

    fn append_batch(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        batch: &mut ValidatedRecords,
        (origin, verification): (AppendOrigin, &Verification),
        now_ms: i64,
    ) -> Result<LogAppendInfo, AppendError> {
        let (first_offset, log_start_offset) = {
            let view = self.view.lock();
            (view.end.offset, view.log_start_offset)
        };
        batch.header.set_base_offset(first_offset);
        let header = batch.header;
        let mut info = LogAppendInfo {
            first_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp(),
            log_append_time: batch.log_append_time,
            log_start_offset,
            duplicate: false,
            size: header.size_in_bytes(),
            conversion: Conversion::default(),
        };
        self.assign_epoch(header.partition_leader_epoch(), first_offset)?;
        let append = SegmentAppend {
            head: &header.encode(),
            tail: &batch.records,
            last_offset: info.last_offset,
            max_timestamp: info.max_timestamp,
            offset_of_max_timestamp: info.last_offset,
        };
        let segment = self.maybe_roll(writer, &append, now_ms)?;
        let producer_batch = ProducerBatch::read(&header, &batch.records)
            .map_err(|e| AppendError::new(e.code(), e.to_string()))?;
        let decision = writer
            .producers
            .state
            .validate_append(&producer_batch, origin, verification);
        match decision.map_err(|e| AppendError::new(e.code(), e.to_string()))? {
            AppendDecision::New => {
                self.write(writer, &segment, &append, std::iter::once(producer_batch))?;
            }
            AppendDecision::Duplicate(earlier) => {
                info.first_offset = earlier.first_offset();
                info.last_offset = earlier.last_offset;
                info.log_append_time = earlier.timestamp;
                info.duplicate = true;
                info.size = 0;
            }
        }
        Ok(info)
    }

    /// Appends the leader's batches as they are, and stops before a batch whose epoch is above `epoch` (fact 74).
    /// Appends only what fits into one segment; the follower fetches the rest again. Enforces no size limit and no
    /// producer's epoch or sequence (fact 44), because the leader has already decided.
    pub fn append_as_follower(
        &self,
        records: Bytes,
        epoch: LeaderEpoch,
    ) -> Result<LogAppendInfo, AppendError> {
        self.context.dir.ensure_online()?;
        let config = self.config.load();
        let checked = check_follower_records(&records, epoch, config.segment_bytes)?;
        let now_ms = self.context.clock.wall_ms();
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let (end, log_start_offset) = {
            let view = self.view.lock();
            (view.end.offset, view.log_start_offset)
        };
        let Some(checked) = checked else {
            return Ok(LogAppendInfo {
                first_offset: end,
                last_offset: end - 1,
                max_timestamp: -1,
                log_append_time: -1,
                log_start_offset,
                duplicate: false,
                size: 0,
                conversion: Conversion::default(),
            });
        };
        if checked.first_or_last_offset < end {
            // If the start of an empty log is within a batch of the leader's, the log begins with that batch. The
            // leader's start comes with every fetch and raises this one's again.
            let straddles = end == log_start_offset && checked.last_offset >= log_start_offset;
            if !straddles {
                return Err(AppendError::new(
                    ErrorCode::UnknownServerError,
                    format!(
                        "first offset {} of an append is below the end of the log, {end}",
                        checked.first_or_last_offset
                    ),
                ));
            }
            self.start_empty_at(&mut writer, checked.first_offset)?;
        }
        self.append_verbatim(&mut writer, &checked, now_ms)?;
        self.flush_if_due(writer, config.flush_messages)?;
        Ok(LogAppendInfo {
            first_offset: checked.first_offset,
            last_offset: checked.last_offset,
            max_timestamp: checked.max_timestamp,
            log_append_time: -1,
            log_start_offset,
            duplicate: false,
            size: checked.bytes.len(),
            conversion: Conversion::default(),
        })
    }

    fn append_verbatim(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        records: &FollowerRecords<'_>,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let mut newest = NO_LEADER_EPOCH;
        for batch in RecordBatches::new(records.bytes) {
            let batch = batch.map_err(corrupt_message)?;
            // The log must not contain a marker that cannot be read.
            ProducerBatch::read(&batch, batch.records())
                .map_err(|e| AppendError::new(ErrorCode::CorruptMessage, e.to_string()))?;
            if batch.magic() < 2 {
                // Without epochs, truncation falls back to the high watermark.
                self.forget_epochs()?;
            } else if batch.partition_leader_epoch() > newest {
                newest = batch.partition_leader_epoch();
                self.assign_epoch(newest, batch.base_offset())?;
            }
        }
        let append = SegmentAppend {
            head: records.bytes,
            tail: &[],
            last_offset: records.last_offset,
            max_timestamp: records.max_timestamp,
            offset_of_max_timestamp: records.offset_of_max_timestamp,
        };
        let segment = self.maybe_roll(writer, &append, now_ms)?;
        let batches = RecordBatches::new(records.bytes).map_while(Result::ok);
        let batches = batches.filter_map(|batch| ProducerBatch::read(&batch, batch.records()).ok());
        self.write(writer, &segment, &append, batches)
    }

    fn forget_epochs(&self) -> Result<(), LogError> {
        if self.epochs.latest().is_none() {
            return Ok(());
        }
        self.epochs.clear();
        self.context.dir.check(self.epochs.flush())
    }

    /// Records a new epoch, which must be on disk before its first record.
    fn assign_epoch(&self, epoch: LeaderEpoch, start: Offset) -> Result<(), LogError> {
        match self.epochs.assign_in_memory(epoch, start) {
            true => self.context.dir.check(self.epochs.flush()),
            false => Ok(()),
        }
    }

    /// Writes the records, then moves the end of the log, then updates the producers' state. Every aborted transaction
    /// is in the index before the last stable offset passes its marker.
    fn write(
        &self,
        writer: &mut Writer,
        segment: &LogSegment,
        append: &SegmentAppend<'_>,
        batches: impl Iterator<Item = ProducerBatch>,
    ) -> Result<(), AppendError> {
        let dir = &self.context.dir;
        dir.check(segment.append(append))?;
        let next_offset = append.last_offset + 1;
        self.view.lock().end = segment.end_metadata(next_offset);
        let state = &mut writer.producers.state;
        let was_unstable = state.first_unstable_offset();
        for batch in batches {
            if let Some(completed) = state.update(&batch)
                && completed.is_aborted
            {
                dir.check(segment.append_aborted(&AbortedTxn {
                    producer_id: completed.producer_id,
                    first_offset: completed.first_offset,
                    last_offset: completed.last_offset,
                    last_stable_offset: completed.last_stable_offset,
                }))?;
            }
        }
        state.advance_map_end_offset(next_offset);
        if state.first_unstable_offset() != was_unstable {
            self.publish_first_unstable_offset(writer);
        }
        Ok(())
    }
}

fn corrupt_message(error: BatchError) -> AppendError {
    AppendError::new(ErrorCode::CorruptMessage, error.to_string())
}

/// The part of a follower's records that it may append; `None` if there is none.
fn check_follower_records(
    records: &[u8],
    epoch: LeaderEpoch,
    segment_bytes: i32,
) -> Result<Option<FollowerRecords<'_>>, AppendError> {
    let mut batches = RecordBatches::new(records);
    let mut checked: Option<FollowerRecords<'_>> = None;
    loop {
        let position = batches.valid_bytes();
        let Some(batch) = batches.next() else { break };
        let batch = batch.map_err(corrupt_message)?;
        if batch.magic() >= 2 && batch.partition_leader_epoch() > epoch {
            break;
        }
        let header: BatchHeader = batch.header();
        batch
            .ensure_valid_crc()
            .map_err(|e| AppendError::new(ErrorCode::CorruptMessage, e.reason))?;
        if header.base_offset() < 0 || header.last_offset() < header.base_offset() {
            return Err(AppendError::new(
                ErrorCode::CorruptMessage,
                format!("offsets {} to {}", header.base_offset(), header.last_offset()),
            ));
        }
        let end = position + header.size_in_bytes();
        match &mut checked {
            None => {
                checked = Some(FollowerRecords {
                    bytes: &records[..end],
                    first_offset: header.base_offset(),
                    first_or_last_offset: header.base_offset(),
                    last_offset: header.last_offset(),
                    max_timestamp: header.max_timestamp(),
                    offset_of_max_timestamp: header.last_offset(),
                });
            }
            Some(so_far) => {
                if header.base_offset() <= so_far.last_offset {
                    return Err(AppendError::new(
                        ErrorCode::CorruptMessage,
                        format!("offset {} follows {}", header.base_offset(), so_far.last_offset),
                    ));
                }
                let too_large = end as i64 > i64::from(segment_bytes);
                if too_large || header.last_offset() - so_far.first_offset > OFFSET_SPAN_MAX {
                    break;
                }
                so_far.bytes = &records[..end];
                so_far.last_offset = header.last_offset();
                if header.max_timestamp() > so_far.max_timestamp {
                    so_far.max_timestamp = header.max_timestamp();
                    so_far.offset_of_max_timestamp = header.last_offset();
                }
            }
        }
    }
    Ok(checked)
}

//! Reads a partition of a coordinator's topic from its start to its end, replicated or not.

use tracing::warn;

use super::coordinator_log::CoordinatorLog;
use super::fields::LogFormatError;
use crate::common::error::ErrorCode;
use crate::common::ids::Offset;
use crate::record::{Record, RecordBatch, RecordBatches, RecordReader};

/// The upper limit for a coordinator's record. `message.max.bytes` limits batches to far less.
const MAX_RECORD_BYTES: usize = 1 << 30;

/// Why a partition could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The log cannot be read: this broker no longer leads the partition, or the log dir has failed.
    #[error("the log cannot be read: {0}")]
    Log(ErrorCode),
    /// A batch is corrupt, so the start of the next batch is unknown.
    #[error("corrupt batch at offset {offset} or after: {reason}")]
    Corrupt {
        /// The offset at which this read began.
        offset: Offset,
        /// The defect.
        reason: String,
    },
    /// The partition moved to another broker during the load.
    #[error("the partition has moved")]
    Superseded,
}

/// Passes every batch of a partition to `apply`. Between reads, `is_current` says whether the load is still valid.
/// Blocks.
pub(super) fn for_each_batch(
    log: &dyn CoordinatorLog,
    partition: i32,
    buffer_size: usize,
    is_current: impl Fn() -> bool,
    mut apply: impl FnMut(&RecordBatch<'_>),
) -> Result<(), LoadError> {
    let (mut offset, end) = log.bounds(partition).map_err(LoadError::Log)?;
    while offset < end {
        if !is_current() {
            return Err(LoadError::Superseded);
        }
        let bytes = log.read(partition, offset, buffer_size).map_err(LoadError::Log)?;
        let start = offset;
        for batch in RecordBatches::new(&bytes) {
            let batch = batch.map_err(|error| LoadError::Corrupt {
                offset: start,
                reason: error.to_string(),
            })?;
            // A read starts with the batch that contains the offset. That batch may begin before the offset.
            if batch.last_offset() >= offset {
                apply(&batch);
                offset = batch.next_offset();
            }
        }
        if offset == start {
            break;
        }
    }
    Ok(())
}

/// Passes every record of a batch to `apply`. An unreadable record is skipped with a warning, so that the other records
/// of the batch stay valid.
pub(super) fn for_each_record(
    batch: &RecordBatch<'_>,
    mut apply: impl FnMut(&Record<'_>) -> Result<(), LogFormatError>,
) {
    let offset = batch.base_offset();
    let mut records = match RecordReader::new(batch, MAX_RECORD_BYTES) {
        Ok(records) => records,
        Err(error) => {
            warn!(offset, %error, "skipping an unreadable batch of a coordinator's topic");
            return;
        }
    };
    loop {
        match records.next() {
            Ok(Some(record)) => {
                if let Err(error) = apply(&record) {
                    warn!(offset = record.offset, %error, "skipping an unreadable record of a coordinator's topic");
                }
            }
            Ok(None) => return,
            Err(error) => {
                warn!(offset, %error, "skipping the rest of a batch of a coordinator's topic");
                return;
            }
        }
    }
}

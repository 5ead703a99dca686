//! Reads a partition of a coordinator's topic from its start to its end, replicated or not.

use tracing::warn;

use super::coordinator_log::CoordinatorLog;
use super::fields::LogFormatError;
use crate::common::error::ErrorCode;
use crate::common::ids::Offset;
use crate::record::{Record, RecordBatch, RecordBatches, RecordReader};

/// No record of a coordinator is larger: `message.max.bytes` bounds batches far below this.
const MAX_RECORD_BYTES: usize = 1 << 30;

/// Why a partition could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The log cannot be read: this broker does not lead it any more, or its log dir has failed.
    #[error("the log cannot be read: {0}")]
    Log(ErrorCode),
    /// A batch that cannot be what it says; where the next one starts is unknown.
    #[error("corrupt batch at offset {offset} or after: {reason}")]
    Corrupt {
        /// The offset at which this read began.
        offset: Offset,
        /// What is wrong.
        reason: String,
    },
    /// The partition was taken from this broker meanwhile.
    #[error("the partition has moved")]
    Superseded,
}

/// Shows every batch of a partition to `apply`. `is_current` is asked between reads whether the result is still wanted.
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
            // A read starts with the batch that holds the offset, which may begin before it.
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

/// Shows every record of a batch to `apply`. A record that cannot be read is skipped with a warning, so that the other
/// records of the batch still count.
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

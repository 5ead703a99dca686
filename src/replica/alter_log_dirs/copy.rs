//! Makes one step of a copy. Kafka 3.9: `ReplicaAlterLogDirsThread.processPartitionData`, `LocalLeaderEndPoint`.

use crate::common::ids::{LeaderEpoch, Offset};
use crate::log::{FetchIsolation, LogError, UnifiedLog};
use crate::replica::fetcher::apply::{self, ApplyError, Fetched};

/// Truncates records in the copy that the log does not have, then appends the next records of the log to the copy: at
/// most `max_bytes`, unless a single batch is larger. Returns the number of bytes that were appended; 0 if the copy was
/// complete.
pub(super) fn step(log: &UnifiedLog, copy: &UnifiedLog, max_bytes: usize) -> Result<usize, ApplyError> {
    while let Some(divergence) = divergence(log, copy) {
        let end = copy.log_end_offset();
        if apply::truncate(copy, divergence)?.fetch_offset >= end {
            // The log and the copy have no epoch in common.
            copy.truncate_fully_and_start_at(log.log_start_offset())?;
        }
    }
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    if !(start..=end).contains(&copy.log_end_offset()) {
        apply::reset(copy, start, end)?;
    }
    let fetch_offset = copy.log_end_offset();
    let high_watermark = log.high_watermark();
    let read = log.read(fetch_offset, max_bytes, FetchIsolation::LogEnd, true);
    let read = read.map_err(|error| match error {
        // The log was truncated since its offsets were read.
        LogError::OffsetOutOfRange { .. } => ApplyError::Corrupt(error.to_string()),
        error => error.into(),
    })?;
    let records = match read.records {
        Some(slice) => slice.read().map_err(|e| ApplyError::Corrupt(e.to_string()))?,
        None => Vec::new(),
    };
    let before = copy.size();
    apply::append(
        copy,
        Fetched {
            epoch: LeaderEpoch::MAX,
            fetch_offset,
            records: records.into(),
            high_watermark,
            log_start_offset: log.log_start_offset(),
        },
    )?;
    Ok(usize::try_from(copy.size().saturating_sub(before)).unwrap_or(0))
}

/// The offset at which the copy starts to differ from the log: the log's largest epoch that is not after the copy's
/// last epoch, and the end of that epoch.
fn divergence(log: &UnifiedLog, copy: &UnifiedLog) -> Option<(LeaderEpoch, Offset)> {
    let last = copy.latest_epoch()?;
    let (epoch, end) = log.end_offset_for_epoch(last);
    (epoch < last || end < copy.log_end_offset()).then_some((epoch, end))
}

/// Whether the copy has every record. The caller makes sure that no record is appended to the log meanwhile. An epoch
/// that has started but has no record yet is noted in the copy as well (fact 32).
pub(super) fn is_complete(log: &UnifiedLog, copy: &UnifiedLog) -> Result<bool, ApplyError> {
    let end = log.log_end_offset();
    if copy.log_end_offset() != end || divergence(log, copy).is_some() {
        return Ok(false);
    }
    copy.maybe_increment_log_start_offset(log.log_start_offset().min(copy.high_watermark()))?;
    if let Some(epoch) = log
        .latest_epoch()
        .filter(|&epoch| Some(epoch) > copy.latest_epoch())
    {
        copy.assign_epoch_start_offset(epoch, end)?;
    }
    Ok(true)
}

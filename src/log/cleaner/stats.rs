//! The statistics of a clean, and the lines that it writes to the broker's log. Kafka 3.9: `CleanerStats`,
//! `PreCleanStats`.

use crate::common::ids::{Offset, TopicPartition};

/// The statistics of one clean. Times are monotonic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CleanerStats {
    /// Start of the clean.
    pub start_ms: i64,
    /// Time when the offset map was complete.
    pub map_complete_ms: i64,
    /// End of the clean.
    pub end_ms: i64,
    /// Bytes and records of the dirty part.
    pub map_bytes_read: u64,
    /// Records read for the map.
    pub map_messages_read: u64,
    /// Bytes read by the second pass.
    pub bytes_read: u64,
    /// Bytes that survived.
    pub bytes_written: u64,
    /// Records read by the second pass.
    pub messages_read: u64,
    /// Records that survived.
    pub messages_written: u64,
    /// Records without a key.
    pub invalid_messages_read: u64,
    /// How full the offset map was, from 0 to 1.
    pub buffer_utilization: f64,
}

/// The statistics of a selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreCleanStats {
    /// By how much the log that has waited longest exceeds its `max.compaction.lag.ms`.
    pub max_compaction_delay_ms: i64,
    /// How many logs exceed it.
    pub delayed_partitions: usize,
    /// How many logs could have been chosen.
    pub cleanable_partitions: usize,
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn rate(bytes: u64, seconds: f64) -> f64 {
    match seconds > 0.0 {
        true => mb(bytes) / seconds,
        false => 0.0,
    }
}

fn percent_less(before: u64, after: u64) -> f64 {
    100.0 * (1.0 - after as f64 / before.max(1) as f64)
}

impl CleanerStats {
    /// Duration in seconds.
    pub fn elapsed_secs(&self) -> f64 {
        (self.end_ms - self.start_ms) as f64 / 1000.0
    }

    fn elapsed_index_secs(&self) -> f64 {
        (self.map_complete_ms - self.start_ms) as f64 / 1000.0
    }

    /// Logs the summary at the end of a clean.
    pub fn log(
        &self,
        thread: usize,
        partition: &TopicPartition,
        from: Offset,
        to: Offset,
        before: &PreCleanStats,
    ) {
        let (elapsed, index) = (self.elapsed_secs(), self.elapsed_index_secs());
        tracing::info!(
            thread,
            log = %partition,
            "log cleaner thread {thread} cleaned log {partition} (dirty section = [{from}, {to}])\n\
             \t{:.1} MB of log processed in {elapsed:.1} seconds ({:.1} MB/sec)\n\
             \tindexed {:.1} MB in {index:.1} seconds ({:.1} MB/sec, {:.1}% of total time)\n\
             \tbuffer utilization: {:.1}%\n\
             \tcleaned {:.1} MB in {:.1} seconds ({:.1} MB/sec)\n\
             \tstart size: {:.1} MB ({} messages)\n\
             \tend size: {:.1} MB ({} messages)\n\
             \t{:.1}% size reduction ({:.1}% fewer messages)",
            mb(self.bytes_read),
            rate(self.bytes_read, elapsed),
            mb(self.map_bytes_read),
            rate(self.map_bytes_read, index),
            100.0 * index / elapsed.max(0.001),
            100.0 * self.buffer_utilization,
            mb(self.bytes_read),
            elapsed - index,
            rate(self.bytes_read, elapsed - index),
            mb(self.bytes_read),
            self.messages_read,
            mb(self.bytes_written),
            self.messages_written,
            percent_less(self.bytes_read, self.bytes_written),
            percent_less(self.messages_read, self.messages_written),
        );
        if before.delayed_partitions > 0 {
            tracing::info!(
                thread,
                cleanable_partitions = before.cleanable_partitions,
                delayed_partitions = before.delayed_partitions,
                max_delay_ms = before.max_compaction_delay_ms,
                "partitions waited longer than max.compaction.lag.ms"
            );
        }
        if self.invalid_messages_read > 0 {
            let found = self.invalid_messages_read;
            tracing::warn!(thread, log = %partition, found, "removed records without a key during compaction");
        }
    }
}

//! One partition's log: append, read, truncate; high watermark and last stable offset. Kafka 3.9: `UnifiedLog`,
//! `LocalLog`.
//!
//! **Locks.** `writer` is the log's lock. An append, with its one `pwritev`, a roll and a truncation hold it; an fsync
//! never does. `view` holds the values that readers need. It is held only for a few loads and stores, never over I/O,
//! so that a slow write does not keep readers waiting. Order: writer, view, a segment's lock. A change of the segment
//! list, or of an offset that belongs to it, holds both.
//!
//! **Errors.** The first I/O error takes the log dir offline (fact 55). The end of the log moves only after everything
//! was written, so an error leaves it unchanged.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::dir::LogDir;
use super::error::LogError;
use super::leader_epoch_cache::LeaderEpochCache;
use super::offset_metadata::LogOffsetMetadata;
use super::producer_log::ProducerLog;
use super::producer_state::VerificationGuard;
use super::scheduler::Scheduler;
use super::segments::Segments;
use crate::common::clock::SharedClock;
use crate::common::ids::{LeaderEpoch, Offset, ProducerId, TopicId, TopicPartition};
use crate::config::LogConfig;

mod append;
mod cleaning;
mod gauges;
mod high_watermark;
mod lookup;
mod maintenance;
mod metrics;
mod read;
mod results;
mod roll;
mod roll_jitter;
mod truncate;

pub use metrics::LogMetrics;
pub use results::{ActiveProducer, CleaningView, FetchIsolation, LastRecord, LogAppendInfo, Replacement};

pub use crate::record::validator::AppendOrigin;

/// The logs of a broker by their partitions.
pub(in crate::log) type Logs = HashMap<TopicPartition, Arc<UnifiedLog>>;

/// The context that all logs of a log dir share.
pub struct LogContext {
    /// The dir. Any I/O error of the log takes it offline.
    pub dir: Arc<LogDir>,
    /// Time.
    pub clock: SharedClock,
    /// Runs fsyncs after a roll and removals of files.
    pub scheduler: Arc<Scheduler>,
    /// The metrics of the logs.
    pub metrics: LogMetrics,
    /// Called when a recovery point may have gone back, or when a segment that may have been cleaned was truncated: the
    /// checkpoints must not stay ahead.
    pub on_truncated: Box<dyn Fn(&UnifiedLog) + Send + Sync>,
}

/// One partition's log. All methods lock internally and are short, except for reads and writes of the page cache.
pub struct UnifiedLog {
    /// A weak reference for background jobs, which must not keep a deleted log alive.
    me: Weak<UnifiedLog>,
    context: Arc<LogContext>,
    partition: TopicPartition,
    config: ArcSwap<LogConfig>,
    topic_id: Mutex<Option<TopicId>>,
    epochs: LeaderEpochCache,
    writer: Mutex<Writer>,
    view: Mutex<View>,
}

/// The state that only writers need.
struct Writer {
    /// The partition's directory.
    path: PathBuf,
    producers: ProducerLog,
    /// This segment's share of `segment.jitter.ms`. It is drawn for each segment, so that logs that were created
    /// together do not roll together.
    roll_jitter_ms: i64,
    /// Whether the log is closed or deleted: no write is allowed any more.
    closed: bool,
}

/// The state that readers need.
struct View {
    segments: Segments,
    /// The end of the log: the next offset and its position.
    end: LogOffsetMetadata,
    log_start_offset: Offset,
    high_watermark: Offset,
    /// The position of the high watermark, once it has been looked up.
    high_watermark_metadata: Option<LogOffsetMetadata>,
    /// First record of the first transaction that is open, or that ended above the high watermark.
    first_unstable_offset: Option<Offset>,
    /// The position of a last stable offset below the high watermark, and the number of truncations when it was found.
    last_stable_metadata: Option<(LogOffsetMetadata, u64)>,
    /// Everything below this offset is on disk.
    recovery_point: Offset,
    /// Wall clock of the last flush, for `flush.ms`.
    last_flushed_ms: i64,
    /// How often the log was truncated: a flush that began before a truncation says nothing about later data.
    truncations: u64,
}

/// A log as the loader found it.
pub(super) struct LoadedLog {
    pub(super) path: PathBuf,
    pub(super) segments: Segments,
    pub(super) epochs: LeaderEpochCache,
    /// Whether the loader dropped epochs without records, which the file still has.
    pub(super) epochs_changed: bool,
    pub(super) producers: ProducerLog,
    pub(super) topic_id: Option<TopicId>,
    pub(super) log_start_offset: Offset,
    pub(super) recovery_point: Offset,
    pub(super) end: LogOffsetMetadata,
}

impl UnifiedLog {
    /// Opens the log that the loader found. The high watermark starts at the log start offset; the replica manager
    /// raises it to the checkpointed one (fact 56).
    pub(super) fn new(
        context: Arc<LogContext>,
        partition: TopicPartition,
        config: Arc<LogConfig>,
        loaded: LoadedLog,
    ) -> Arc<Self> {
        let first_unstable_offset = loaded.producers.state.first_unstable_offset();
        let last_flushed_ms = context.clock.wall_ms();
        let roll_jitter_ms = roll_jitter::random(&config);
        let epochs_changed = loaded.epochs_changed;
        let log = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            context,
            partition,
            config: ArcSwap::new(config),
            topic_id: Mutex::new(loaded.topic_id),
            epochs: loaded.epochs,
            writer: Mutex::new(Writer {
                path: loaded.path,
                producers: loaded.producers,
                roll_jitter_ms,
                closed: false,
            }),
            view: Mutex::new(View {
                segments: loaded.segments,
                end: loaded.end,
                log_start_offset: loaded.log_start_offset,
                high_watermark: loaded.log_start_offset,
                high_watermark_metadata: None,
                first_unstable_offset,
                last_stable_metadata: None,
                recovery_point: loaded.recovery_point,
                last_flushed_ms,
                truncations: 0,
            }),
        });
        if epochs_changed {
            log.flush_epochs_later();
        }
        log.register_metrics(&log.path());
        log
    }

    /// Writes the epochs in the background, as Kafka does after loading: many logs are loaded at once, most of them had
    /// an epoch without records, and dropping that epoch again after a crash does no harm. An append that comes first
    /// writes them.
    fn flush_epochs_later(&self) {
        let me = self.me.clone();
        self.context.scheduler.schedule(0, move || {
            if let Some(log) = me.upgrade()
                && !log.context.dir.is_offline()
            {
                drop(log.context.dir.check(log.epochs.flush()));
            }
        });
    }

    /// Its partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The log dir that holds it.
    pub fn log_dir(&self) -> &Arc<LogDir> {
        &self.context.dir
    }

    /// The partition's directory.
    pub fn path(&self) -> PathBuf {
        self.writer.lock().path.clone()
    }

    /// The id of its topic, if that has one.
    pub fn topic_id(&self) -> Option<TopicId> {
        *self.topic_id.lock()
    }

    /// Stores the topic's id; it is on disk when this returns (fact 54).
    pub fn assign_topic_id(&self, id: TopicId) -> Result<(), LogError> {
        use super::checkpoint::partition_metadata;
        let writer = self.writer.lock();
        let mut topic_id = self.topic_id.lock();
        match *topic_id {
            Some(found) if found == id => return Ok(()),
            Some(found) => {
                return Err(LogError::InconsistentTopicId { found, expected: id });
            }
            None if id.is_nil() => return Ok(()),
            None => {}
        }
        self.ensure_open(&writer)?;
        let path = writer.path.join(partition_metadata::FILE_NAME);
        self.context
            .dir
            .check(partition_metadata::write(self.context.dir.fs(), &path, id))?;
        *topic_id = Some(id);
        Ok(())
    }

    /// Its configuration.
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// Applies another configuration, from the next append on.
    pub fn update_config(&self, config: Arc<LogConfig>) {
        let mut writer = self.writer.lock();
        writer.roll_jitter_ms = roll_jitter::random(&config);
        self.config.store(config);
    }

    /// First offset that readers may read.
    pub fn log_start_offset(&self) -> Offset {
        self.view.lock().log_start_offset
    }

    /// The offset of the next record.
    pub fn log_end_offset(&self) -> Offset {
        self.view.lock().end.offset
    }

    /// The end of the log with its position.
    pub fn log_end_offset_metadata(&self) -> LogOffsetMetadata {
        self.view.lock().end
    }

    /// Everything below this offset is on disk.
    pub fn recovery_point(&self) -> Offset {
        self.view.lock().recovery_point
    }

    /// Total bytes of its segments.
    pub fn size(&self) -> u64 {
        self.view.lock().segments.size()
    }

    /// How many segments it has.
    pub fn number_of_segments(&self) -> usize {
        self.view.lock().segments.len()
    }

    /// Base offset of the first segment.
    pub fn first_segment_base_offset(&self) -> Offset {
        let view = self.view.lock();
        view.segments.first().map_or(0, |s| s.base_offset())
    }

    /// Latest epoch in the leader-epoch cache.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest().map(|entry| entry.epoch)
    }

    /// Records that `epoch` starts at `start`; the entry is on disk when this returns (fact 32).
    pub fn assign_epoch_start_offset(&self, epoch: LeaderEpoch, start: Offset) -> Result<(), LogError> {
        let writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let news = self.epochs.assign_in_memory(epoch, start);
        drop(writer);
        match news {
            true => self.context.dir.check(self.epochs.flush()),
            false => Ok(()),
        }
    }

    /// Largest epoch ≤ `epoch` and its end offset; (-1, -1) if undefined (kafka-3.9.md §5).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        self.epochs.end_offset_for(epoch, self.log_end_offset())
    }

    /// The epoch of the leader that appended `offset`.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_for_offset(offset)
    }

    /// Number of its producers, and the timestamp of the last record in its oldest open transaction.
    pub fn producer_figures(&self) -> (usize, Option<i64>) {
        let writer = self.writer.lock();
        let state = &writer.producers.state;
        (
            state.producer_id_count(),
            state.oldest_transaction_last_timestamp(),
        )
    }

    /// Its producers, by id (DescribeProducers).
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        let writer = self.writer.lock();
        let active = writer.producers.state.active_producers();
        let mut producers: Vec<_> = active
            .map(|(producer_id, entry)| ActiveProducer {
                producer_id,
                producer_epoch: entry.producer_epoch(),
                last_sequence: entry.last_sequence(),
                last_timestamp: entry.last_timestamp(),
                coordinator_epoch: entry.coordinator_epoch(),
                current_txn_first_offset: entry.current_txn_first_offset(),
            })
            .collect();
        producers.sort_unstable_by_key(|producer| producer.producer_id);
        producers
    }

    /// Begins the verification, with its coordinator, of a transaction that a batch wants to open here; `None` if it is
    /// already open.
    pub fn begin_transaction_verification(
        &self,
        producer_id: ProducerId,
        epoch: i16,
        sequence: i32,
    ) -> Option<VerificationGuard> {
        let now_ms = self.context.clock.wall_ms();
        let state = &mut self.writer.lock().producers.state;
        state.begin_verification(producer_id, epoch, sequence, now_ms)
    }

    /// Checks the indexes of every segment. Returns an error if any cannot be valid.
    pub fn check_indexes_thoroughly(&self) -> Result<(), LogError> {
        let segments: Vec<_> = self.view.lock().segments.iter().cloned().collect();
        for segment in segments {
            self.context.dir.check(segment.check_sanity_thoroughly())?;
        }
        Ok(())
    }

    /// Returns an error if the dir is offline or the log closed.
    fn ensure_open(&self, writer: &Writer) -> Result<(), LogError> {
        self.context.dir.ensure_online()?;
        match writer.closed {
            false => Ok(()),
            true => Err(self.context.dir.error(&format!("{} is closed", self.partition))),
        }
    }
}

#[cfg(test)]
mod tests;

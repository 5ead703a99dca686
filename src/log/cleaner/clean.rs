//! One clean of one log, from the offset map to the swap of the last group. Kafka 3.9: `Cleaner.doClean`,
//! `Cleaner.buildOffsetMap`, `Cleaner.cleanSegments`.

use std::io;
use std::sync::Arc;

use super::config::CleanerConfig;
use super::error::CleanError;
use super::filter::Horizon;
use super::groups::group_segments;
use super::offset_map::{KEYS_AT_A_TIME, OffsetMap, Put};
use super::output::{Output, remove_unused};
use super::recopy::{Fate, Recopy, Scratch};
use super::selection::LogToClean;
use super::source::SegmentSource;
use super::stats::CleanerStats;
use super::transactions::CleanedTransactions;
use crate::common::clock::SharedClock;
use crate::common::ids::Offset;
use crate::log::dir::LogDir;
use crate::log::segment::LogSegment;
use crate::log::unified_log::{Replacement, UnifiedLog};
use crate::record::{
    BatchHeader, EndTransactionMarker, RawRecords, RecordBatch, RecordBatches, RecordReader,
};

/// The smallest size of the buffers, whatever is configured: a batch's header must fit.
const BUFFER_BYTES_MIN: usize = 4096;
/// Largest size to which one record of an old format may be unpacked.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// The cleaner's check with its owner during the work: whether to go on, and how fast.
pub trait Watch {
    /// The cleaner calls this before and after each piece of work, with the bytes that it read or wrote. The call may
    /// block in order to throttle.
    fn proceed(&self, bytes: usize) -> Result<(), CleanError>;
}

/// The cleaner: an offset map and buffers, which exist only during a clean.
pub struct Cleaner {
    clock: SharedClock,
    map: OffsetMap,
    buffer_bytes: usize,
    /// `message.max.bytes`. The cleaner checks the checksum of a larger batch before it takes memory for it.
    trusted_bytes: usize,
    buffer: Vec<u8>,
    scratch: Scratch,
}

/// The state of one clean.
struct Pass<'a> {
    log: &'a UnifiedLog,
    target: &'a LogToClean,
    watch: &'a dyn Watch,
    now_ms: i64,
    /// The map holds everything below this offset.
    end_offset: Offset,
    transactions: CleanedTransactions,
    stats: CleanerStats,
}

impl Pass<'_> {
    fn dir(&self) -> &Arc<LogDir> {
        self.log.dir()
    }

    fn check<T>(&self, result: io::Result<T>) -> Result<T, CleanError> {
        result.map_err(|error| CleanError::from_io(self.dir(), &error))
    }
}

impl Cleaner {
    /// A cleaner with its share of the configured buffers.
    pub fn new(config: &CleanerConfig, clock: SharedClock) -> Self {
        Self {
            clock,
            map: OffsetMap::new(config.map_bytes(), config.load_factor),
            buffer_bytes: config.buffer_bytes().max(BUFFER_BYTES_MIN),
            trusted_bytes: config.max_message_bytes,
            buffer: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Cleans a log. Returns the first offset that is dirty now, and the statistics. After an error the log is
    /// unchanged, or cleaned up to some group of segments; no record is missing in either case.
    pub fn clean(
        &mut self,
        target: &LogToClean,
        watch: &dyn Watch,
    ) -> Result<(Offset, CleanerStats), CleanError> {
        self.buffer = vec![0; self.buffer_bytes];
        let result = self.clean_with_buffers(target, watch);
        self.map.end();
        self.buffer = Vec::new();
        self.scratch = Scratch::default();
        result
    }

    fn clean_with_buffers(
        &mut self,
        target: &LogToClean,
        watch: &dyn Watch,
    ) -> Result<(Offset, CleanerStats), CleanError> {
        let log = &*target.log;
        tracing::info!(
            log = %log.topic_partition(),
            segments = target.dirty_segments().len(),
            from = target.first_dirty_offset,
            to = target.first_uncleanable_offset,
            "building offset map"
        );
        let mut pass = Pass {
            log,
            target,
            watch,
            now_ms: self.clock.wall_ms(),
            end_offset: target.first_dirty_offset,
            transactions: CleanedTransactions::default(),
            stats: CleanerStats {
                start_ms: self.clock.monotonic_ms(),
                ..CleanerStats::default()
            },
        };
        self.build_map(&mut pass)?;
        pass.end_offset = self.map.latest_offset() + 1;
        if pass.end_offset <= target.first_dirty_offset {
            return Err(CleanError::Uncleanable(format!(
                "the offset map has no room for the {} keys of the first dirty batch: raise \
                 log.cleaner.dedupe.buffer.size or lower log.cleaner.threads",
                self.map.entries_max()
            )));
        }
        pass.stats.map_complete_ms = self.clock.monotonic_ms();
        pass.stats.buffer_utilization = self.map.utilization();
        self.recopy(&mut pass)?;
        pass.stats.end_ms = self.clock.monotonic_ms();
        Ok((pass.end_offset, pass.stats))
    }

    /// Adds the last offset of each key in the dirty part to the map, or of as much of the dirty part as fits.
    fn build_map(&mut self, pass: &mut Pass<'_>) -> Result<(), CleanError> {
        let (start, end) = (
            pass.target.first_dirty_offset,
            pass.target.first_uncleanable_offset,
        );
        pass.check(self.map.begin((end - start).max(0) as u64))?;
        let mut transactions = CleanedTransactions::default();
        transactions.add_aborted(&pass.check(pass.log.aborted_between(start, end))?);
        let dirty = pass.target.dirty_segments();
        for (i, segment) in dirty.iter().enumerate() {
            let next = dirty.get(i + 1).map_or(end, |s| s.base_offset());
            let position = pass.check(segment.position_of(start))?;
            let mut source = SegmentSource::new(segment, position, self.trusted_bytes);
            if self.map_segment(pass, &mut source, start, &mut transactions)? == Put::Full {
                tracing::info!(
                    log = %pass.log.topic_partition(),
                    keys = self.map.len(),
                    up_to = self.map.latest_offset(),
                    "the offset map is full, the rest is for the next clean"
                );
                break;
            }
            // An earlier clean may have removed the last records of a segment together with their offsets.
            self.map.update_latest_offset(next - 1);
            self.shrink();
        }
        Ok(())
    }

    fn map_segment(
        &mut self,
        pass: &mut Pass<'_>,
        source: &mut SegmentSource<'_>,
        start: Offset,
        transactions: &mut CleanedTransactions,
    ) -> Result<Put, CleanError> {
        loop {
            let bytes = source.fill(&mut self.buffer);
            let bytes = bytes.map_err(|error| CleanError::from_io(pass.log.dir(), &error))?;
            pass.watch.proceed(bytes.len())?;
            if bytes.is_empty() {
                return Ok(Put::Noted);
            }
            let mut batches = RecordBatches::new(bytes);
            for batch in batches.by_ref() {
                let batch = batch.map_err(|e| uncleanable(source, &e.reason))?;
                let (map, scratch) = (&mut self.map, &mut self.scratch);
                let noted = map_batch(map, scratch, &batch, start, transactions, &mut pass.stats);
                if noted.map_err(|error| located(source, &batch, error))? == Put::Full {
                    return Ok(Put::Full);
                }
                if batch.last_offset() >= start {
                    self.map.update_latest_offset(batch.last_offset());
                }
            }
            pass.stats.map_bytes_read += batches.valid_bytes() as u64;
            source.consume(batches.valid_bytes());
        }
    }

    /// Rewrites the log up to the end of the map, group by group.
    fn recopy(&mut self, pass: &mut Pass<'_>) -> Result<(), CleanError> {
        let target = pass.target;
        let config = pass.log.config();
        let segments: Vec<_> = target
            .segments
            .iter()
            .filter(|s| s.base_offset() < pass.end_offset)
            .cloned()
            .collect();
        let legacy_horizon = match target
            .segments
            .iter()
            .rfind(|s| s.base_offset() < target.first_dirty_offset)
        {
            Some(clean) => pass
                .check(clean.last_modified())?
                .saturating_sub(config.delete_retention_ms),
            None => 0,
        };
        tracing::info!(
            log = %pass.log.topic_partition(),
            keys = self.map.len(),
            up_to = pass.end_offset,
            "cleaning log"
        );
        for group in group_segments(&segments, &config, target.first_uncleanable_offset) {
            self.clean_group(pass, &group, legacy_horizon)?;
            self.shrink();
        }
        Ok(())
    }

    /// Merges a group, usually several segments, into one new segment and swaps it in.
    fn clean_group(
        &mut self,
        pass: &mut Pass<'_>,
        group: &[Arc<LogSegment>],
        legacy_horizon: i64,
    ) -> Result<(), CleanError> {
        let (first, last) = match group {
            [first, .., last] => (first, last),
            [only] => (only, only),
            [] => return Ok(()),
        };
        let path = pass.log.open_path()?;
        let mut output = Output::new(
            Arc::clone(pass.dir()),
            path,
            pass.log.config(),
            first.base_offset(),
            pass.now_ms,
            self.buffer_bytes,
        );
        let last_records = pass.log.last_records_of_active_producers();
        for (i, segment) in group.iter().enumerate() {
            let end = match group.get(i + 1) {
                Some(next) => next.base_offset(),
                None => pass.check(segment.read_next_offset())?,
            };
            let aborted = pass.check(pass.log.aborted_between(segment.base_offset(), end))?;
            pass.transactions.add_aborted(&aborted);
            let horizon = Horizon {
                now_ms: pass.now_ms,
                delete_retention_ms: pass.log.config().delete_retention_ms,
                retain_legacy_tombstones: pass.check(segment.last_modified())? > legacy_horizon,
            };
            let mut recopy = Recopy {
                map: &self.map,
                horizon,
                last_records: &last_records,
                transactions: &mut pass.transactions,
                verified: pass.target.first_dirty_offset..pass.end_offset,
                scratch: &mut self.scratch,
                stats: &mut pass.stats,
            };
            clean_into(
                SegmentSource::new(segment, 0, self.trusted_bytes),
                pass.log.dir(),
                &mut self.buffer,
                &mut recopy,
                &mut output,
                pass.watch,
            )?;
        }
        pass.stats.bytes_written += output.bytes_written();
        let modified = pass.check(last.last_modified())?;
        let new = pass.check(output.finish(modified))?;
        swap(pass, group, new)
    }

    /// Frees the extra memory that an unusually large batch needed.
    fn shrink(&mut self) {
        self.buffer.truncate(self.buffer_bytes);
        self.buffer.shrink_to(self.buffer_bytes);
        self.scratch.shrink(self.buffer_bytes);
    }
}

/// Puts the new segments in the place of those that they were made of, unless the clean was called off or the log was
/// cut meanwhile.
fn swap(pass: &mut Pass<'_>, group: &[Arc<LogSegment>], new: Vec<LogSegment>) -> Result<(), CleanError> {
    let (dir, truncations) = (pass.dir(), pass.target.truncations);
    let swappable = pass.watch.proceed(0);
    if let Err(error) = swappable {
        remove_unused(dir, &new);
        return Err(error);
    }
    match pass.log.replace_segments(new, group, truncations)? {
        Replacement::Done => {
            // Readers of the old segments open the files again.
            group.iter().for_each(|segment| segment.release());
            Ok(())
        }
        Replacement::Outdated(unused) => {
            remove_unused(dir, &unused);
            Err(CleanError::Aborted)
        }
        Replacement::Failed(unused, error) => {
            remove_unused(dir, &unused);
            Err(CleanError::from_io(dir, &error))
        }
    }
}

fn uncleanable(source: &SegmentSource<'_>, reason: &str) -> CleanError {
    CleanError::Uncleanable(source.corrupt(reason).to_string())
}

/// Adds the position of the batch to the error.
fn located(source: &SegmentSource<'_>, batch: &RecordBatch<'_>, error: CleanError) -> CleanError {
    match error {
        CleanError::Uncleanable(reason) => {
            let from = batch.base_offset();
            uncleanable(
                source,
                &format!("the batch at offset {from} in or after it: {reason}"),
            )
        }
        error => error,
    }
}

/// Adds the keys of a batch to the map, unless the batch holds markers or was aborted. Returns [`Put::Full`] if not all
/// keys fit.
fn map_batch(
    map: &mut OffsetMap,
    scratch: &mut Scratch,
    batch: &RecordBatch<'_>,
    start: Offset,
    transactions: &mut CleanedTransactions,
    stats: &mut CleanerStats,
) -> Result<Put, CleanError> {
    // A corrupt key could erase the record of another key.
    batch
        .ensure_valid_crc()
        .map_err(|e| CleanError::Uncleanable(e.reason))?;
    if batch.is_control_batch() {
        let marker = EndTransactionMarker::read(batch, batch.records())?;
        let _ = transactions.on_control_batch(batch, marker.map(|(marker, _)| marker.control_type));
        stats.map_messages_read += 1;
        return Ok(Put::Noted);
    }
    if transactions.on_batch(batch) {
        stats.map_messages_read += batch.count().unwrap_or(0).max(0) as u64;
        return Ok(Put::Noted);
    }
    let mut keys = Vec::with_capacity(KEYS_AT_A_TIME);
    let mut note = |offset: Offset, key: Option<&[u8]>| {
        stats.map_messages_read += 1;
        if let Some(key) = key.filter(|_| offset >= start) {
            keys.push((map.hash(key), offset));
        }
        match keys.len() == KEYS_AT_A_TIME {
            true => map.put_all(&mut keys),
            false => Put::Noted,
        }
    };
    if batch.magic() < 2 {
        let mut records = RecordReader::new(batch, UNPACKED_BYTES_MAX)?;
        while let Some(record) = records.next()? {
            if note(record.offset, record.key) == Put::Full {
                return Ok(Put::Full);
            }
        }
    } else {
        let records = scratch.plain(batch)?;
        for record in RawRecords::new(batch.count().unwrap_or(0), records) {
            let record = record?;
            if note(batch.base_offset() + i64::from(record.offset_delta), record.key) == Put::Full {
                return Ok(Put::Full);
            }
        }
    }
    Ok(map.put_all(&mut keys))
}

/// Reads a segment and passes the surviving records on. Adjacent batches that do not change are copied as one piece.
fn clean_into(
    mut source: SegmentSource<'_>,
    dir: &LogDir,
    buffer: &mut Vec<u8>,
    recopy: &mut Recopy<'_>,
    output: &mut Output,
    watch: &dyn Watch,
) -> Result<(), CleanError> {
    let check = |result: io::Result<()>| result.map_err(|error| CleanError::from_io(dir, &error));
    let mut run_headers: Vec<BatchHeader> = Vec::new();
    loop {
        let bytes = source
            .fill(buffer)
            .map_err(|error| CleanError::from_io(dir, &error))?;
        let before = output.bytes_written();
        watch.proceed(bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let mut batches = RecordBatches::new(bytes);
        let mut run = 0..0;
        while let Some(batch) = batches.next() {
            let batch = batch.map_err(|e| uncleanable(&source, &e.reason))?;
            let end = batches.valid_bytes();
            let decided = recopy.decide(&batch);
            let (fate, aborted) = decided.map_err(|error| located(&source, &batch, error))?;
            let stays = matches!(fate, Fate::Verbatim);
            if stays {
                run_headers.push(batch.header());
                run.end = end;
            }
            if !stays || aborted.is_some() {
                check(output.write(&bytes[run], &run_headers))?;
                run_headers.clear();
                run = end..end;
            }
            match fate {
                Fate::Dropped | Fate::Verbatim => {}
                Fate::Rewritten(header, records) => check(output.write_batch(&header, records))?,
                Fate::RewrittenMessage(message) => {
                    let parsed = RecordBatch::parse(message).ok().flatten();
                    let parsed =
                        parsed.ok_or_else(|| uncleanable(&source, "a message cannot be written anew"))?;
                    check(output.write(message, &[parsed.header()]))?;
                }
            }
            if let Some(transaction) = aborted {
                check(output.note_aborted(&transaction))?;
            }
        }
        check(output.write(&bytes[run], &run_headers))?;
        run_headers.clear();
        source.consume(batches.valid_bytes());
        watch.proceed((output.bytes_written() - before) as usize)?;
    }
}

//! `.timeindex`: timestamps to offsets. Kafka 3.9: `TimeIndex`.
//!
//! ```text
//! entry, 12 bytes: i64 timestamp | i32 offset - base offset
//! ```
//!
//! An entry means that no record before its offset has a larger timestamp. Timestamps increase strictly, offsets never
//! decrease (fact 60). One slot is reserved for the entry that is written when the segment is rolled.

use std::io;

use super::entries::{Index, IndexEntry};
use crate::common::ids::Offset;
use crate::log::fs::corrupt;

/// Bytes of an entry.
const ENTRY_SIZE: usize = 12;

/// A timestamp and the offset of a batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Milliseconds since 1970; -1 for none.
    pub timestamp: i64,
    /// Absolute offset.
    pub offset: Offset,
}

impl IndexEntry<ENTRY_SIZE> for TimestampOffset {
    const SLOTS_KEPT: usize = 1;

    fn decode(base_offset: Offset, bytes: &[u8; ENTRY_SIZE]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
        Self {
            timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            offset: base_offset.saturating_add(i32::from_be_bytes(rest).into()),
        }
    }

    fn encode(&self, base_offset: Offset) -> Option<[u8; ENTRY_SIZE]> {
        let relative = i32::try_from(self.offset - base_offset).ok()?;
        let mut bytes = [0; ENTRY_SIZE];
        bytes[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&relative.to_be_bytes());
        Some(bytes)
    }

    fn offset(&self) -> Offset {
        self.offset
    }

    fn may_follow(&self, earlier: &Self) -> bool {
        self.timestamp > earlier.timestamp && self.offset >= earlier.offset
    }
}

/// The time index of one segment.
pub type TimeIndex = Index<TimestampOffset, ENTRY_SIZE>;

impl TimeIndex {
    /// The last entry; (-1, base offset) if there is none.
    pub fn last(&mut self) -> io::Result<TimestampOffset> {
        let none = self.none();
        Ok(self.last_entry()?.unwrap_or(none))
    }

    fn none(&self) -> TimestampOffset {
        TimestampOffset {
            timestamp: -1,
            offset: self.base_offset(),
        }
    }

    /// The largest entry whose timestamp is ≤ `target`; (-1, base offset) if there is none.
    pub fn lookup(&mut self, target: i64) -> io::Result<TimestampOffset> {
        let none = self.none();
        Ok(self
            .last_not_beyond(target, |entry| entry.timestamp)?
            .unwrap_or(none))
    }

    /// Adds an entry if its timestamp is above the last one; ignores an older or equal one. `is_last` may take the
    /// reserved slot.
    pub fn maybe_append(&mut self, timestamp: i64, offset: Offset, is_last: bool) -> io::Result<()> {
        if timestamp <= self.last()?.timestamp {
            return Ok(());
        }
        if self.is_crammed() || (self.is_full() && !is_last) {
            return Err(corrupt(self.path(), "an entry does not fit"));
        }
        self.push(TimestampOffset { timestamp, offset })
    }
}

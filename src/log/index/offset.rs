//! `.index`: offsets to file positions. Kafka 3.9: `OffsetIndex`.
//!
//! ```text
//! entry, 8 bytes: i32 offset - base offset | i32 position in the .log of the append that ended with the offset
//! ```
//!
//! Offsets and positions increase strictly (fact 60). The index is sparse: one entry about every
//! `index.interval.bytes`.

use std::io;

use super::entries::{Index, IndexEntry};
use crate::common::ids::Offset;

/// Bytes of an entry.
const ENTRY_SIZE: usize = 8;

/// An offset and the byte of the `.log` where the batches that end with it start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Absolute offset.
    pub offset: Offset,
    /// Byte in the `.log`.
    pub position: u64,
}

impl IndexEntry<ENTRY_SIZE> for OffsetPosition {
    const SLOTS_KEPT: usize = 0;

    fn decode(base_offset: Offset, bytes: &[u8; ENTRY_SIZE]) -> Self {
        let [a, b, c, d, rest @ ..] = *bytes;
        Self {
            offset: base_offset.saturating_add(i32::from_be_bytes([a, b, c, d]).into()),
            position: u32::from_be_bytes(rest).into(),
        }
    }

    fn encode(&self, base_offset: Offset) -> Option<[u8; ENTRY_SIZE]> {
        let relative = i32::try_from(self.offset - base_offset).ok()?;
        let position = i32::try_from(self.position).ok()?;
        let mut bytes = [0; ENTRY_SIZE];
        bytes[..4].copy_from_slice(&relative.to_be_bytes());
        bytes[4..].copy_from_slice(&position.to_be_bytes());
        Some(bytes)
    }

    fn offset(&self) -> Offset {
        self.offset
    }

    fn may_follow(&self, earlier: &Self) -> bool {
        self.offset > earlier.offset
    }
}

/// The offset index of one segment.
pub type OffsetIndex = Index<OffsetPosition, ENTRY_SIZE>;

impl OffsetIndex {
    /// Offset of the last entry, the base offset if there is none.
    pub fn last_offset(&mut self) -> io::Result<Offset> {
        let base = self.base_offset();
        Ok(self.last_entry()?.map_or(base, |last| last.offset))
    }

    /// The largest entry whose offset is ≤ `target`; the start of the segment if there is none.
    pub fn lookup(&mut self, target: Offset) -> io::Result<OffsetPosition> {
        let start = OffsetPosition {
            offset: self.base_offset(),
            position: 0,
        };
        Ok(self
            .last_not_beyond(target, |entry| entry.offset)?
            .unwrap_or(start))
    }

    /// An offset that is at least `size` bytes behind the entry at `start`; `None` if the index ends before.
    pub fn upper_bound(&mut self, start: OffsetPosition, size: u64) -> io::Result<Option<OffsetPosition>> {
        self.first_reaching(start.position.saturating_add(size), |entry| entry.position)
    }

    /// Adds an entry. Its offset must be beyond the last one and within 2^31 of the base offset.
    pub fn append(&mut self, offset: Offset, position: u64) -> io::Result<()> {
        self.push(OffsetPosition { offset, position })
    }
}

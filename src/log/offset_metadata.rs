//! An offset with the position of its record. Kafka 3.9: `LogOffsetMetadata`.

use crate::common::ids::Offset;

/// An offset and the position of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsetMetadata {
    /// The offset.
    pub offset: Offset,
    /// Base offset of its segment.
    pub segment_base_offset: Offset,
    /// Byte in the segment's `.log`.
    pub position: u64,
}

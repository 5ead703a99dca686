//! The segments of a log in the order of their base offsets. Kafka 3.9: `LogSegments`.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::segment::LogSegment;
use crate::common::ids::Offset;

/// A list of segments. An open log has at least one; the last one is the active segment.
#[derive(Clone, Default)]
pub struct Segments {
    by_base_offset: BTreeMap<Offset, Arc<LogSegment>>,
}

impl Segments {
    /// Adds a segment, replacing one of the same base offset.
    pub fn insert(&mut self, segment: Arc<LogSegment>) {
        self.by_base_offset.insert(segment.base_offset(), segment);
    }

    /// Removes a segment.
    pub fn remove(&mut self, base_offset: Offset) -> Option<Arc<LogSegment>> {
        self.by_base_offset.remove(&base_offset)
    }

    /// Removes all segments.
    pub fn drain(&mut self) -> Vec<Arc<LogSegment>> {
        std::mem::take(&mut self.by_base_offset).into_values().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_base_offset.len()
    }

    /// Whether there is no segment, as while loading.
    pub fn is_empty(&self) -> bool {
        self.by_base_offset.is_empty()
    }

    /// The first one.
    pub fn first(&self) -> Option<&Arc<LogSegment>> {
        self.by_base_offset.first_key_value().map(|(_, s)| s)
    }

    /// The last one: the active segment.
    pub fn last(&self) -> Option<&Arc<LogSegment>> {
        self.by_base_offset.last_key_value().map(|(_, s)| s)
    }

    /// The one with this base offset.
    pub fn get(&self, base_offset: Offset) -> Option<&Arc<LogSegment>> {
        self.by_base_offset.get(&base_offset)
    }

    /// The segment that holds `offset`: the last one whose base offset is not beyond it.
    pub fn floor(&self, offset: Offset) -> Option<&Arc<LogSegment>> {
        self.by_base_offset.range(..=offset).next_back().map(|(_, s)| s)
    }

    /// The segment behind the one with this base offset.
    pub fn higher(&self, base_offset: Offset) -> Option<&Arc<LogSegment>> {
        self.by_base_offset
            .range((Bound::Excluded(base_offset), Bound::Unbounded))
            .next()
            .map(|(_, s)| s)
    }

    /// All, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<LogSegment>> {
        self.by_base_offset.values()
    }

    /// The segment that holds `from`, and those behind it.
    pub fn tail_from(&self, from: Offset) -> Vec<Arc<LogSegment>> {
        let start = self.floor(from).map_or(from, |s| s.base_offset());
        let range = self.by_base_offset.range(start..);
        range.map(|(_, s)| Arc::clone(s)).collect()
    }

    /// Total bytes of records.
    pub fn size(&self) -> u64 {
        self.iter().map(|s| s.size()).sum()
    }
}

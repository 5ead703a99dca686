//! Grouping of the segments that are cleaned into one. Kafka 3.9: `Cleaner.groupSegmentsBySize`.

use std::sync::Arc;

use crate::common::ids::Offset;
use crate::config::LogConfig;
use crate::log::segment::{LogSegment, OFFSET_SPAN_MAX};

/// The size of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    base_offset: Offset,
    size: u64,
    offset_index: u64,
    time_index: u64,
}

impl Extent {
    fn of(segment: &LogSegment) -> Self {
        let state = segment.state();
        Self {
            base_offset: segment.base_offset(),
            size: segment.size(),
            offset_index: state.offset_index.size(),
            time_index: state.time_index.size(),
        }
    }
}

/// Groups adjacent segments whose records and indexes would fit into one segment even if no record were removed
/// (fact 52). `end` is the first offset behind the last segment.
pub fn group_segments(
    segments: &[Arc<LogSegment>],
    config: &LogConfig,
    end: Offset,
) -> Vec<Vec<Arc<LogSegment>>> {
    let extents: Vec<_> = segments.iter().map(|segment| Extent::of(segment)).collect();
    let (size_max, index_max) = (
        config.segment_bytes.max(0) as u64,
        config.segment_index_bytes.max(0) as u64,
    );
    let lengths = group_lengths(&extents, size_max, index_max, end);
    let mut rest = segments;
    let group = |length| {
        let (group, after) = rest.split_at(length);
        rest = after;
        group.to_vec()
    };
    lengths.into_iter().map(group).collect()
}

fn group_lengths(extents: &[Extent], size_max: u64, index_max: u64, end: Offset) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut first = 0;
    while first < extents.len() {
        let mut sum = extents[first];
        let mut next = first + 1;
        while let Some(extent) = extents.get(next) {
            let last_offset = extents.get(next + 1).map_or(end, |e| e.base_offset) - 1;
            let fits = sum.size + extent.size <= size_max
                && sum.offset_index + extent.offset_index <= index_max
                && sum.time_index + extent.time_index <= index_max
                // A segment without records adds no offset; without this case one segment would be left for every 2^31
                // offsets.
                && (extent.size == 0 || last_offset - sum.base_offset <= OFFSET_SPAN_MAX);
            if !fits {
                break;
            }
            sum.size += extent.size;
            sum.offset_index += extent.offset_index;
            sum.time_index += extent.time_index;
            next += 1;
        }
        lengths.push(next - first);
        first = next;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(of: &[(Offset, u64, u64)]) -> Vec<Extent> {
        let extent = |&(base_offset, size, index): &(Offset, u64, u64)| Extent {
            base_offset,
            size,
            offset_index: index,
            time_index: index,
        };
        of.iter().map(extent).collect()
    }

    #[test]
    fn groups_keep_within_size_indexes_and_offsets() {
        const SPAN: i64 = OFFSET_SPAN_MAX;
        type Case<'a> = (&'a [(Offset, u64, u64)], Offset, &'a [usize]);
        let cases: [Case; 7] = [
            (&[], 0, &[]),
            (&[(0, 500, 1)], 9, &[1]),
            (&[(0, 40, 1), (5, 60, 1), (7, 1, 1)], 9, &[2, 1]),
            (&[(0, 10, 6), (5, 10, 4), (7, 10, 1)], 9, &[2, 1]),
            (&[(0, 10, 1), (5, 10, 1)], SPAN + 1, &[2]),
            (&[(0, 10, 1), (5, 10, 1)], SPAN + 2, &[1, 1]),
            (&[(0, 10, 1), (SPAN, 0, 0), (SPAN * 2, 0, 0)], SPAN * 3, &[3]),
        ];
        for (given, end, expected) in cases {
            assert_eq!(
                group_lengths(&extents(given), 100, 10, end),
                expected,
                "{given:?}"
            );
        }
    }
}

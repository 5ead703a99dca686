//! What a read of a segment or a log found. Kafka 3.9: `FetchDataInfo`.

use crate::common::file_range::FileRange;
use crate::common::ids::{Offset, ProducerId};
use crate::log::offset_metadata::LogOffsetMetadata;

/// What a read found.
#[derive(Clone, Debug)]
pub struct FetchDataInfo {
    /// Where the read began.
    pub fetch_offset: LogOffsetMetadata,
    /// Batches from the one with the offset on. The last one may be cut by the size asked for, as Kafka cuts it;
    /// clients ignore an incomplete last batch.
    pub records: Option<FileRange>,
    /// Even the first batch was cut: a caller that may not send part of a batch sends none.
    pub first_entry_incomplete: bool,
    /// For readers of committed records: producer id and first offset of each aborted transaction in range.
    pub aborted_transactions: Option<Vec<(ProducerId, Offset)>>,
}

impl FetchDataInfo {
    /// Nothing was found.
    pub(in crate::log) fn empty(fetch_offset: LogOffsetMetadata, committed_only: bool) -> Self {
        Self {
            fetch_offset,
            records: None,
            first_entry_incomplete: false,
            aborted_transactions: committed_only.then(Vec::new),
        }
    }
}

//! Defines the result of a read from a segment or a log. Kafka 3.9: `FetchDataInfo`.

use crate::common::file_range::FileRange;
use crate::common::ids::{Offset, ProducerId};
use crate::log::offset_metadata::LogOffsetMetadata;

/// The result of a read.
#[derive(Clone, Debug)]
pub struct FetchDataInfo {
    /// The position at which the read started.
    pub fetch_offset: LogOffsetMetadata,
    /// The batches, from the one with the offset on. As in Kafka, the last batch may be incomplete because of the
    /// maximum size; clients ignore an incomplete last batch.
    pub records: Option<FileRange>,
    /// Whether even the first batch is incomplete: a caller that may not send part of a batch then sends none.
    pub first_entry_incomplete: bool,
    /// For readers of committed records: the producer id and the first offset of each aborted transaction in range.
    pub aborted_transactions: Option<Vec<(ProducerId, Offset)>>,
}

impl FetchDataInfo {
    /// A result without records.
    pub(in crate::log) fn empty(fetch_offset: LogOffsetMetadata, committed_only: bool) -> Self {
        Self {
            fetch_offset,
            records: None,
            first_entry_incomplete: false,
            aborted_transactions: committed_only.then(Vec::new),
        }
    }
}

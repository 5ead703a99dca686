//! A view of one batch, and the walk from batch to batch. Kafka 3.9: `DefaultRecordBatch`, `FileLogInputStream`.

/// A batch that cannot be what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt batch at byte {position}: {reason}")]
pub struct BatchError {
    /// Where it starts, counted from the start of the walk.
    pub position: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// One batch of message format 2 (or one message of an older format), as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct RecordBatch<'a> {
    bytes: &'a [u8],
}

/// The batches that lie one after the other in a buffer; an incomplete last one ends the walk silently.
#[derive(Clone, Debug)]
pub struct RecordBatches<'a> {
    bytes: &'a [u8],
    position: usize,
}

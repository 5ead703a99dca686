//! The three indexes of a segment. Their bytes are Kafka's; each file says which.

mod mmap;
pub mod offset;
pub mod time;
pub mod transaction;

pub use offset::{OffsetIndex, OffsetPosition};
pub use time::{TimeIndex, TimestampOffset};
pub use transaction::{AbortedTxn, TransactionIndex};

#[cfg(test)]
mod tests;

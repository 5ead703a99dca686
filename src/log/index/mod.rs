//! The three indexes of a segment, with Kafka's bytes; each module describes its format. Offset and time index are both
//! an [`entries::Index`] with different entries. The transaction index is a plain file, because most segments have
//! none.

pub mod entries;
pub mod offset;
pub mod time;
pub mod transaction;

pub use offset::{OffsetIndex, OffsetPosition};
pub use time::{TimeIndex, TimestampOffset};
pub use transaction::{AbortedTxn, TransactionIndex};

#[cfg(test)]
mod tests;

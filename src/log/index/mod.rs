//! The three indexes of a segment. Their bytes are Kafka's; each file says which. Offset and time index are both an
//! [`entries::Index`] and differ in their entries; a transaction index is a plain file, as it is rarely there.

pub mod entries;
pub mod offset;
pub mod time;
pub mod transaction;

pub use offset::{OffsetIndex, OffsetPosition};
pub use time::{TimeIndex, TimestampOffset};
pub use transaction::{AbortedTxn, TransactionIndex};

#[cfg(test)]
mod tests;

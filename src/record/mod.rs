//! L1. Records and batches: Kafka's message formats 0, 1 and 2, checked, built and converted.
//! Imports only `common` and `config`. With `protocol`, the only layer that may touch the crate `kafka-protocol`.

pub mod batch;
pub mod batches;
pub mod compression;

pub use batch::{BatchError, BatchHeader, RecordBatch};
pub use batches::RecordBatches;
pub use compression::Compression;

//! Record batches: reads, checks, builds and converts Kafka's message formats 0, 1 and 2. Imports only `common` and
//! `config`. Only this layer and `protocol` may use the crate `kafka-protocol`.

pub mod batch;
pub mod batches;
pub mod builder;
pub mod cleaned;
pub mod compression;
pub mod control;
pub mod conversion;
pub mod error;
pub mod produce_version;
pub mod raw;
#[expect(clippy::module_inception, reason = "a record is what Kafka calls it")]
pub mod record;
pub mod sequence;
pub mod validator;
pub mod varint;

#[cfg(test)]
pub(crate) mod testing;

pub use batch::{BatchHeader, RecordBatch};
pub use batches::RecordBatches;
pub use builder::BatchBuilder;
pub use cleaned::{Survivors, retain_messages};
pub use compression::Compression;
pub use control::{ControlRecordType, EndTransactionMarker};
pub use error::{BatchError, RecordError};
pub use produce_version::validate_produce_version;
pub use raw::RawRecords;
pub use record::{Record, RecordReader};
pub use validator::AppendOrigin;

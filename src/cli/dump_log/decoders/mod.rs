//! The decoders that make keys and values readable. Kafka 3.9: `DumpLogSegments.MessageParser`,
//! `org.apache.kafka.tools.api.Decoder`.

mod decoded;
mod fields;
mod offsets;
mod plain;
mod transactions;

pub(super) use decoded::{Decoded, KeyAndValue};
pub(super) use plain::DecoderClass;

use crate::record::Record;

/// A way to read records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// Decodes key and value separately.
    Plain { key: DecoderClass, value: DecoderClass },
    /// The records of `__consumer_offsets`.
    Offsets,
    /// The records of `__transaction_state`.
    Transactions,
}

impl Decoder {
    /// Decodes a record. An error ends the dump of the file, as in Kafka's tool.
    pub(super) fn decode(&self, record: &Record<'_>) -> Result<KeyAndValue, String> {
        match self {
            Self::Plain { key, value } => Ok((
                record.key.map(|bytes| key.decode(bytes)).transpose()?,
                record.value.map(|bytes| value.decode(bytes)).transpose()?,
            )),
            Self::Offsets => offsets::decode(record),
            Self::Transactions => transactions::decode(record),
        }
    }
}

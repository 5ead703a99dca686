//! The decoders that make keys and values readable. Kafka 3.9: `DumpLogSegments.MessageParser`,
//! `org.apache.kafka.tools.api.Decoder`.

mod fields;
mod offsets;
mod plain;
mod transactions;

pub(super) use plain::DecoderClass;

use serde_json::Value;

use super::java::text_of;
use super::json::to_text;
use crate::record::Record;

/// A decoded key or value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decoded {
    /// Text.
    Text(String),
    /// Bytes that may be text.
    Bytes(Vec<u8>),
    /// A structure, printed as JSON.
    Json(Value),
}

impl Decoded {
    /// Its form in a line of text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => text_of(bytes),
            Self::Json(value) => to_text(value),
        }
    }

    /// Its form in a JSON object; bytes that are not text become an array of numbers.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => bytes.as_slice().into(),
            },
            Self::Json(value) => value.clone(),
        }
    }
}

/// Key and value; the tool does not print `None`.
pub(super) type KeyAndValue = (Option<Decoded>, Option<Decoded>);

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

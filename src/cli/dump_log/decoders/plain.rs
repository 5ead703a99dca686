//! Decoders for text and numbers. Kafka 3.9: `StringDecoder`, `IntegerDecoder`, `LongDecoder`, `DefaultDecoder` of
//! `org.apache.kafka.tools.api`.

use std::str::FromStr;

use super::decoded::Decoded;

/// One of Kafka's own decoders. Others are Java classes, which barnabas cannot run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli::dump_log) enum DecoderClass {
    /// UTF-8.
    #[default]
    String,
    /// The first four bytes.
    Integer,
    /// The first eight bytes.
    Long,
    /// The bytes in hexadecimal. Kafka's decoder prints the address of the array instead.
    Default,
}

impl DecoderClass {
    /// The decoder of a flag without a value.
    pub(in crate::cli::dump_log) const DEFAULT: &str = "org.apache.kafka.tools.api.StringDecoder";

    pub(super) fn decode(self, bytes: &[u8]) -> Result<Decoded, String> {
        let too_short = || format!("{} bytes are too few for a number", bytes.len());
        Ok(match self {
            Self::String => Decoded::Bytes(bytes.to_vec()),
            Self::Integer => {
                let (number, _) = bytes.split_first_chunk().ok_or_else(too_short)?;
                Decoded::Json(i32::from_be_bytes(*number).into())
            }
            Self::Long => {
                let (number, _) = bytes.split_first_chunk().ok_or_else(too_short)?;
                Decoded::Json(i64::from_be_bytes(*number).into())
            }
            Self::Default => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Decoded::Text(format!("0x{hex}"))
            }
        })
    }
}

impl FromStr for DecoderClass {
    type Err = String;

    /// Accepts the new and the deprecated class names.
    fn from_str(class: &str) -> Result<Self, String> {
        let name = class
            .strip_prefix("org.apache.kafka.tools.api.")
            .or_else(|| class.strip_prefix("kafka.serializer."));
        match name {
            Some("StringDecoder") => Ok(Self::String),
            Some("IntegerDecoder") => Ok(Self::Integer),
            Some("LongDecoder") => Ok(Self::Long),
            Some("DefaultDecoder") => Ok(Self::Default),
            _ => Err(
                "this is no JVM: only org.apache.kafka.tools.api.{StringDecoder,IntegerDecoder,LongDecoder,\
                 DefaultDecoder} are known"
                    .to_owned(),
            ),
        }
    }
}

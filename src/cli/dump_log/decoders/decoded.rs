//! Decoded keys and values, and their forms in the output.

use serde_json::Value;

use crate::cli::dump_log::java::text_of;
use crate::cli::dump_log::json::to_text;

/// A decoded key or value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli::dump_log) enum Decoded {
    /// Text.
    Text(String),
    /// Bytes that may be text.
    Bytes(Vec<u8>),
    /// A structure, printed as JSON.
    Json(Value),
}

impl Decoded {
    /// Its form in a line of text.
    pub(in crate::cli::dump_log) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => text_of(bytes),
            Self::Json(value) => to_text(value),
        }
    }

    /// Its form in a JSON object; bytes that are not text become an array of numbers.
    pub(in crate::cli::dump_log) fn json(&self) -> Value {
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
pub(in crate::cli::dump_log) type KeyAndValue = (Option<Decoded>, Option<Decoded>);

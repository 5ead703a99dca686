//! JSON in Jackson's form. Kafka's decoders print it within their lines, and `--json` uses the same form.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// Like serde_json's compact form, but with `\u001B` where serde_json writes `\u001b`.
struct Jackson(CompactFormatter);

impl Formatter for Jackson {
    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(out, "\\u{byte:04X}"),
            escape => self.0.write_char_escape(out, escape),
        }
    }
}

/// The value on one line, without blanks.
pub(super) fn to_text(value: &Value) -> String {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, Jackson(CompactFormatter));
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => unreachable!("a value has text for keys and memory takes every byte: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_characters_are_escaped_in_capitals() {
        let value = json!({ "a": "\u{1b}\n\"\u{7f}\u{e9}/", "b": null });
        assert_eq!(
            to_text(&value),
            "{\"a\":\"\\u001B\\n\\\"\u{7f}\u{e9}/\",\"b\":null}"
        );
    }
}

//! Parses Java's `.properties` syntax completely, and keeps the place of every value for messages. Kafka 3.9:
//! `Utils.loadProps`, that is `java.util.Properties.load`.
//!
//! ```text
//! file    = lines, each ended by \n, \r or \r\n
//! comment = blanks, then # or ! up to the end of the line; never continued
//! entry   = key, blanks, at most one = or :, blanks, value up to the end of the line (trailing blanks count)
//! key     = up to the first = : or blank that no backslash precedes; may be empty
//! escape  = \t \n \r \f, \uXXXX (UTF-16), \ before any other character: that character
//! ```
//! A line that ends in an odd number of backslashes continues on the next line, whose leading blanks are dropped. Bytes
//! are ISO 8859-1, as in Java; all other characters need `\uXXXX`. If a key is given twice, its last value is used.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::error::ConfigError;
use super::origin::Origin;

/// A value, and the place where it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The text, with all escapes resolved.
    pub value: String,
    /// The place of the value.
    pub origin: Origin,
}

/// Keys and values in the order of the keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, Property>,
}

/// Shows only the keys, because values may be passwords.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl Properties {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path).map_err(|e| ConfigError::file(path, &e.to_string()))?;
        Self::parse(&bytes, &path.display().to_string())
    }

    /// Reads the content of a file; messages call the file `name`.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, ConfigError> {
        let path: Arc<str> = name.into();
        let mut properties = Self::default();
        for (line, text) in LogicalLines::new(bytes) {
            let origin = Origin::File {
                path: path.clone(),
                line,
            };
            let (key, value) = split_entry(&text);
            match (unescape(key), unescape(value)) {
                (Some(key), Some(value)) => properties.insert(key, value, origin),
                _ => return Err(ConfigError::at(origin, "malformed \\uXXXX escape")),
            }
        }
        Ok(properties)
    }

    /// Reads text, as Java does with a reader.
    pub fn parse_text(text: &str, name: &str) -> Result<Self, ConfigError> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut units = [0; 2];
        for character in text.chars() {
            match u8::try_from(character) {
                Ok(byte) => bytes.push(byte),
                Err(_) => {
                    // A single backslash before this character has no effect, but would escape the backslash of the
                    // `\u` that replaces the character.
                    let backslashes = bytes.iter().rev().take_while(|&&b| b == b'\\').count();
                    bytes.truncate(bytes.len() - backslashes % 2);
                    for unit in character.encode_utf16(&mut units) {
                        bytes.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    }
                }
            }
        }
        Self::parse(&bytes, name)
    }

    /// Applies `--override KEY=VALUE`.
    pub fn override_with(&mut self, argument: &str) -> Result<(), ConfigError> {
        match argument.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.insert(key.trim().into(), value.into(), Origin::CommandLine);
                Ok(())
            }
            _ => Err(ConfigError::at(
                Origin::CommandLine,
                &format!("'{argument}' is not KEY=VALUE"),
            )),
        }
    }

    /// Sets one value; it replaces an earlier one.
    pub fn insert(&mut self, key: String, value: String, origin: Origin) {
        self.entries.insert(key, Property { value, origin });
    }

    /// Removes one value.
    pub fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|p| p.value.as_str())
    }

    /// The value of a key and where it was given.
    pub fn property(&self, key: &str) -> Option<&Property> {
        self.entries.get(key)
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Property)> {
        self.entries
            .iter()
            .map(|(key, property)| (key.as_str(), property))
    }
}

/// Creates properties from values of the program itself.
impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Properties {
    fn from(entries: [(K, V); N]) -> Self {
        let mut properties = Self::default();
        for (key, value) in entries {
            properties.insert(key.into(), value.into(), Origin::Program);
        }
        properties
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

/// The lines of a file, with continuation lines joined and comments left out. Escapes are not resolved yet.
struct LogicalLines<'a> {
    natural: NaturalLines<'a>,
}

impl<'a> LogicalLines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let natural = NaturalLines { rest: bytes, line: 0 };
        Self { natural }
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = (usize, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let (number, mut part) = loop {
            let (number, line) = self.natural.next()?;
            if !matches!(line.first(), None | Some(b'#' | b'!')) {
                break (number, line);
            }
        };
        let mut logical = Vec::new();
        loop {
            let backslashes = part.iter().rev().take_while(|&&b| b == b'\\').count();
            if backslashes % 2 == 0 {
                logical.extend_from_slice(part);
                return Some((number, logical));
            }
            logical.extend_from_slice(&part[..part.len() - 1]);
            match self.natural.next() {
                Some((_, next)) => part = next,
                None => return Some((number, logical)),
            }
        }
    }
}

/// The lines of a file without leading blanks, numbered from 1.
struct NaturalLines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Iterator for NaturalLines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&b| b == b'\n' || b == b'\r');
        let (line, rest) = match end {
            Some(end) if self.rest[end..].starts_with(b"\r\n") => (&self.rest[..end], &self.rest[end + 2..]),
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        self.line += 1;
        let blanks = line.iter().take_while(|&&b| is_blank(b)).count();
        Some((self.line, &line[blanks..]))
    }
}

/// Key and value of a logical line, both still escaped.
fn split_entry(line: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = line.iter().position(|&b| {
        let ends = !escaped && (is_blank(b) || b == b'=' || b == b':');
        escaped = !escaped && b == b'\\';
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let skip_blanks = |text: &[u8]| text.iter().take_while(|&&b| is_blank(b)).count();
    let rest = &rest[skip_blanks(rest)..];
    let rest = rest
        .strip_prefix(b"=")
        .or(rest.strip_prefix(b":"))
        .unwrap_or(rest);
    (key, &rest[skip_blanks(rest)..])
}

/// Resolves escapes; `None` if a `\u` is not followed by four hexadecimal digits.
fn unescape(text: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        match bytes.next() {
            Some(b't') => units.push(u16::from(b'\t')),
            Some(b'n') => units.push(u16::from(b'\n')),
            Some(b'r') => units.push(u16::from(b'\r')),
            Some(b'f') => units.push(0x0c),
            Some(b'u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    unit = unit * 16 + char::from(bytes.next()?).to_digit(16)? as u16;
                }
                units.push(unit);
            }
            Some(other) => units.push(u16::from(other)),
            None => {}
        }
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String, usize)> {
        let properties = Properties::parse(text.as_bytes(), "f").unwrap();
        let entry = |(key, p): (&str, &Property)| match &p.origin {
            Origin::File { line, .. } => (key.to_string(), p.value.clone(), *line),
            other => panic!("{other}"),
        };
        properties.iter().map(entry).collect()
    }

    /// Every expectation was checked against `java.util.Properties` of OpenJDK 17.
    #[test]
    fn the_syntax_is_javas() {
        type Entry<'a> = (&'a str, &'a str, usize);
        let cases: &[(&str, &[Entry])] = &[
            ("a=b", &[("a", "b", 1)]),
            (
                "a : b\r\nc d\re\tf",
                &[("a", "b", 1), ("c", "d", 2), ("e", "f", 3)],
            ),
            ("a = = b ", &[("a", "= b ", 1)]),
            ("a  b=c", &[("a", "b=c", 1)]),
            ("# a=b\n  ! c=d\n\n \t\x0ce=f", &[("e", "f", 4)]),
            ("a=1,\\\n   2,\\\n\t3\nb=4", &[("a", "1,2,3", 1), ("b", "4", 4)]),
            ("a=b\\\\\nc=d", &[("a", "b\\", 1), ("c", "d", 2)]),
            ("a=b\\\\\\\nc=d", &[("a", "b\\c=d", 1)]),
            ("a=b\\\n# no comment", &[("a", "b# no comment", 1)]),
            ("# comment \\\na=b", &[("a", "b", 2)]),
            ("a=b\\\n\nc=d", &[("a", "b", 1), ("c", "d", 3)]),
            ("a=b\\", &[("a", "b", 1)]),
            ("a\\=b\\ c\\:d=e", &[("a=b c:d", "e", 1)]),
            ("a=\\t\\n\\r\\f\\q\\\"", &[("a", "\t\n\r\x0cq\"", 1)]),
            (
                "a=\\u00e9\\u20AC\\uD83D\\uDE00",
                &[("a", "\u{e9}\u{20ac}\u{1f600}", 1)],
            ),
            ("key", &[("key", "", 1)]),
            ("=v", &[("", "v", 1)]),
            ("a=1\na=2", &[("a", "2", 2)]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(k, v, l)| (k.to_string(), v.to_string(), *l))
                .collect();
            assert_eq!(parsed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn bytes_are_latin_1() {
        let properties = Properties::parse(b"a=\xe9", "f").unwrap();
        assert_eq!(properties.get("a"), Some("\u{e9}"));
    }

    #[test]
    fn a_text_may_have_any_character() {
        let properties = Properties::parse_text("a=\u{e9}\u{20ac}\\\u{1f600}\\\\\u{20ac}", "f").unwrap();
        assert_eq!(properties.get("a"), Some("\u{e9}\u{20ac}\u{1f600}\\\u{20ac}"));
    }

    #[test]
    fn a_malformed_escape_names_its_line() {
        for text in ["a=1\nb=\\u12", "a=1\nb=\\u12g4", "a=1\n\\uzzzz=b"] {
            let error = Properties::parse(text.as_bytes(), "server.properties").unwrap_err();
            assert_eq!(
                error.to_string(),
                "server.properties:2: malformed \\uXXXX escape",
                "{text}"
            );
        }
    }

    #[test]
    fn an_override_replaces_and_says_so() {
        let mut properties = Properties::parse(b"log.dirs=/a\n", "f").unwrap();
        properties.override_with("log.dirs=/b=c").unwrap();
        let property = properties.property("log.dirs").unwrap();
        assert_eq!(
            (property.value.as_str(), &property.origin),
            ("/b=c", &Origin::CommandLine)
        );
        assert!(properties.override_with("log.dirs").is_err());
        assert!(properties.override_with("=x").is_err());
    }
}

//! Writes the subject of a certificate as Java does: RFC 2253, from the last attribute to the first. ACLs and
//! `super.users` name principals in this text. Kafka 3.9: `DefaultKafkaPrincipalBuilder`, Java's
//! `X500Principal.getName`.
//!
//! RFC 2253 has nine keywords. Every other attribute is its object identifier, and its value the DER encoding in
//! hexadecimal digits.

use x509_parser::der_parser::asn1_rs::{Any, Tag, ToDer as _};
use x509_parser::prelude::{AttributeTypeAndValue, X509Name};

const KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The characters that Java escapes wherever they are; RFC 2253 wants less.
const ESCAPED: &str = ",=+<>#;\"\\";

/// The name in RFC 2253's form.
pub fn rfc2253(name: &X509Name<'_>) -> String {
    let parts = name.iter_rdn().map(|part| {
        let attributes: Vec<String> = part.iter().map(attribute).collect();
        attributes.join("+")
    });
    let parts: Vec<String> = parts.collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let value = attribute.attr_value();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid);
    match (keyword, text(value)) {
        (Some((_, keyword)), Some(text)) => format!("{keyword}={}", escaped(&text)),
        (Some((_, keyword)), None) => format!("{keyword}={}", hexadecimal(value)),
        (None, _) => format!("{oid}={}", hexadecimal(value)),
    }
}

/// The value, if its type is one of those that Java shows as text.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            Some(String::from_utf8_lossy(value.data).into_owned())
        }
        // Java reads these bytes as Latin-1.
        Tag::T61String | Tag::GeneralString => {
            Some(value.data.iter().map(|&byte| char::from(byte)).collect())
        }
        Tag::BmpString => {
            let units = value
                .data
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            Some(String::from_utf16_lossy(&units.collect::<Vec<_>>()))
        }
        _ => None,
    }
}

fn hexadecimal(value: &Any<'_>) -> String {
    let der = value.to_der_vec().unwrap_or_default();
    let digits: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("#{digits}")
}

fn escaped(text: &str) -> String {
    let leading = text.len() - text.trim_start_matches(' ').len();
    let trailing = text.trim_end_matches(' ').len();
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_outer_blank = c == ' ' && (at < leading || at >= trailing);
        if is_outer_blank || ESCAPED.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::FromDer as _;

    use super::*;

    /// Names that openssl has made, as DER, and what Java's `X500Principal.getName` makes of them.
    const NAMES: &str = include_str!("testdata/distinguished-names.tsv");

    fn bytes(digits: &str) -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn names_are_written_as_java_writes_them() {
        let mut count = 0;
        for (der, expected) in NAMES.lines().filter_map(|line| line.split_once('\t')) {
            let der = bytes(der);
            let (_, name) = X509Name::from_der(&der).unwrap();
            assert_eq!(rfc2253(&name), expected);
            count += 1;
        }
        assert_eq!(count, 14);
    }

    #[test]
    fn damaged_names_do_no_harm() {
        for (der, _) in NAMES.lines().filter_map(|line| line.split_once('\t')) {
            let der = bytes(der);
            for at in 0..der.len() {
                let mut damaged = der.clone();
                damaged[at] ^= 0x55;
                if let Ok((_, name)) = X509Name::from_der(&damaged) {
                    rfc2253(&name);
                }
            }
        }
    }
}

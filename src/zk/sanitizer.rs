//! Names of users, clients and ips in a form that can be part of a path. Kafka 3.9: `Sanitizer`.
//!
//! Percent-encoding of everything but letters, digits, `.`, `-` and `_`.

/// The name as it stands in paths and notifications.
pub fn sanitize(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => out.push(char::from(byte)),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out
}

/// The name that [`sanitize`] made this of; `None` if it made no such thing.
pub fn desanitize(sanitized: &str) -> Option<String> {
    let mut out = Vec::with_capacity(sanitized.len());
    let mut bytes = sanitized.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = hex_digit(bytes.next()?)?;
                let low = hex_digit(bytes.next()?)?;
                out.push(high << 4 | low);
            }
            // Java's decoder takes a plus for a blank, though its encoder never leaves one.
            b'+' => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for (name, sanitized) in [
            ("alice", "alice"),
            ("CN=a, O=b/c", "CN%3Da%2C%20O%3Db%2Fc"),
            ("a*b~c+d", "a%2Ab%7Ec%2Bd"),
            ("ü.-_", "%C3%BC.-_"),
            ("", ""),
        ] {
            assert_eq!(sanitize(name), sanitized);
            assert_eq!(desanitize(sanitized).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_was_never_sanitized_is_refused() {
        for broken in ["%", "%2", "%zz", "%FF"] {
            assert_eq!(desanitize(broken), None, "{broken}");
        }
    }
}

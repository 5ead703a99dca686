//! Owns the first message of OAUTHBEARER. Kafka 3.9: `OAuthBearerClientInitialResponse`.
//!
//! ```text
//! message = n,[a=NAME], 1 auth=Bearer TOKEN 1 (KEY=VALUE 1)* 1      1 is the byte 0x01; pairs in any order
//! NAME    = as in SCRAM      KEY = letters      VALUE = 0x20 to 0x7e, tab, \r, \n
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::security::sasl::error::SaslError;

const SEPARATOR: char = '\u{1}';
const AUTH: &str = "auth";

/// What a client says first.
#[derive(Clone, PartialEq, Eq)]
pub struct InitialResponse {
    /// The identity to act as; empty for the token's own.
    pub authorization_id: String,
    /// The token.
    pub token: String,
}

impl InitialResponse {
    /// Reads a client's bytes.
    pub fn parse(message: &[u8]) -> Result<Self, SaslError> {
        let invalid =
            |text: &str| SaslError::invalid(format!("Invalid OAUTHBEARER client first message{text}"));
        let text = std::str::from_utf8(message).map_err(|_| invalid(""))?;
        let (authorization_id, pairs) = split(text).ok_or_else(|| invalid(""))?;
        let auth = pairs.get(AUTH).ok_or_else(|| invalid(": 'auth' not specified"))?;
        let token = bearer_token(auth).ok_or_else(|| invalid(": invalid 'auth' format"))?;
        Ok(Self {
            authorization_id: authorization_id.to_owned(),
            token: token.to_owned(),
        })
    }

    /// The message of a client of ours.
    pub fn format(token: &str, extensions: &BTreeMap<String, String>) -> Bytes {
        let mut message = format!("n,,{SEPARATOR}{AUTH}=Bearer {token}");
        for (key, value) in extensions {
            message.push_str(&format!("{SEPARATOR}{key}={value}"));
        }
        message.extend([SEPARATOR, SEPARATOR]);
        Bytes::from(message)
    }
}

/// The authorization id and the pairs. Of two with one key the last counts.
fn split(text: &str) -> Option<(&str, BTreeMap<&str, &str>)> {
    let (authorization_id, rest) = text.strip_prefix("n,")?.split_once(',')?;
    let authorization_id = match authorization_id {
        "" => "",
        _ => authorization_id.strip_prefix("a=").filter(|name| is_name(name))?,
    };
    let mut rest = rest.strip_prefix(SEPARATOR)?.strip_suffix(SEPARATOR)?;
    let mut pairs = BTreeMap::new();
    while !rest.is_empty() {
        let (pair, behind) = rest.split_once(SEPARATOR)?;
        let (key, value) = pair.split_once('=')?;
        if !is_key(key) || !is_value(value) {
            return None;
        }
        pairs.insert(key, value);
        rest = behind;
    }
    Some((authorization_id, pairs))
}

fn is_name(name: &str) -> bool {
    let mut behind = name.split('=').skip(1);
    let escapes_are_known = behind.all(|rest| rest.starts_with("2C") || rest.starts_with("3D"));
    !name.is_empty() && escapes_are_known && name.bytes().all(|b| (1..=127).contains(&b))
}

/// Whether a text can be the name of an extension, other than the reserved one.
pub fn is_extension_name(name: &str) -> bool {
    is_key(name) && name != AUTH
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Whether a text can be the value of an extension.
pub fn is_value(value: &str) -> bool {
    let is_allowed = |b: u8| (0x20..=0x7e).contains(&b) || matches!(b, b'\t' | b'\r' | b'\n');
    !value.is_empty() && value.bytes().all(is_allowed)
}

/// The token in `Bearer TOKEN`.
fn bearer_token(auth: &str) -> Option<&str> {
    let (scheme, rest) = auth.split_once(' ')?;
    let token = rest.trim_start_matches(' ');
    let unpadded = token.trim_end_matches('=');
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_~+/.".contains(&b);
    let is_token = !unpadded.is_empty() && unpadded.bytes().all(is_allowed);
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &str) -> Option<(String, String)> {
        let message = InitialResponse::parse(message.as_bytes()).ok()?;
        Some((message.authorization_id, message.token))
    }

    fn of(authorization_id: &str, token: &str) -> Option<(String, String)> {
        Some((authorization_id.to_owned(), token.to_owned()))
    }

    #[test]
    fn messages_that_kafka_takes() {
        assert_eq!(read("n,,\u{1}auth=Bearer a.b.c\u{1}\u{1}"), of("", "a.b.c"));
        assert_eq!(
            read("n,a=user,\u{1}auth=bEARER  a-_~+/.==\u{1}\u{1}"),
            of("user", "a-_~+/.==")
        );
        assert_eq!(
            read("n,,\u{1}k=v w,\t\u{1}auth=Bearer t\u{1}l==\u{1}\u{1}"),
            of("", "t")
        );
        assert_eq!(
            read("n,,\u{1}auth=Bearer t\u{1}auth=Bearer u\u{1}\u{1}"),
            of("", "u")
        );
    }

    #[test]
    fn messages_that_kafka_refuses() {
        for message in [
            "",
            "\u{1}",
            "n,,\u{1}\u{1}",
            "n,,\u{1}",
            "n,,auth=Bearer t\u{1}\u{1}",
            "y,,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}",
            "n,,\u{1}auth=Basic t\u{1}\u{1}",
            "n,,\u{1}auth=Bearer\u{1}\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Bearer t=u\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t u\u{1}\u{1}",
            "n,user,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,a=,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,,\u{1}k=v\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}k1=v\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}k=\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}auth=x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}\u{1}\u{1}",
        ] {
            assert_eq!(read(message), None, "{message:?}");
        }
    }

    #[test]
    fn what_is_sent_is_read() {
        let extensions = [
            ("one".to_owned(), "1".to_owned()),
            ("two".to_owned(), "2 3".to_owned()),
        ];
        let message = InitialResponse::format("a.b.c", &extensions.into());
        assert_eq!(
            message,
            "n,,\u{1}auth=Bearer a.b.c\u{1}one=1\u{1}two=2 3\u{1}\u{1}"
        );
        assert!(InitialResponse::parse(&message).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(message in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = InitialResponse::parse(&message);
        }

        #[test]
        fn any_text_is_read_or_refused(message in "(n,|a=|,|\u{1}|auth=|Bearer |[a-z=]){0,20}") {
            let _ = InitialResponse::parse(message.as_bytes());
        }
    }
}

//! Owns the four messages of a SCRAM exchange. Kafka 3.9: `ScramMessages`.
//!
//! ```text
//! client first = n,[a=NAME],[m=VALUE,]n=NAME,r=NONCE EXTENSIONS       bare: what begins at n=
//! server first = [m=VALUE,]r=NONCE,s=BASE64,i=DIGITS EXTENSIONS
//! client final = c=BASE64,r=NONCE EXTENSIONS,p=BASE64
//! server final = v=BASE64 EXTENSIONS or e=TEXT
//! EXTENSIONS   = (,LETTERS=VALUE)*
//! NAME         = characters up to 127 without = and comma, =2C for a comma, =3D for =
//! ```
//! Extensions of the last two messages are ignored, and not part of what is signed.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Java takes bits behind the end of the bytes as they are.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A message that does not have its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid SCRAM {0} message format")]
pub struct InvalidMessage(&'static str);

/// A client's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst {
    /// The identity to act as, as it stands in the message; empty for the user's own.
    pub authorization_id: String,
    /// The user's name, without escapes.
    pub name: String,
    /// The client's random text.
    pub nonce: String,
    /// Whether the name is the id of a delegation token: the extension `tokenauth=true`.
    pub is_token: bool,
    /// What is signed.
    pub bare: String,
}

impl ClientFirst {
    /// Reads a client's bytes.
    pub fn parse(message: &[u8]) -> Result<Self, InvalidMessage> {
        Self::read(message).ok_or(InvalidMessage("client first"))
    }

    fn read(message: &[u8]) -> Option<Self> {
        let mut parts = parts(message)?;
        if parts.next()? != "n" {
            return None;
        }
        let authorization_id = match parts.next()? {
            "" => "",
            part => part.strip_prefix("a=").filter(|name| is_name(name))?,
        };
        let name = after_reserved(&mut parts)?
            .strip_prefix("n=")
            .filter(|name| is_name(name))?;
        let nonce = parts.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        let extensions: Vec<&str> = parts.collect();
        let mut is_token = false;
        for extension in &extensions {
            let (key, value) = extension_parts(extension)?;
            if key == "tokenauth" {
                is_token = value.eq_ignore_ascii_case("true");
            }
        }
        let mut bare = format!("n={name},r={nonce}");
        for extension in extensions {
            bare.push(',');
            bare.push_str(extension);
        }
        Some(Self {
            authorization_id: authorization_id.to_owned(),
            name: name.replace("=2C", ",").replace("=3D", "="),
            nonce: nonce.to_owned(),
            is_token,
            bare,
        })
    }

    /// The message of a client of ours.
    pub fn of(name: &str, nonce: &str, is_token: bool) -> Self {
        let escaped = name.replace('=', "=3D").replace(',', "=2C");
        let extension = if is_token { ",tokenauth=true" } else { "" };
        Self {
            authorization_id: String::new(),
            name: name.to_owned(),
            nonce: nonce.to_owned(),
            is_token,
            bare: format!("n={escaped},r={nonce}{extension}"),
        }
    }
}

/// A server's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFirst {
    /// The client's random text with the server's behind it.
    pub nonce: String,
    /// The salt of the user's password.
    pub salt: Vec<u8>,
    /// How many times it is hashed.
    pub iterations: i32,
}

impl ServerFirst {
    /// Reads a server's bytes.
    pub fn parse(message: &[u8]) -> Result<Self, InvalidMessage> {
        Self::read(message).ok_or(InvalidMessage("server first"))
    }

    fn read(message: &[u8]) -> Option<Self> {
        let mut parts = parts(message)?;
        let nonce = after_reserved(&mut parts)?
            .strip_prefix("r=")
            .filter(|nonce| is_nonce(nonce))?;
        let salt = decode(parts.next()?.strip_prefix("s=")?)?;
        let iterations = parts.next()?.strip_prefix("i=")?;
        if !iterations.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let iterations = iterations.parse().ok().filter(|iterations| *iterations > 0)?;
        parts.all(|part| extension_parts(part).is_some()).then(|| Self {
            nonce: nonce.to_owned(),
            salt,
            iterations,
        })
    }

    /// The text to send and to sign.
    pub fn to_text(&self) -> String {
        let salt = STANDARD.encode(&self.salt);
        format!("r={},s={salt},i={}", self.nonce, self.iterations)
    }
}

/// A client's last message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFinal {
    /// The GS2 header, as it was sent.
    pub channel_binding: Vec<u8>,
    /// The random text of both sides.
    pub nonce: String,
    /// The proof that the client has the password.
    pub proof: Vec<u8>,
}

impl ClientFinal {
    /// Reads a client's bytes.
    pub fn parse(message: &[u8]) -> Result<Self, InvalidMessage> {
        Self::read(message).ok_or(InvalidMessage("client final"))
    }

    fn read(message: &[u8]) -> Option<Self> {
        let mut parts: Vec<&str> = parts(message)?.collect();
        let proof = decode(parts.pop()?.strip_prefix("p=")?)?;
        let mut parts = parts.into_iter();
        let channel_binding = decode(parts.next()?.strip_prefix("c=")?)?;
        let nonce = parts.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        parts.all(|part| extension_parts(part).is_some()).then(|| Self {
            channel_binding,
            nonce: nonce.to_owned(),
            proof,
        })
    }

    /// The part that is signed.
    pub fn without_proof(&self) -> String {
        format!("c={},r={}", STANDARD.encode(&self.channel_binding), self.nonce)
    }

    /// The text to send.
    pub fn to_text(&self) -> String {
        format!("{},p={}", self.without_proof(), STANDARD.encode(&self.proof))
    }
}

/// A server's last message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFinal {
    /// The proof that the server has the user's credential.
    Signature(Vec<u8>),
    /// A refusal.
    Error(String),
}

impl ServerFinal {
    /// Reads a server's bytes.
    pub fn parse(message: &[u8]) -> Result<Self, InvalidMessage> {
        Self::read(message).ok_or(InvalidMessage("server final"))
    }

    fn read(message: &[u8]) -> Option<Self> {
        let mut parts = parts(message)?;
        let first = parts.next()?;
        if let Some(error) = first.strip_prefix("e=") {
            let is_text = !error.is_empty() && !error.contains('=') && parts.next().is_none();
            return is_text.then(|| Self::Error(error.to_owned()));
        }
        let signature = decode(first.strip_prefix("v=")?)?;
        parts
            .all(|part| extension_parts(part).is_some())
            .then_some(Self::Signature(signature))
    }

    /// The text of a success.
    pub fn signature_text(signature: &[u8]) -> String {
        format!("v={}", STANDARD.encode(signature))
    }
}

/// What both sides sign.
pub fn auth_message(
    client_first_bare: &str,
    server_first: &ServerFirst,
    client_final: &ClientFinal,
) -> String {
    let (server_first, without_proof) = (server_first.to_text(), client_final.without_proof());
    format!("{client_first_bare},{server_first},{without_proof}")
}

/// The parts between commas, if all characters are among those that a message may have.
fn parts(message: &[u8]) -> Option<std::str::Split<'_, char>> {
    let in_range = message.iter().all(|b| (1..=127).contains(b));
    let text = std::str::from_utf8(message).ok().filter(|_| in_range)?;
    Some(text.split(','))
}

/// The next part; the one behind it if it is the reserved extension.
fn after_reserved<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let part = parts.next()?;
    match part.strip_prefix("m=") {
        Some("") => None,
        Some(_) => parts.next(),
        None => Some(part),
    }
}

fn is_name(name: &str) -> bool {
    let escapes_are_known = || {
        let mut behind = name.split('=').skip(1);
        behind.all(|rest| rest.starts_with("2C") || rest.starts_with("3D"))
    };
    !name.is_empty() && escapes_are_known()
}

fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

fn extension_parts(part: &str) -> Option<(&str, &str)> {
    let (key, value) = part.split_once('=')?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic());
    (is_key && !value.is_empty()).then_some((key, value))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    DECODER.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(message: &str) -> Option<(String, String, bool)> {
        let message = ClientFirst::parse(message.as_bytes()).ok()?;
        Some((message.authorization_id, message.name, message.is_token))
    }

    fn named(authorization_id: &str, name: &str) -> Option<(String, String, bool)> {
        Some((authorization_id.to_owned(), name.to_owned(), false))
    }

    #[test]
    fn first_messages_that_kafka_takes() {
        assert_eq!(first("n,,n=alice,r=abc"), named("", "alice"));
        assert_eq!(first("n,a=alice,n=alice,r=abc"), named("alice", "alice"));
        assert_eq!(first("n,,m=ext,n=alice,r=abc"), named("", "alice"));
        assert_eq!(first("n,,n=a=2Cb=3Dc,r=a=b,x=y=z,other=1"), named("", "a,b=c"));
        assert_eq!(first("n,,n=a\u{7f} b,r=!"), named("", "a\u{7f} b"));
        let token = first("n,,n=id,r=abc,tokenauth=TRUE").expect("it is well formed");
        assert!(token.2);
        assert_eq!(first("n,,n=id,r=abc,tokenauth=yes"), named("", "id"));
    }

    #[test]
    fn first_messages_that_kafka_refuses() {
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "y,,n=alice,r=abc",
            "p=tls-unique,,n=alice,r=abc",
            "n,alice,n=alice,r=abc",
            "n,a=,n=alice,r=abc",
            "n,,n=,r=abc",
            "n,,n=al=ice,r=abc",
            "n,,n=al=2c,r=abc",
            "n,,n=\u{fc},r=abc",
            "n,,n=alice,r=",
            "n,,n=alice,r=a b",
            "n,,n=alice,r=abc,",
            "n,,n=alice,r=abc,x",
            "n,,n=alice,r=abc,x=",
            "n,,n=alice,r=abc,x1=y",
            "n,,m=,n=alice,r=abc",
            "n,,m=a,m=b,n=alice,r=abc",
            "n,,r=abc,n=alice",
            "n,,n=a\0b,r=abc",
            "N,,n=alice,r=abc",
            " n,,n=alice,r=abc",
        ] {
            assert_eq!(first(message), None, "{message:?}");
        }
        assert!(ClientFirst::parse(b"n,,n=\xff,r=abc").is_err());
    }

    #[test]
    fn the_signed_part_leaves_the_reserved_extension_out() {
        let message = ClientFirst::parse(b"n,a=x,m=e,n=a=2C,r=abc,k=v,l=w").expect("it is well formed");
        assert_eq!(message.bare, "n=a=2C,r=abc,k=v,l=w");
        let own = ClientFirst::of("a,=", "abc", true);
        assert_eq!(own.bare, "n=a=2C=3D,r=abc,tokenauth=true");
        let read = ClientFirst::parse(format!("n,,{}", own.bare).as_bytes());
        assert_eq!(read, Ok(own));
    }

    #[test]
    fn final_messages_are_strict_about_base64() {
        for (message, is_well_formed) in [
            ("c=biws,r=abc,p=YQ==", true),
            ("c=,r=abc,p=", true),
            ("c=biws,r=abc,x=y,p=YQ==", true),
            ("c=biws,r=abc,p=YR==", true),
            ("c=biws,r=abc,p=YQ", false),
            ("c=biws,r=abc,p=Y-==", false),
            ("c=biws,r=abc", false),
            ("r=abc,p=YQ==", false),
            ("p=YQ==", false),
            ("c=biws,r=,p=YQ==", false),
            ("c=biws,r=abc,p=YQ==,x=y", false),
        ] {
            assert_eq!(
                ClientFinal::parse(message.as_bytes()).is_ok(),
                is_well_formed,
                "{message}"
            );
        }
    }

    #[test]
    fn messages_of_servers_are_checked() {
        let message = ServerFirst::parse(b"m=x,r=abcd,s=YQ==,i=4096,x=y").expect("it is well formed");
        assert_eq!(message.to_text(), "r=abcd,s=YQ==,i=4096");
        for message in [
            "r=a,s=YQ==,i=0",
            "r=a,s=YQ==,i=-1",
            "r=a,s=YQ==,i=",
            "r=a,s=YQ==,i=2147483648",
            "r=a,s=YQ,i=1",
        ] {
            assert!(ServerFirst::parse(message.as_bytes()).is_err(), "{message}");
        }
        assert_eq!(
            ServerFinal::parse(b"e=other-error"),
            Ok(ServerFinal::Error("other-error".to_owned()))
        );
        assert_eq!(
            ServerFinal::parse(b"v=YQ==,x=y"),
            Ok(ServerFinal::Signature(b"a".to_vec()))
        );
        assert!(ServerFinal::parse(b"e=").is_err() && ServerFinal::parse(b"x=YQ==").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(message in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (ClientFirst::parse(&message), ServerFirst::parse(&message));
            let _ = (ClientFinal::parse(&message), ServerFinal::parse(&message));
        }

        #[test]
        fn any_text_is_read_or_refused(message in "(n,|a=|m=|n=|r=|s=|i=|c=|p=|v=|e=|,|=2C|[a-z0-9=]){0,20}") {
            let message = message.as_bytes();
            let _ = (ClientFirst::parse(message), ServerFirst::parse(message));
            let _ = (ClientFinal::parse(message), ServerFinal::parse(message));
        }

        #[test]
        fn what_is_sent_is_read(name in "[\u{1}-\u{7f}]{1,20}", nonce in "[!-+--~]{1,20}") {
            let own = ClientFirst::of(&name, &nonce, false);
            prop_assert_eq!(ClientFirst::parse(format!("n,,{}", own.bare).as_bytes()), Ok(own));
        }
    }
}

//! Owns the two SCRAM mechanisms and their arithmetic. Kafka 3.9: `ScramMechanism`, `ScramFormatter`.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};

/// One of the mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say all")]
pub enum ScramMechanism {
    ScramSha256,
    ScramSha512,
}

impl ScramMechanism {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::ScramSha256, Self::ScramSha512];
    /// Fewer iterations are refused everywhere.
    pub const ITERATIONS_MIN: i32 = 4096;
    /// More iterations are refused in a request that sets credentials.
    pub const ITERATIONS_MAX: i32 = 16384;

    /// The name in handshakes, configurations and user nodes.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of a name, which is case-sensitive.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// The number in requests.
    pub fn number(self) -> i8 {
        match self {
            Self::ScramSha256 => 1,
            Self::ScramSha512 => 2,
        }
    }

    /// The mechanism of a number.
    pub fn of_number(number: i8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.number() == number)
    }

    /// The keyed hash of a message.
    pub fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::ScramSha256 => hmac::HMAC_SHA256,
            Self::ScramSha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message)
            .as_ref()
            .to_vec()
    }

    /// The hash of a message.
    pub fn hash(self, message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::ScramSha256 => &digest::SHA256,
            Self::ScramSha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }

    /// The password as its salt and iterations make it. Takes long with many iterations.
    pub fn salted_password(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self {
            Self::ScramSha256 => (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN),
            Self::ScramSha512 => (pbkdf2::PBKDF2_HMAC_SHA512, digest::SHA512_OUTPUT_LEN),
        };
        let mut salted = vec![0; length];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }

    /// The key that a client proves to have.
    pub fn client_key(self, salted_password: &[u8]) -> Vec<u8> {
        self.hmac(salted_password, b"Client Key")
    }

    /// The key that a server proves to have.
    pub fn server_key(self, salted_password: &[u8]) -> Vec<u8> {
        self.hmac(salted_password, b"Server Key")
    }
}

/// The bytes of one slice, each exclusive-or that of the other; `None` if their lengths differ.
pub fn xor(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    (first.len() == second.len()).then(|| first.iter().zip(second).map(|(a, b)| a ^ b).collect())
}

/// A number of 130 random bits in digits and small letters, as Kafka makes nonces and salts: up to 26 characters.
pub fn random_text() -> String {
    let mut number: [u8; 17] = rand::random();
    number[0] &= 0b11;
    let mut digits = Vec::with_capacity(26);
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0u32;
        for byte in &mut number {
            let dividend = rest << 8 | u32::from(*byte);
            *byte = (dividend / 36) as u8;
            rest = dividend % 36;
        }
        digits.push(char::from_digit(rest, 36).expect("the rest is below 36"));
    }
    match digits.is_empty() {
        true => "0".to_owned(),
        false => digits.iter().rev().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back() {
        for mechanism in ScramMechanism::ALL {
            assert_eq!(ScramMechanism::of_name(mechanism.name()), Some(mechanism));
            assert_eq!(ScramMechanism::of_number(mechanism.number()), Some(mechanism));
        }
        assert_eq!(ScramMechanism::of_name("scram-sha-256"), None);
        assert_eq!(ScramMechanism::of_number(0), None);
    }

    #[test]
    fn random_texts_look_like_kafkas() {
        let texts: std::collections::HashSet<String> = (0..200).map(|_| random_text()).collect();
        assert_eq!(texts.len(), 200);
        for text in texts {
            assert!((18..=26).contains(&text.len()), "{text}");
            assert!(
                text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()),
                "{text}"
            );
        }
    }
}

//! Owns what a broker knows of a user's SCRAM password, and its text in the user's config node. Kafka 3.9:
//! `ScramCredential`, `ScramCredentialUtils`.

use std::fmt;
#[cfg(test)]
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::mechanism::ScramMechanism;
#[cfg(test)]
use super::mechanism::random_text;

/// The credential of one user for one mechanism.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// The salt of the password.
    pub salt: Vec<u8>,
    /// The hash of the client key.
    pub stored_key: Vec<u8>,
    /// The server key.
    pub server_key: Vec<u8>,
    /// How many times the password is hashed.
    pub iterations: i32,
}

/// Shows the iterations alone.
impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// A text that is no credential. It is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Credentials not valid")]
pub struct InvalidCredential;

impl ScramCredential {
    /// Of a password, with a random salt. Takes long with many iterations.
    #[cfg(test)]
    pub fn generate(mechanism: ScramMechanism, password: &str, iterations: NonZeroU32) -> Self {
        let salt = random_text().into_bytes();
        let salted_password = mechanism.salted_password(password, &salt, iterations);
        let iterations = i32::try_from(iterations.get()).unwrap_or(i32::MAX);
        Self::of_salted_password(mechanism, salt, &salted_password, iterations)
    }

    /// Of a salted password, as a client sends it to set a user's credential.
    pub fn of_salted_password(
        mechanism: ScramMechanism,
        salt: Vec<u8>,
        salted_password: &[u8],
        iterations: i32,
    ) -> Self {
        Self {
            salt,
            stored_key: mechanism.hash(&mechanism.client_key(salted_password)),
            server_key: mechanism.server_key(salted_password),
            iterations,
        }
    }

    /// Reads `salt=…,stored_key=…,server_key=…,iterations=4096`: these four in any order.
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        let (mut salt, mut stored_key, mut server_key, mut iterations) = (None, None, None, None);
        // Java drops empty parts at the end.
        for part in text.trim_end_matches(',').split(',') {
            let (key, value) = part.split_once('=').ok_or(InvalidCredential)?;
            let bytes = || STANDARD.decode(value).map_err(|_| InvalidCredential);
            match key {
                "salt" => salt = Some(bytes()?),
                "stored_key" => stored_key = Some(bytes()?),
                "server_key" => server_key = Some(bytes()?),
                "iterations" => iterations = Some(value.parse().map_err(|_| InvalidCredential)?),
                _ => return Err(InvalidCredential),
            }
        }
        Ok(Self {
            salt: salt.ok_or(InvalidCredential)?,
            stored_key: stored_key.ok_or(InvalidCredential)?,
            server_key: server_key.ok_or(InvalidCredential)?,
            iterations: iterations.ok_or(InvalidCredential)?,
        })
    }

    /// The text for the user's config node.
    pub fn to_text(&self) -> String {
        let [salt, stored_key, server_key] =
            [&self.salt, &self.stored_key, &self.server_key].map(|bytes| STANDARD.encode(bytes));
        let iterations = self.iterations;
        format!("salt={salt},stored_key={stored_key},server_key={server_key},iterations={iterations}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the znodes of a cluster of Apache Kafka.
    const ALICE: [&str; 2] = [
        "salt=MWhnNGIxNWo5ZTB4empwYjZnN3oxaG9tMzU=\
         ,stored_key=8/LyhFezdmFGEp/0GHvLemyAP22tJzKOULDPm7fpW2E=\
         ,server_key=YVGk/M5VRSpTVRyktuYBNs+tUGRNqhMUrT3zaxY7nw8=,iterations=8192",
        "salt=ZXo2NXUwZ2YwZGI4ZHFxODRuYXB6aW90cg==\
         ,stored_key=dMkJ7X2CwXcx4GxRwiJM0o5SvSGS9jMgYoshvDhqpCwDap0pW5riKA7w7sPi4HjMFfMTuD/KYBxSVnoqMVV1Eg==\
         ,server_key=7UucxZz5v64538T1lAGFU+Quqzt9XZF1aoaAVE0VgqzWnpehNOn5uTfqCOfpXJhfkn/39HwLdfU+KAiKEKECCA==,iterations=4096",
    ];

    #[test]
    fn credentials_are_made_as_kafka_makes_them() {
        for (mechanism, text) in ScramMechanism::ALL.into_iter().zip(ALICE) {
            let credential = ScramCredential::parse(text).expect("it is well formed");
            assert_eq!(credential.to_text(), text);
            let iterations = NonZeroU32::new(credential.iterations as u32).expect("it is not 0");
            let salted = mechanism.salted_password("alice-secret", &credential.salt, iterations);
            let made = ScramCredential::of_salted_password(
                mechanism,
                credential.salt.clone(),
                &salted,
                credential.iterations,
            );
            assert_eq!(made, credential);
        }
    }

    #[test]
    fn texts_lead_back() {
        for mechanism in ScramMechanism::ALL {
            let iterations = NonZeroU32::new(4096).expect("it is not 0");
            let credential = ScramCredential::generate(mechanism, "x", iterations);
            let text = credential.to_text();
            assert_eq!(ScramCredential::parse(&text), Ok(credential));
            assert!(
                text.starts_with("salt=") && text.ends_with(",iterations=4096"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_fields_come_in_any_order() {
        let credential = ScramCredential::parse("iterations=5000,server_key=Yw==,salt=YQ==,stored_key=Yg==");
        let credential = credential.expect("it is well formed");
        assert_eq!(
            (credential.salt, credential.stored_key),
            (b"a".to_vec(), b"b".to_vec())
        );
        assert_eq!(
            (credential.server_key, credential.iterations),
            (b"c".to_vec(), 5000)
        );
    }

    #[test]
    fn wrong_texts_are_refused() {
        for text in [
            "",
            "salt=YQ==",
            "salt=YQ==,stored_key=Yg==,server_key=Yw==",
            "salt=YQ==,stored_key=Yg==,server_key=Yw==,iterations=x",
            "salt=YQ==,stored_key=Yg==,server_key=?,iterations=4096",
            "salt=YQ==,stored_key=Yg==,server_key=Yw==,iterations=4096,more=1",
            "salt=YQ==,stored_key=Yg==,,server_key=Yw==,iterations=4096",
            "iterations",
        ] {
            assert_eq!(ScramCredential::parse(text), Err(InvalidCredential), "{text}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let credential = ScramCredential::parse("salt=YQ==,stored_key=Yg==,server_key=Yw==,iterations=4096");
        let shown = format!("{:?}", credential.expect("it is well formed"));
        assert_eq!(shown, "ScramCredential { iterations: 4096, .. }");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(salt=|stored_key=|iterations=|[a-z0-9=,]|\\PC){0,30}") {
            let _ = ScramCredential::parse(&text);
        }
    }
}

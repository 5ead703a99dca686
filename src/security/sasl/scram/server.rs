//! Owns the server's side of a SCRAM exchange. Kafka 3.9: `ScramSaslServer`, `ScramServerCallbackHandler`.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;

use super::cache::ScramCredentialCache;
use super::credential::ScramCredential;
use super::mechanism::{ScramMechanism, random_text, xor};
use super::messages::{ClientFinal, ClientFirst, ServerFinal, ServerFirst, auth_message};
use crate::security::sasl::error::SaslError;
use crate::security::sasl::evaluation::{Authenticated, Evaluation};

/// One exchange with one client.
#[derive(Debug)]
pub struct ScramServer {
    mechanism: ScramMechanism,
    credentials: ScramCredentialCache,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    ReceiveClientFirst,
    ReceiveClientFinal {
        name: String,
        bare: String,
        server_first: ServerFirst,
        credential: Arc<ScramCredential>,
    },
    Over,
}

impl ScramServer {
    /// An exchange with a random nonce.
    pub fn new(mechanism: ScramMechanism, credentials: ScramCredentialCache) -> Self {
        Self::with_nonce(mechanism, credentials, random_text())
    }

    /// An exchange with a given nonce.
    fn with_nonce(mechanism: ScramMechanism, credentials: ScramCredentialCache, nonce: String) -> Self {
        Self {
            mechanism,
            credentials,
            nonce,
            state: State::ReceiveClientFirst,
        }
    }

    /// Takes a message of the client. Any error ends the exchange.
    pub fn evaluate(&mut self, token: &[u8]) -> Result<Evaluation, SaslError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::ReceiveClientFirst => self.client_first(token),
            State::ReceiveClientFinal {
                name,
                bare,
                server_first,
                credential,
            } => self.client_final(token, &name, &bare, &server_first, &credential),
            State::Over => Err(SaslError::invalid("Unexpected challenge in Sasl server state")),
        }
    }

    fn client_first(&mut self, token: &[u8]) -> Result<Evaluation, SaslError> {
        let message = ClientFirst::parse(token).map_err(|error| SaslError::invalid(error.to_string()))?;
        if message.is_token {
            // Delegation tokens are not supported: every id is one that does not exist.
            return Err(SaslError::invalid("Token Authentication failed: Invalid tokenId"));
        }
        let credential = self.credentials.get(self.mechanism, &message.name);
        let credential = credential
            .ok_or_else(|| SaslError::invalid("Authentication failed: Invalid user credentials"))?;
        if !message.authorization_id.is_empty() && message.authorization_id != message.name {
            return Err(SaslError::authentication(
                "Authentication failed: Client requested an authorization id that is different from username",
            ));
        }
        if credential.iterations < ScramMechanism::ITERATIONS_MIN {
            return Err(SaslError::invalid(format!(
                "Iterations {} is less than the minimum {} for {}",
                credential.iterations,
                ScramMechanism::ITERATIONS_MIN,
                self.mechanism.name()
            )));
        }
        let server_first = ServerFirst {
            nonce: format!("{}{}", message.nonce, self.nonce),
            salt: credential.salt.clone(),
            iterations: credential.iterations,
        };
        let response = server_first.to_text();
        self.state = State::ReceiveClientFinal {
            name: message.name,
            bare: message.bare,
            server_first,
            credential,
        };
        Ok(Evaluation::challenge(response))
    }

    fn client_final(
        &self,
        token: &[u8],
        name: &str,
        bare: &str,
        server_first: &ServerFirst,
        credential: &ScramCredential,
    ) -> Result<Evaluation, SaslError> {
        let message = ClientFinal::parse(token).map_err(|error| SaslError::invalid(error.to_string()))?;
        if message.nonce != server_first.nonce {
            return Err(SaslError::invalid(
                "Invalid client nonce in the final client message.",
            ));
        }
        let signed = auth_message(bare, server_first, &message);
        let client_signature = self.mechanism.hmac(&credential.stored_key, signed.as_bytes());
        let client_key = xor(&client_signature, &message.proof);
        let is_proven = client_key.is_some_and(|client_key| {
            let stored_key = self.mechanism.hash(&client_key);
            verify_slices_are_equal(&stored_key, &credential.stored_key).is_ok()
        });
        if !is_proven {
            return Err(SaslError::invalid("Invalid client credentials"));
        }
        let server_signature = self.mechanism.hmac(&credential.server_key, signed.as_bytes());
        let response = Bytes::from(ServerFinal::signature_text(&server_signature));
        Ok(Evaluation::complete(response, Authenticated::user(name)))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::security::KafkaPrincipal;

    const FIRST: &str = "n,,n=alice,r=7ho6wfha8ja3jrele45mpaxb4";
    const CHALLENGE: &str = "r=7ho6wfha8ja3jrele45mpaxb46hibhv6ijlra85o64kk35nxo8,\
                             s=eWxydG4yNnB1cmdnNm91eW5jMHMybHZlag==,i=8192";
    const NONCE: &str = "r=7ho6wfha8ja3jrele45mpaxb46hibhv6ijlra85o64kk35nxo8";
    const PROOF: &str = "p=3lNRMG4A1KihrRjp4LLwRBbp5WVvEDua8hYSqhh6nG4=";

    /// The server of the exchange that was seen with Apache Kafka.
    fn server() -> ScramServer {
        let credentials = ScramCredentialCache::default();
        let mechanism = ScramMechanism::ScramSha256;
        let salt = b"ylrtn26purgg6ouync0s2lvej".to_vec();
        let iterations = NonZeroU32::new(8192).expect("it is not 0");
        let salted = mechanism.salted_password("alice-secret", &salt, iterations);
        let credential = ScramCredential::of_salted_password(mechanism, salt.clone(), &salted, 8192);
        credentials.update(mechanism, "alice", Some(credential.clone()));
        let weak = ScramCredential {
            iterations: 4095,
            ..credential
        };
        credentials.update(mechanism, "weak", Some(weak));
        ScramServer::with_nonce(mechanism, credentials, "6hibhv6ijlra85o64kk35nxo8".to_owned())
    }

    #[test]
    fn the_exchange_that_was_seen_with_kafka() {
        let mut server = server();
        let challenge = server.evaluate(FIRST.as_bytes()).expect("the user exists");
        assert_eq!(challenge, Evaluation::challenge(CHALLENGE));
        let last = server
            .evaluate(format!("c=biws,{NONCE},{PROOF}").as_bytes())
            .expect("the proof is right");
        assert_eq!(last.response, "v=+KmckBiV1KwGqJlqNd5T09AuL8zdjwtm0m9Emr+7B3k=");
        let authenticated = last.authenticated.expect("the exchange is complete");
        assert_eq!(authenticated.principal, KafkaPrincipal::user("alice"));
        assert!(server.evaluate(b"").is_err());
    }

    #[test]
    fn first_messages_are_refused_with_one_text() {
        for message in [
            "n,,n=bob,r=x",
            "y,,n=alice,r=x",
            "n,,n=weak,r=x",
            "n,,n=alice,r=x,tokenauth=true",
            "",
        ] {
            let error = server().evaluate(message.as_bytes()).expect_err(message);
            assert!(
                matches!(error, SaslError::InvalidCredentials(_)),
                "{message}: {error:?}"
            );
        }
    }

    #[test]
    fn another_authorization_id_is_refused_with_its_own_text() {
        let error = server()
            .evaluate(b"n,a=bob,n=alice,r=x")
            .expect_err("it is another");
        let text =
            "Authentication failed: Client requested an authorization id that is different from username";
        assert_eq!(error, SaslError::authentication(text));
        assert!(server().evaluate(b"n,a=alice,n=alice,r=x").is_ok());
        // An unknown user is refused first.
        let error = server()
            .evaluate(b"n,a=bob,n=nobody,r=x")
            .expect_err("it is unknown");
        assert!(matches!(error, SaslError::InvalidCredentials(_)));
    }

    #[test]
    fn last_messages_are_refused_with_one_text() {
        for message in [
            format!("c=biws,{NONCE},p=3lNRMG4A1KihrRjp4LLwRBbp5WVvEDua8hYSqhh6nG8="),
            format!("c=biws,{NONCE},p=YQ=="),
            format!("c=eSws,{NONCE},{PROOF}"),
            format!("c=biws,r=other,{PROOF}"),
            String::new(),
        ] {
            let mut server = server();
            server.evaluate(FIRST.as_bytes()).expect("the user exists");
            let error = server.evaluate(message.as_bytes()).expect_err(&message);
            assert!(
                matches!(error, SaslError::InvalidCredentials(_)),
                "{message}: {error:?}"
            );
            // The exchange is over: another try needs another nonce.
            assert!(
                server
                    .evaluate(format!("c=biws,{NONCE},{PROOF}").as_bytes())
                    .is_err()
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn any_last_message_is_refused(token in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut server = server();
            server.evaluate(FIRST.as_bytes()).expect("the user exists");
            prop_assert!(server.evaluate(&token).is_err());
        }
    }
}

//! Owns the client's side of a SCRAM exchange. It trusts the server only when the server has proven to know the user's
//! credential. Kafka 3.9: `ScramSaslClient`.

use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;

use super::mechanism::{ScramMechanism, random_text, xor};
use super::messages::{ClientFinal, ClientFirst, ServerFinal, ServerFirst, auth_message};
use crate::config::security::Password;
use crate::security::sasl::error::SaslError;

/// More iterations are not computed: a server must not keep a broker busy for minutes. Credentials of 10 million take
/// seconds, and requests that set credentials allow 16384.
const ITERATIONS_MAX: i32 = 10_000_000;

/// One exchange with one server.
#[derive(Debug)]
pub struct ScramClient {
    mechanism: ScramMechanism,
    password: Password,
    first: ClientFirst,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    ReceiveServerFirst,
    ReceiveServerFinal { server_signature: Password },
    Complete,
    Failed,
}

impl ScramClient {
    /// An exchange of a user. With `is_token`, name and password are a delegation token's id and secret.
    pub fn new(mechanism: ScramMechanism, name: &str, password: Password, is_token: bool) -> Self {
        Self {
            mechanism,
            password,
            first: ClientFirst::of(name, &random_text(), is_token),
            state: State::ReceiveServerFirst,
        }
    }

    /// The message that opens the exchange.
    pub fn first(&self) -> Bytes {
        Bytes::from(format!("n,,{}", self.first.bare))
    }

    /// Takes a message of the server and returns the answer; `None` if there is no more to say. Takes as long as
    /// hashing the password does.
    pub fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<Bytes>, SaslError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::ReceiveServerFirst => self.server_first(challenge).map(Some),
            State::ReceiveServerFinal { server_signature } => {
                self.server_final(challenge, &server_signature)?;
                self.state = State::Complete;
                Ok(None)
            }
            State::Complete | State::Failed => {
                Err(SaslError::invalid("Unexpected challenge in Sasl client state"))
            }
        }
    }

    /// Whether the server has proven to know the credential.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    fn server_first(&mut self, challenge: &[u8]) -> Result<Bytes, SaslError> {
        let message = ServerFirst::parse(challenge).map_err(|error| SaslError::invalid(error.to_string()))?;
        if !message.nonce.starts_with(&self.first.nonce) {
            return Err(SaslError::invalid(
                "Invalid server nonce: does not start with client nonce",
            ));
        }
        let (iterations, name) = (message.iterations, self.mechanism.name());
        if iterations < ScramMechanism::ITERATIONS_MIN {
            return Err(SaslError::invalid(format!(
                "Requested iterations {iterations} is less than the minimum {} for {name}",
                ScramMechanism::ITERATIONS_MIN
            )));
        }
        let count = u32::try_from(iterations).ok().and_then(NonZeroU32::new);
        let count = count.filter(|_| iterations <= ITERATIONS_MAX).ok_or_else(|| {
            SaslError::invalid(format!(
                "Requested iterations {iterations} is more than the maximum {ITERATIONS_MAX} for {name}"
            ))
        })?;
        let salted = self
            .mechanism
            .salted_password(self.password.expose(), &message.salt, count);
        let client_key = self.mechanism.client_key(&salted);
        let mut client_final = ClientFinal {
            channel_binding: b"n,,".to_vec(),
            nonce: message.nonce.clone(),
            proof: Vec::new(),
        };
        let signed = auth_message(&self.first.bare, &message, &client_final);
        let stored_key = self.mechanism.hash(&client_key);
        let client_signature = self.mechanism.hmac(&stored_key, signed.as_bytes());
        client_final.proof = xor(&client_key, &client_signature).expect("both are hashes");
        let server_key = self.mechanism.server_key(&salted);
        let server_signature = self.mechanism.hmac(&server_key, signed.as_bytes());
        self.state = State::ReceiveServerFinal {
            server_signature: Password::new(ServerFinal::signature_text(&server_signature)),
        };
        Ok(Bytes::from(client_final.to_text()))
    }

    fn server_final(&self, challenge: &[u8], expected: &Password) -> Result<(), SaslError> {
        let message = ServerFinal::parse(challenge).map_err(|error| SaslError::invalid(error.to_string()))?;
        match message {
            ServerFinal::Error(error) => Err(SaslError::invalid(format!(
                "Sasl authentication using {} failed with error: {error}",
                self.mechanism.name()
            ))),
            ServerFinal::Signature(signature) => {
                let text = ServerFinal::signature_text(&signature);
                verify_slices_are_equal(text.as_bytes(), expected.expose().as_bytes())
                    .map_err(|_| SaslError::invalid("Invalid server signature in server final message"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::sasl::scram::cache::ScramCredentialCache;
    use crate::security::sasl::scram::credential::ScramCredential;
    use crate::security::sasl::scram::server::ScramServer;

    fn sides(mechanism: ScramMechanism, user: &str, password: &str) -> (ScramClient, ScramServer) {
        let credentials = ScramCredentialCache::default();
        let iterations = NonZeroU32::new(4096).expect("it is not 0");
        let credential = ScramCredential::generate(mechanism, "right", iterations);
        credentials.update(mechanism, user, Some(credential));
        let client = ScramClient::new(mechanism, user, Password::new(password), false);
        (client, ScramServer::new(mechanism, credentials))
    }

    #[test]
    fn both_sides_prove_that_they_know_the_password() {
        for mechanism in ScramMechanism::ALL {
            let (mut client, mut server) = sides(mechanism, "a,b=c", "right");
            let challenge = server.evaluate(&client.first()).expect("the user exists");
            let proof = client
                .evaluate(&challenge.response)
                .expect("the challenge is fine");
            let last = server
                .evaluate(&proof.expect("there is a proof"))
                .expect("it is right");
            assert_eq!(
                last.authenticated.expect("it is complete").principal.name(),
                "a,b=c"
            );
            assert!(!client.is_complete());
            assert_eq!(client.evaluate(&last.response), Ok(None));
            assert!(client.is_complete());
        }
    }

    #[test]
    fn a_wrong_password_is_refused() {
        let (mut client, mut server) = sides(ScramMechanism::ScramSha512, "alice", "wrong");
        let challenge = server.evaluate(&client.first()).expect("the user exists");
        let proof = client
            .evaluate(&challenge.response)
            .expect("the challenge is fine");
        assert!(server.evaluate(&proof.expect("there is a proof")).is_err());
    }

    #[test]
    fn a_server_that_does_not_know_the_credential_is_not_trusted() {
        for last in ["v=YQ==", "e=other-error", "", "v="] {
            let (mut client, mut server) = sides(ScramMechanism::ScramSha256, "alice", "right");
            let challenge = server.evaluate(&client.first()).expect("the user exists");
            client
                .evaluate(&challenge.response)
                .expect("the challenge is fine");
            assert!(client.evaluate(last.as_bytes()).is_err(), "{last}");
            assert!(!client.is_complete());
        }
    }

    #[test]
    fn challenges_are_checked() {
        let challenge = |nonce: &str, iterations: i64| format!("r={nonce},s=YQ==,i={iterations}");
        let (client, _) = sides(ScramMechanism::ScramSha256, "alice", "right");
        let nonce = client.first.nonce.clone();
        for challenge in [
            challenge("other", 4096),
            challenge(&format!("{nonce}x"), 4095),
            challenge(&format!("{nonce}x"), i64::from(i32::MAX)),
            String::new(),
        ] {
            let (mut client, _) = sides(ScramMechanism::ScramSha256, "alice", "right");
            client.first.nonce = nonce.clone();
            assert!(client.evaluate(challenge.as_bytes()).is_err(), "{challenge}");
        }
    }
}

//! Owns the client's side of an OAUTHBEARER exchange. Kafka 3.9: `OAuthBearerSaslClient`.

use bytes::Bytes;

use crate::security::sasl::error::SaslError;

/// One exchange with one server.
#[derive(Debug)]
pub struct OauthBearerClient {
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    ReceiveServerFirst,
    ReceiveServerFailure,
    Complete,
    Failed,
}

impl OauthBearerClient {
    /// An exchange whose first message was sent.
    pub fn new() -> Self {
        Self {
            state: State::ReceiveServerFirst,
        }
    }

    /// Takes a message of the server and returns the answer; `None` if there is no more to say.
    pub fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<Bytes>, SaslError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::ReceiveServerFirst if challenge.is_empty() => {
                self.state = State::Complete;
                Ok(None)
            }
            State::ReceiveServerFirst => {
                // A refusal: the server wants to hear that it was understood, and then fails.
                self.state = State::ReceiveServerFailure;
                Ok(Some(Bytes::from_static(b"\x01")))
            }
            _ => Err(SaslError::invalid("Unexpected challenge in Sasl client state")),
        }
    }

    /// Whether the server has accepted the token.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_is_a_success() {
        let mut client = OauthBearerClient::new();
        assert_eq!(client.evaluate(b""), Ok(None));
        assert!(client.is_complete());
        assert!(client.evaluate(b"").is_err());
    }

    #[test]
    fn a_refusal_is_acknowledged() {
        let mut client = OauthBearerClient::new();
        let answer = client.evaluate(br#"{"status":"invalid_token"}"#);
        assert_eq!(answer, Ok(Some(Bytes::from_static(b"\x01"))));
        assert!(client.evaluate(b"").is_err());
        assert!(!client.is_complete());
    }
}

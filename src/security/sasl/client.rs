//! Owns the client's side of an exchange, whatever its mechanism: how a broker proves to another who it is. Kafka 3.9:
//! `SaslClient`, `SaslClientCallbackHandler`.

use bytes::Bytes;

use super::error::SaslError;
use super::oauthbearer::OauthBearerClient;
use super::scram::ScramClient;
use crate::common::blocking;

/// One exchange with one server: send [`SaslClient::first`], give every answer to [`SaslClient::evaluate`] and send
/// what it returns, until it returns nothing.
#[derive(Debug)]
pub struct SaslClient {
    mechanism: String,
    first: Bytes,
    exchange: Exchange,
}

/// What follows the first message.
#[derive(Debug)]
pub enum Exchange {
    /// Nothing: the server answers once.
    Plain {
        /// Whether it has.
        is_complete: bool,
    },
    /// Both sides prove that they know a password. `None` after an error.
    Scram(Option<Box<ScramClient>>),
    /// The server accepts or refuses.
    OauthBearer(OauthBearerClient),
    /// Kerberos.
    #[cfg(feature = "gssapi")]
    Gssapi(super::gssapi::GssapiClient),
}

impl SaslClient {
    /// An exchange with its first message.
    pub fn new(mechanism: &str, first: Bytes, exchange: Exchange) -> Self {
        Self {
            mechanism: mechanism.to_owned(),
            first,
            exchange,
        }
    }

    /// The mechanism's name, for the handshake.
    pub fn mechanism(&self) -> &str {
        &self.mechanism
    }

    /// The message that opens the exchange. It has secrets.
    pub fn first(&self) -> Bytes {
        self.first.clone()
    }

    /// Takes a message of the server and returns the answer; `None` if the exchange is complete.
    pub async fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<Bytes>, SaslError> {
        match &mut self.exchange {
            Exchange::Plain { is_complete } => {
                *is_complete = true;
                Ok(None)
            }
            Exchange::OauthBearer(client) => client.evaluate(challenge),
            #[cfg(feature = "gssapi")]
            Exchange::Gssapi(client) => client.evaluate(challenge).await,
            Exchange::Scram(slot) => {
                let unexpected = || SaslError::invalid("Unexpected challenge in Sasl client state");
                let mut client = slot.take().ok_or_else(unexpected)?;
                let challenge = challenge.to_vec();
                // Hashing a password takes milliseconds.
                let evaluating = blocking::spawn(move || {
                    let answer = client.evaluate(&challenge);
                    (client, answer)
                });
                let (client, answer) = evaluating
                    .await
                    .map_err(|error| SaslError::invalid(error.to_string()))?;
                *slot = Some(client);
                answer
            }
        }
    }

    /// Whether the server has accepted the client and, if the mechanism lets it, proven who it is.
    pub fn is_complete(&self) -> bool {
        match &self.exchange {
            Exchange::Plain { is_complete } => *is_complete,
            Exchange::Scram(client) => client.as_ref().is_some_and(|client| client.is_complete()),
            Exchange::OauthBearer(client) => client.is_complete(),
            #[cfg(feature = "gssapi")]
            Exchange::Gssapi(client) => client.is_complete(),
        }
    }
}

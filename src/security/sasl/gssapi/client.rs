//! Owns the client's side of a GSSAPI exchange. Java: `GssKrb5Client`.

use std::fmt;

use bytes::Bytes;
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::Cred;
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE};

use super::NO_LAYER;
use crate::common::blocking;
use crate::security::sasl::error::SaslError;

/// One exchange with one server.
pub struct GssapiClient {
    first: Bytes,
    /// The client's own name, which it sends as the identity to act as.
    name: Vec<u8>,
    state: State,
}

enum State {
    /// Takes tokens of the context.
    Initiating(ClientCtx),
    /// Takes the server's offer of layers.
    Established(ClientCtx),
    /// Takes the server's last, empty answer.
    Chosen,
    Complete,
    Failed,
}

impl fmt::Debug for GssapiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GssapiClient")
    }
}

impl GssapiClient {
    /// Makes the first token for a service, such as `kafka@host`. Waits for the key distribution center.
    pub fn begin(credential: Cred, target: &str) -> Result<Self, Error> {
        let target = Name::new(target.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
        let name = credential.name()?.display_name()?.to_vec();
        // Kafka's clients leave it to the layer's messages to prove that the server has the service's key.
        let flags = CtxFlags::GSS_C_CONF_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        let mut context = ClientCtx::new(Some(credential), target, flags, Some(GSS_MECH_KRB5));
        let first = context.step(None, None)?;
        let first = first
            .map(|first| Bytes::copy_from_slice(&first))
            .unwrap_or_default();
        let state = match context.is_complete() {
            true => State::Established(context),
            false => State::Initiating(context),
        };
        Ok(Self { first, name, state })
    }

    /// The token that opens the exchange.
    pub fn first(&self) -> Bytes {
        self.first.clone()
    }

    /// Takes a token of the server and returns the answer; `None` if there is no more to say.
    pub async fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<Bytes>, SaslError> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        let (challenge, name) = (challenge.to_vec(), self.name.clone());
        let step = blocking::spawn(move || step(state, &challenge, &name)).await;
        let (state, answer) = step.map_err(|error| SaslError::invalid(error.to_string()))??;
        self.state = state;
        Ok(answer)
    }

    /// Whether the server has proven that it has the service's key, and accepted the client.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }
}

fn step(state: State, challenge: &[u8], name: &[u8]) -> Result<(State, Option<Bytes>), SaslError> {
    let failed = |error: Error| SaslError::invalid(error.to_string());
    match state {
        State::Initiating(mut context) => {
            let answer = context.step(Some(challenge), None).map_err(failed)?;
            let answer = answer
                .map(|answer| Bytes::copy_from_slice(&answer))
                .unwrap_or_default();
            let state = match context.is_complete() {
                true => State::Established(context),
                false => State::Initiating(context),
            };
            Ok((state, Some(answer)))
        }
        // A server that has a token of the context to tell, though none is needed, or nothing.
        State::Established(context) if challenge.is_empty() => {
            Ok((State::Established(context), Some(Bytes::new())))
        }
        State::Established(mut context) => {
            let offer = context.unwrap(challenge).map_err(failed)?;
            if offer.len() != NO_LAYER.len() || offer[0] & NO_LAYER[0] == 0 {
                return Err(SaslError::invalid(
                    "No common protection layer between client and server",
                ));
            }
            let choice = [&NO_LAYER[..], name].concat();
            let choice = context.wrap(false, &choice).map_err(failed)?;
            Ok((State::Chosen, Some(Bytes::copy_from_slice(&choice))))
        }
        State::Chosen if challenge.is_empty() => Ok((State::Complete, None)),
        State::Chosen | State::Complete | State::Failed => {
            Err(SaslError::invalid("GSSAPI authentication already complete"))
        }
    }
}

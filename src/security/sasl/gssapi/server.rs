//! Owns the server's side of a GSSAPI exchange. Java: `GssKrb5Server`; Kafka 3.9: `SaslServerCallbackHandler`,
//! `DefaultKafkaPrincipalBuilder`, `KerberosError`.

use std::fmt;

use bytes::Bytes;
use libgssapi::context::{SecurityContext, ServerCtx};
use libgssapi::credential::Cred;
use libgssapi::error::Error;
use tracing::info;

use super::NO_LAYER;
use super::credential::kerberos_code;
use crate::common::blocking;
use crate::security::sasl::error::SaslError;
use crate::security::sasl::evaluation::{Authenticated, Evaluation};
use crate::security::sasl::kerberos_name::{KerberosName, KerberosShortNamer};

/// One exchange with one client.
pub struct GssapiServer {
    namer: KerberosShortNamer,
    state: State,
}

enum State {
    /// Takes tokens of the context.
    Accepting(ServerCtx),
    /// Takes an empty token, and offers the layers.
    Established(ServerCtx),
    /// Takes the client's choice.
    Offered(ServerCtx),
    Over,
}

impl fmt::Debug for GssapiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GssapiServer")
    }
}

/// What a step of the context makes.
type Step = (State, Evaluation);

impl GssapiServer {
    /// An exchange with a client.
    pub fn new(credential: Cred, namer: KerberosShortNamer) -> Self {
        Self {
            namer,
            state: State::Accepting(ServerCtx::new(Some(credential))),
        }
    }

    /// Takes a token of the client. Any error ends the exchange.
    pub async fn evaluate(&mut self, token: &[u8]) -> Result<Evaluation, SaslError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let (token, namer) = (token.to_vec(), self.namer.clone());
        // The library reads and writes its files, among them the one that finds replays.
        let step = blocking::spawn(move || step(state, &token, &namer)).await;
        let (state, evaluation) = step.map_err(|error| SaslError::invalid(error.to_string()))??;
        self.state = state;
        Ok(evaluation)
    }
}

fn step(state: State, token: &[u8], namer: &KerberosShortNamer) -> Result<Step, SaslError> {
    match state {
        State::Accepting(mut context) => {
            let answer = context.step(token, None).map_err(failed)?;
            let answer = answer.map(|answer| Bytes::copy_from_slice(&answer));
            match (context.is_complete(), answer) {
                (false, answer) => Ok((
                    State::Accepting(context),
                    Evaluation::challenge(answer.unwrap_or_default()),
                )),
                (true, Some(answer)) => Ok((State::Established(context), Evaluation::challenge(answer))),
                // Nothing to tell: the offer follows at once.
                (true, None) => offer(context),
            }
        }
        State::Established(context) if token.is_empty() => offer(context),
        State::Established(_) => Err(SaslError::invalid(
            "Handshake expecting no response data from server",
        )),
        State::Offered(context) => chosen(context, token, namer),
        State::Over => Err(SaslError::invalid("SASL authentication already complete")),
    }
}

fn offer(mut context: ServerCtx) -> Result<Step, SaslError> {
    let offer = context.wrap(false, &NO_LAYER).map_err(failed)?;
    let offer = Bytes::copy_from_slice(&offer);
    Ok((State::Offered(context), Evaluation::challenge(offer)))
}

fn chosen(mut context: ServerCtx, token: &[u8], namer: &KerberosShortNamer) -> Result<Step, SaslError> {
    let choice = context.unwrap(token).map_err(failed)?;
    let Some((layer, authorization_id)) = choice.split_at_checked(NO_LAYER.len()) else {
        return Err(SaslError::invalid(
            "the client's choice of a security layer is too short",
        ));
    };
    if layer[0] & NO_LAYER[0] == 0 {
        return Err(SaslError::invalid(format!(
            "Client selected unsupported protection: {}",
            layer[0]
        )));
    }
    let name = context
        .source_name()
        .and_then(|name| name.display_name())
        .map_err(failed)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let authorization_id = match authorization_id {
        [] => name.clone(),
        id => String::from_utf8_lossy(id).into_owned(),
    };
    // As in Kafka the client acts as itself, whatever it has asked for.
    info!(
        "Successfully authenticated client: authenticationID={name}; authorizationID={}.",
        authorization_id.escape_debug()
    );
    let unnamed = |_| {
        SaslError::Retriable(format!(
            "Failed to set name for '{name}' based on Kerberos authentication rules."
        ))
    };
    let parsed = KerberosName::parse(&name).map_err(unnamed)?;
    let user = namer.short_name(&parsed).map_err(unnamed)?;
    let mut evaluation = Evaluation::complete(Bytes::new(), Authenticated::user(&user));
    evaluation.is_silent = true;
    Ok((State::Over, evaluation))
}

/// A passing error, after which the client may try again: tickets that are not yet valid, and replays.
fn failed(error: Error) -> SaslError {
    match kerberos_code(&error) {
        21 | 33 | 34 => SaslError::Retriable(error.to_string()),
        _ => SaslError::invalid(error.to_string()),
    }
}

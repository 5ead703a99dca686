//! Owns the SASL exchange of one connection, from its first frame to the client's identity. It does no I/O: it takes a
//! frame and says how to answer. Kafka 3.9: `SaslServerAuthenticator`.
//!
//! Before it has proved its identity, a client may send, in this order: one ApiVersions request that succeeds, a
//! SaslHandshake, and the tokens of the mechanism. After a handshake of version 0 tokens are bare frames, after version
//! 1 they are SaslAuthenticate requests. The same exchange on an authenticated connection renews the session (KIP-368).

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::session::SaslSession;
use crate::common::error::ErrorCode;
use crate::protocol::codec::{self, ReceivedHeader};
use crate::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use crate::protocol::{ApiKey, Request, wire_text};
use crate::security::sasl::{Authenticated, SaslError, SaslMechanisms, SaslServer};
use crate::security::{AuthenticationError, KafkaPrincipal};

/// The mechanism of a client whose first frame is a token. Clients of Kafka 0.9 send no handshake.
const GSSAPI: &str = "GSSAPI";

/// How to answer a frame. Every response is a whole frame.
#[derive(Debug)]
pub(super) enum Step {
    /// Send the response and read on.
    Answer(Bytes),
    /// Let the broker answer, and tell the result to [`SaslServerAuthenticator::answered_api_versions`].
    ApiVersions(ReceivedHeader, ApiVersionsRequest),
    /// Send the response, if there is one; the client is authenticated.
    Done(Option<Bytes>, SaslSession),
    /// The client is not who it says. Wait, send the response, if there is one, and close.
    Failed(Option<Bytes>, AuthenticationError),
    /// No peer of Kafka's sends this: close at once.
    Close(String),
}

enum State {
    /// Nothing has come yet.
    Initial,
    /// The client speaks Kafka's protocol.
    HandshakeOrVersions,
    /// ApiVersions has been answered.
    Handshake,
    /// A session is to be renewed.
    Renewal,
    /// A session is to be renewed with another mechanism. The next frame is refused, as Kafka does it.
    WrongMechanism(String),
    /// Tokens are expected.
    Tokens {
        mechanism: String,
        server: SaslServer,
        /// Whether tokens are in SaslAuthenticate requests.
        has_headers: bool,
    },
}

pub(super) struct SaslServerAuthenticator {
    mechanisms: Arc<SaslMechanisms>,
    state: State,
    /// The session that is renewed.
    previous: Option<SaslSession>,
    learns_lifetime: bool,
}

impl SaslServerAuthenticator {
    /// For a connection that has sent nothing yet.
    pub(super) fn new(mechanisms: Arc<SaslMechanisms>) -> Self {
        Self {
            mechanisms,
            state: State::Initial,
            previous: None,
            learns_lifetime: false,
        }
    }

    /// For a session that is renewed. The first frame is a SaslHandshake.
    pub(super) fn renewing(mechanisms: Arc<SaslMechanisms>, session: SaslSession) -> Self {
        Self {
            mechanisms,
            state: State::Renewal,
            previous: Some(session),
            learns_lifetime: false,
        }
    }

    /// Takes a frame without its length prefix. `now_ms` is the wall clock, for credentials that expire.
    pub(super) async fn receive(&mut self, frame: Bytes, now_ms: i64) -> Step {
        match &self.state {
            State::WrongMechanism(message) => Step::Failed(None, AuthenticationError::new(message.as_str())),
            State::Tokens {
                has_headers: true, ..
            } => self.receive_token_request(frame, now_ms).await,
            State::Tokens { .. } => self.receive_bare_token(frame, now_ms).await,
            _ => self.receive_request(frame, now_ms).await,
        }
    }

    /// An ApiVersions request that failed changes nothing: the client may send another.
    pub(super) fn answered_api_versions(&mut self, succeeded: bool) {
        if succeeded {
            self.state = State::Handshake;
        }
    }

    /// A request before the tokens.
    async fn receive_request(&mut self, frame: Bytes, now_ms: i64) -> Step {
        let Some(api) = codec::api_of(&frame) else {
            return match self.state {
                State::Initial => self.receive_first_token(frame, now_ms).await,
                _ => Step::Close("the header of a request cannot be read".to_owned()),
            };
        };
        if matches!(self.state, State::Initial) {
            self.state = State::HandshakeOrVersions;
        }
        if !matches!(api, ApiKey::ApiVersions | ApiKey::SaslHandshake) {
            let text = format!(
                "Unexpected Kafka request of type {} during SASL handshake.",
                java_name(api)
            );
            return Step::Failed(None, AuthenticationError::new(text));
        }
        match codec::decode_request(frame) {
            Ok((header, Request::ApiVersions(request))) => match self.state {
                State::HandshakeOrVersions => Step::ApiVersions(header, request),
                _ => Step::Close("ApiVersions came where a handshake is expected".to_owned()),
            },
            Ok((header, Request::SaslHandshake(request))) => self.choose(&header, &request),
            Ok(_) => unreachable!("other requests are refused above"),
            Err(error) => Step::Close(error.to_string()),
        }
    }

    /// The first frame of a client that sends no handshake.
    async fn receive_first_token(&mut self, frame: Bytes, now_ms: i64) -> Step {
        if let Some(server) = self.mechanisms.server(GSSAPI) {
            self.state = State::Tokens {
                mechanism: GSSAPI.to_owned(),
                server,
                has_headers: false,
            };
            return self.receive_bare_token(frame, now_ms).await;
        }
        let text = "Exception handling first SASL packet from client, GSSAPI is not supported by server";
        Step::Failed(None, AuthenticationError::new(text))
    }

    fn choose(&mut self, header: &ReceivedHeader, request: &SaslHandshakeRequest) -> Step {
        let mechanism = request.mechanism.to_string();
        let enabled = self.mechanisms.enabled().iter();
        let response =
            SaslHandshakeResponse::default().with_mechanisms(enabled.map(|name| wire_text(name)).collect());
        if !self.mechanisms.is_enabled(&mechanism) {
            // Kafka throws this error outside of the place where a failed renewal is caught.
            if self.previous.is_some() {
                return Step::Close(format!("Unsupported SASL mechanism {mechanism}"));
            }
            let response = response.with_error_code(ErrorCode::UnsupportedSaslMechanism.code());
            let text = format!("Unsupported SASL mechanism {mechanism}");
            return Step::Failed(
                Some(handshake_frame(&response, header)),
                AuthenticationError::new(text),
            );
        }
        let Some(server) = self.mechanisms.server(&mechanism) else {
            return Step::Close(format!("nothing implements the SASL mechanism {mechanism}"));
        };
        let before = self.previous.as_ref().map(|session| session.mechanism.as_str());
        self.state = match before {
            Some(before) if before != mechanism => State::WrongMechanism(format!(
                "SASL mechanism '{mechanism}' requested by client is not supported for re-authentication of mechanism \
                 '{before}'"
            )),
            _ => State::Tokens {
                mechanism,
                server,
                has_headers: header.version >= 1,
            },
        };
        Step::Answer(handshake_frame(&response, header))
    }

    /// A token behind a handshake of version 0.
    async fn receive_bare_token(&mut self, token: Bytes, now_ms: i64) -> Step {
        match self.evaluate(&token, now_ms).await {
            Ok((response, None)) => Step::Answer(length_prefixed(&response.token)),
            Ok((response, Some(session))) => {
                let frame = (!response.is_silent).then(|| length_prefixed(&response.token));
                Step::Done(frame, session)
            }
            // Without the frame of a SaslAuthenticate request, an error of the mechanism itself is no authentication
            // error.
            Err(Refusal::Mechanism(error)) => Step::Close(error.to_string()),
            Err(Refusal::Authentication(error)) => Step::Failed(None, error),
            Err(Refusal::Close(reason)) => Step::Close(reason),
        }
    }

    /// A token in a SaslAuthenticate request.
    async fn receive_token_request(&mut self, frame: Bytes, now_ms: i64) -> Step {
        let (header, request) = match codec::decode_request(frame) {
            Ok(decoded) => decoded,
            Err(error) => return Step::Close(error.to_string()),
        };
        let Request::SaslAuthenticate(request) = request else {
            let text = format!(
                "Unexpected Kafka request of type {} during SASL authentication.",
                java_name(header.api)
            );
            return Step::Failed(refuse_out_of_order(&header), AuthenticationError::new(text));
        };
        let response = SaslAuthenticateResponse::default().with_error_message(Some(wire_text("")));
        self.learns_lifetime |= header.version >= 1;
        match self.evaluate(&request.auth_bytes, now_ms).await {
            Ok((answer, session)) => {
                let lifetime_ms = session.as_ref().and_then(|session| session.lifetime_ms);
                let response = response
                    .with_auth_bytes(answer.token)
                    .with_session_lifetime_ms(lifetime_ms.unwrap_or(0));
                let frame = authenticate_frame(&response, &header);
                match session {
                    Some(session) => Step::Done(Some(frame), session),
                    None => Step::Answer(frame),
                }
            }
            Err(Refusal::Authentication(error) | Refusal::Mechanism(error)) => {
                let response = response
                    .with_error_code(ErrorCode::SaslAuthenticationFailed.code())
                    .with_error_message(Some(wire_text(&error.to_string())));
                Step::Failed(Some(authenticate_frame(&response, &header)), error)
            }
            Err(Refusal::Close(reason)) => Step::Close(reason),
        }
    }

    /// Gives a token to the mechanism. Returns its answer and, at the end of the exchange, the session.
    async fn evaluate(
        &mut self,
        token: &[u8],
        now_ms: i64,
    ) -> Result<(MechanismAnswer, Option<SaslSession>), Refusal> {
        let State::Tokens {
            mechanism, server, ..
        } = &mut self.state
        else {
            unreachable!("tokens are taken in this state only");
        };
        let evaluated = server.evaluate(token, now_ms).await;
        let evaluation = evaluated.map_err(|error| {
            let Some(text) = error.client_text(mechanism, self.previous.is_some()) else {
                return Refusal::Close(error.to_string());
            };
            let told = AuthenticationError::new(text);
            match error {
                SaslError::Authentication(_) => Refusal::Authentication(told),
                _ => {
                    // The reason may tell whether a user exists.
                    tracing::debug!(mechanism, reason = %error, "a token was refused");
                    Refusal::Mechanism(told)
                }
            }
        })?;
        let answer = MechanismAnswer {
            token: evaluation.response,
            is_silent: evaluation.is_silent,
        };
        let Some(authenticated) = evaluation.authenticated else {
            return Ok((answer, None));
        };
        let session = SaslSession {
            lifetime_ms: lifetime_ms(&authenticated, self.mechanisms.max_reauth_ms(mechanism), now_ms),
            principal: authenticated.principal,
            mechanism: mechanism.clone(),
            learns_lifetime: self.learns_lifetime,
        };
        if let Some(previous) = &self.previous
            && previous.principal != session.principal
        {
            let name = |principal: &KafkaPrincipal| principal.to_string().replacen(':', ".", 1);
            let (before, now) = (name(&previous.principal), session.principal);
            return Err(Refusal::Authentication(AuthenticationError::new(format!(
                "Cannot change principals during re-authentication from {before}: {}",
                name(&now)
            ))));
        }
        Ok((answer, Some(session)))
    }
}

/// What a mechanism answers to a token.
struct MechanismAnswer {
    token: Bytes,
    /// Whether a client that gets bare tokens gets no frame.
    is_silent: bool,
}

/// Why the exchange ends without an identity.
enum Refusal {
    /// The client is told the text.
    Authentication(AuthenticationError),
    /// The client is told no more than that its credentials are invalid.
    Mechanism(AuthenticationError),
    /// Not the client's fault: it may connect again.
    Close(String),
}

/// How long a session may last: until the credential expires, at most `connections.max.reauth.ms` if that is positive.
fn lifetime_ms(authenticated: &Authenticated, max_reauth_ms: i64, now_ms: i64) -> Option<i64> {
    let until_expiry = authenticated
        .expires_at_ms
        .map(|at| at.saturating_sub(now_ms).max(0));
    let configured = (max_reauth_ms > 0).then_some(max_reauth_ms);
    [until_expiry, configured].into_iter().flatten().min()
}

/// The answer to a request that came where a token is expected. Other requests get none.
fn refuse_out_of_order(header: &ReceivedHeader) -> Option<Bytes> {
    let error = ErrorCode::IllegalSaslState.code();
    match header.api {
        ApiKey::SaslHandshake => {
            let response = SaslHandshakeResponse::default().with_error_code(error);
            Some(handshake_frame(&response, header))
        }
        ApiKey::ApiVersions => {
            let response = ApiVersionsResponse::default().with_error_code(error);
            let version = if header.api.decodes(header.version) {
                header.version
            } else {
                0
            };
            codec::encode_response(&response, version, header.correlation_id).ok()
        }
        _ => None,
    }
}

fn handshake_frame(response: &SaslHandshakeResponse, header: &ReceivedHeader) -> Bytes {
    codec::encode_response(response, header.version, header.correlation_id)
        .expect("every version can express it")
}

fn authenticate_frame(response: &SaslAuthenticateResponse, header: &ReceivedHeader) -> Bytes {
    codec::encode_response(response, header.version, header.correlation_id)
        .expect("every version can express it")
}

fn length_prefixed(token: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(4 + token.len());
    frame.put_i32(token.len() as i32);
    frame.put_slice(token);
    frame.freeze()
}

/// The name in Kafka's messages: `SASL_HANDSHAKE` for SaslHandshake.
fn java_name(api: ApiKey) -> String {
    let mut name = String::new();
    for (at, letter) in api.name().char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

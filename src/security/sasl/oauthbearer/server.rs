//! Owns the server's side of an OAUTHBEARER exchange. A refusal takes two steps (RFC 7628): the client is told why,
//! says that it has understood, and only then the exchange fails. Kafka 3.9: `OAuthBearerSaslServer`.

use std::sync::Arc;

use bytes::Bytes;
use tracing::{debug, warn};

use super::initial_response::InitialResponse;
use super::secured::SecuredValidator;
use super::token::{Refusal, Token};
use super::unsecured::UnsecuredValidator;
use crate::security::KafkaPrincipal;
use crate::security::sasl::error::SaslError;
use crate::security::sasl::evaluation::{Authenticated, Evaluation};

/// What checks the tokens of a listener.
#[derive(Clone, Debug)]
pub enum TokenValidator {
    /// Tokens without signatures.
    Unsecured(Arc<UnsecuredValidator>),
    /// Signed tokens.
    Secured(Arc<SecuredValidator>),
}

impl TokenValidator {
    fn validate(&self, token: &str, now_ms: i64) -> Result<Token, Refusal> {
        match self {
            Self::Unsecured(validator) => validator.validate(token, now_ms),
            Self::Secured(validator) => {
                let token = validator.validate(token, now_ms);
                // Kafka warns of these alone.
                token.inspect_err(|refusal| warn!("Could not validate the access token: {}", refusal.reason))
            }
        }
    }
}

/// One exchange with one client.
#[derive(Debug)]
pub struct OauthBearerServer {
    validator: TokenValidator,
    /// What the client was told, once it was refused.
    refusal: Option<String>,
}

impl OauthBearerServer {
    /// An exchange with one client.
    pub fn new(validator: TokenValidator) -> Self {
        Self {
            validator,
            refusal: None,
        }
    }

    /// Takes a message of the client. After a refusal it may bring another token.
    pub fn evaluate(&mut self, message: &[u8], now_ms: i64) -> Result<Evaluation, SaslError> {
        if let Some(refusal) = self.refusal.take()
            && message == b"\x01"
        {
            return Err(SaslError::authentication(refusal));
        }
        let message = InitialResponse::parse(message)?;
        let token = match self.validator.validate(&message.token, now_ms) {
            Ok(token) => token,
            Err(refusal) => {
                debug!("token refused: {}", refusal.reason);
                self.refusal = Some(refusal.json.clone());
                return Ok(Evaluation::challenge(refusal.json));
            }
        };
        if !message.authorization_id.is_empty() && message.authorization_id != token.principal {
            return Err(SaslError::authentication(format!(
                "Authentication failed: Client requested an authorization id ({}) that is different from the token's \
                 principal name ({})",
                message.authorization_id, token.principal
            )));
        }
        let authenticated = Authenticated {
            principal: KafkaPrincipal::user(&token.principal),
            expires_at_ms: Some(token.expires_at_ms),
        };
        Ok(Evaluation::complete(Bytes::new(), authenticated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::jaas::parse_property;
    use crate::security::sasl::oauthbearer::unsecured::UnsecuredLogin;

    fn server() -> OauthBearerServer {
        let module = parse_property("a.B required;").expect("it is well formed");
        let validator = UnsecuredValidator::new(&module).expect("there are no options");
        OauthBearerServer::new(TokenValidator::Unsecured(Arc::new(validator)))
    }

    fn message(authorization_id: &str, now_ms: i64) -> Vec<u8> {
        let module =
            parse_property("a.B required unsecuredLoginStringClaim_sub=alice;").expect("it is well formed");
        let login = UnsecuredLogin::new(&module)
            .expect("the options are right")
            .expect("there are some");
        let token = login.token(now_ms).expect("the options are right");
        format!("n,{authorization_id},\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes()
    }

    #[test]
    fn a_token_completes_the_exchange() {
        for authorization_id in ["", "a=alice"] {
            let evaluation = server()
                .evaluate(&message(authorization_id, 0), 1)
                .expect("it is valid");
            let authenticated = evaluation.authenticated.expect("it is complete");
            assert_eq!(authenticated.principal, KafkaPrincipal::user("alice"));
            assert_eq!(authenticated.expires_at_ms, Some(3_600_000));
            assert!(evaluation.response.is_empty());
        }
    }

    #[test]
    fn a_refusal_takes_two_steps() {
        let mut server = server();
        let told = server
            .evaluate(&message("", 0), 3_600_000)
            .expect("it is told first");
        assert_eq!(told, Evaluation::challenge(r#"{"status":"invalid_token"}"#));
        let error = server.evaluate(b"\x01", 3_600_000);
        assert_eq!(
            error,
            Err(SaslError::authentication(r#"{"status":"invalid_token"}"#))
        );
    }

    #[test]
    fn another_token_may_follow_a_refusal() {
        let mut server = server();
        server
            .evaluate(&message("", 0), 3_600_000)
            .expect("it is told first");
        assert!(
            server
                .evaluate(&message("", 3_600_000), 3_600_000)
                .expect("it is valid")
                .authenticated
                .is_some()
        );
    }

    #[test]
    fn another_identity_is_refused_at_once() {
        let text = "Authentication failed: Client requested an authorization id (bob) that is different from the \
                    token's principal name (alice)";
        assert_eq!(
            server().evaluate(&message("a=bob", 0), 1),
            Err(SaslError::authentication(text))
        );
    }

    #[test]
    fn other_messages_fail_with_the_generic_text() {
        for message in [&b""[..], b"\x01", b"n,,\x01\x01"] {
            assert!(matches!(
                server().evaluate(message, 0),
                Err(SaslError::InvalidCredentials(_))
            ));
        }
    }
}

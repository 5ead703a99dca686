//! Stub.
use super::{AuthenticationError, KafkaPrincipal};
use bytes::Bytes;
use std::collections::BTreeMap;
pub struct Authenticated {
    pub principal: KafkaPrincipal,
    pub expires_at_ms: Option<i64>,
}
pub struct Evaluation {
    pub response: Bytes,
    pub authenticated: Option<Authenticated>,
}
#[derive(Debug, thiserror::Error)]
pub enum SaslError {
    #[error("{0}")]
    Authentication(AuthenticationError),
    #[error("{0}")]
    Mechanism(String),
    #[error("{0}")]
    Retriable(String),
}
#[derive(Default)]
pub struct SaslMechanisms {
    pub users: BTreeMap<String, String>,
    pub max_reauth_ms: i64,
    pub names: Vec<String>,
}
impl SaslMechanisms {
    pub fn enabled(&self) -> &[String] {
        &self.names
    }
    pub fn server(&self, mechanism: &str) -> Option<SaslServer> {
        self.names
            .iter()
            .any(|n| n == mechanism)
            .then(|| SaslServer(self.users.clone()))
    }
    pub fn max_reauth_ms(&self, _: &str) -> i64 {
        self.max_reauth_ms
    }
}
pub struct SaslServer(BTreeMap<String, String>);
impl SaslServer {
    pub async fn evaluate(&mut self, token: &[u8], _now_ms: i64) -> Result<Evaluation, SaslError> {
        let text = String::from_utf8_lossy(token);
        let parts: Vec<&str> = text.split('\0').collect();
        if parts.len() != 3 || self.0.get(parts[1]).map(String::as_str) != Some(parts[2]) {
            return Err(SaslError::Authentication(AuthenticationError::new(
                "Authentication failed: Invalid username or password",
            )));
        }
        Ok(Evaluation {
            response: Bytes::new(),
            authenticated: Some(Authenticated {
                principal: KafkaPrincipal::user(parts[1]),
                expires_at_ms: None,
            }),
        })
    }
}
pub struct SaslClient {
    user: String,
    password: String,
    done: bool,
}
impl SaslClient {
    pub fn plain(user: &str, password: &str) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
            done: false,
        }
    }
    pub fn mechanism(&self) -> &str {
        "PLAIN"
    }
    pub async fn first(&mut self) -> Result<Bytes, SaslError> {
        Ok(format!("\0{}\0{}", self.user, self.password).into())
    }
    pub async fn evaluate(&mut self, _: &[u8]) -> Result<Option<Bytes>, SaslError> {
        self.done = true;
        Ok(None)
    }
    pub fn is_complete(&self) -> bool {
        self.done
    }
}

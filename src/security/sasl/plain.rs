//! Owns the mechanism PLAIN: a name and a password, compared with the users of a JAAS text. Kafka 3.9:
//! `PlainSaslServer`, `PlainServerCallbackHandler`, `PlainLoginModule`.
//!
//! ```text
//! token = authorization id, 0, name, 0, password       UTF-8; what is not is replaced, as in Java
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;

use super::error::SaslError;
use super::evaluation::{Authenticated, Evaluation};
use crate::config::security::Password;
use crate::security::jaas::JaasContext;

/// The mechanism's name.
pub const PLAIN: &str = "PLAIN";

/// The login module whose options are users and credentials.
pub const PLAIN_LOGIN_MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

/// The options `user_NAME="password"` of a JAAS text.
#[derive(Clone, Debug, Default)]
pub struct PlainUsers(Arc<HashMap<String, Password>>);

impl PlainUsers {
    /// The users of all login modules of the mechanism's class. Of two with one name the first counts.
    pub fn of(context: &JaasContext) -> Self {
        let mut users = HashMap::new();
        let modules = context.modules().iter();
        for module in modules.filter(|module| module.class == PLAIN_LOGIN_MODULE) {
            for (key, password) in &module.options {
                if let Some(name) = key.strip_prefix("user_") {
                    users.entry(name.to_owned()).or_insert_with(|| password.clone());
                }
            }
        }
        Self(Arc::new(users))
    }

    /// Compares in constant time.
    fn accepts(&self, name: &str, password: &str) -> bool {
        self.0.get(name).is_some_and(|expected| {
            verify_slices_are_equal(expected.expose().as_bytes(), password.as_bytes()).is_ok()
        })
    }
}

/// The server's side of one exchange.
#[derive(Debug)]
pub struct PlainServer {
    users: PlainUsers,
}

impl PlainServer {
    /// An exchange with one client.
    pub fn new(users: PlainUsers) -> Self {
        Self { users }
    }

    /// Checks the one token.
    pub fn evaluate(&mut self, token: &[u8]) -> Result<Evaluation, SaslError> {
        let token = String::from_utf8_lossy(token);
        // Kafka looks at four parts at most.
        let parts: Vec<&str> = token.splitn(5, '\0').take(4).collect();
        let &[authorization_id, name, password] = parts.as_slice() else {
            let count = parts.len();
            return Err(SaslError::authentication(format!(
                "Invalid SASL/PLAIN response: expected 3 tokens, got {count}"
            )));
        };
        let failed = |reason| {
            Err(SaslError::authentication(format!(
                "Authentication failed: {reason}"
            )))
        };
        if name.is_empty() {
            return failed("username not specified");
        }
        if password.is_empty() {
            return failed("password not specified");
        }
        if !self.users.accepts(name, password) {
            return failed("Invalid username or password");
        }
        if !authorization_id.is_empty() && authorization_id != name {
            return failed("Client requested an authorization id that is different from username");
        }
        Ok(Evaluation::complete(Bytes::new(), Authenticated::user(name)))
    }
}

/// A client's token.
pub fn client_token(name: &str, password: &Password) -> Bytes {
    Bytes::from(format!("\0{name}\0{}", password.expose()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::SystemProperties;
    use crate::security::KafkaPrincipal;

    fn users() -> PlainUsers {
        let text = format!(
            r#"{PLAIN_LOGIN_MODULE} required username="admin" password="admin-secret" user_admin="admin-secret"
               user_alice="alice-secret" user_ü="ü" user_empty="";"#
        );
        let context = JaasContext::load_server(
            "X",
            Some(&Password::new(text)),
            None,
            &SystemProperties::default(),
        );
        PlainUsers::of(&context.expect("it is well formed"))
    }

    fn evaluate(token: &[u8]) -> Result<Evaluation, SaslError> {
        PlainServer::new(users()).evaluate(token)
    }

    #[test]
    fn a_user_with_its_password_is_accepted() {
        for token in ["\0alice\0alice-secret", "alice\0alice\0alice-secret", "\0ü\0ü"] {
            let evaluation = evaluate(token.as_bytes()).expect("the password is right");
            let name = token.split('\0').nth(1).expect("there is a name");
            let authenticated = evaluation.authenticated.expect("the exchange is complete");
            assert_eq!(authenticated.principal, KafkaPrincipal::user(name));
            assert_eq!(authenticated.expires_at_ms, None);
            assert!(evaluation.response.is_empty());
        }
        let own = client_token("admin", &Password::new("admin-secret"));
        assert!(evaluate(&own).is_ok());
    }

    #[test]
    fn refusals_have_kafkas_texts() {
        for (token, text) in [
            (&b""[..], "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
            (b"alice", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
            (
                b"alice\0x",
                "Invalid SASL/PLAIN response: expected 3 tokens, got 2",
            ),
            (
                b"\0a\0b\0c",
                "Invalid SASL/PLAIN response: expected 3 tokens, got 4",
            ),
            (
                b"\0a\0b\0c\0d\0",
                "Invalid SASL/PLAIN response: expected 3 tokens, got 4",
            ),
            (b"\0\0x", "Authentication failed: username not specified"),
            (b"\0\0", "Authentication failed: username not specified"),
            (b"\0alice\0", "Authentication failed: password not specified"),
            (
                b"\0alice\0wrong",
                "Authentication failed: Invalid username or password",
            ),
            (
                b"\0nobody\0wrong",
                "Authentication failed: Invalid username or password",
            ),
            (
                b"bob\0alice\0wrong",
                "Authentication failed: Invalid username or password",
            ),
            (
                b"\0al\xffice\0x",
                "Authentication failed: Invalid username or password",
            ),
            (
                b"bob\0alice\0alice-secret",
                "Authentication failed: Client requested an authorization id that is different from username",
            ),
        ] {
            assert_eq!(evaluate(token), Err(SaslError::authentication(text)), "{token:?}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert!(!format!("{:?}", PlainServer::new(users())).contains("secret"));
    }

    proptest! {
        #[test]
        fn any_token_is_accepted_or_refused(token in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..64)) {
            let _ = evaluate(&token);
        }
    }
}

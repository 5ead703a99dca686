//! Owns the identity of a client or broker. Kafka 3.9: `KafkaPrincipal`.

use std::fmt;
use std::sync::Arc;

/// A type and a name, such as `User:alice`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KafkaPrincipal {
    principal_type: Arc<str>,
    name: Arc<str>,
    token_authenticated: bool,
}

impl KafkaPrincipal {
    /// The type of every principal that Kafka makes itself.
    pub const USER_TYPE: &str = "User";

    /// A user.
    pub fn user(name: &str) -> Self {
        Self {
            principal_type: Self::USER_TYPE.into(),
            name: name.into(),
            token_authenticated: false,
        }
    }

    /// The client of a connection without authentication: `User:ANONYMOUS`.
    pub fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }

    /// The name without the type.
    #[cfg(test)]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// `User:alice`.
impl fmt::Display for KafkaPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.principal_type, self.name)
    }
}

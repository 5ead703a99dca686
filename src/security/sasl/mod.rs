//! Owns SASL: how clients prove to a broker who they are, and brokers to each other. Exchanges are values that take a
//! token and return the next one; frames, delays and connections belong to `network`. Kafka 3.9:
//! `org.apache.kafka.common.security.authenticator` and the packages of the mechanisms.

mod classes;
mod client;
mod error;
mod evaluation;
mod gssapi;
#[cfg(any(feature = "gssapi", test))]
mod kerberos_name;
mod mechanisms;
mod oauthbearer;
mod plain;
mod scram;
mod server;

pub use client::SaslClient;
pub use error::SaslError;
pub use evaluation::Authenticated;
pub use mechanisms::SaslMechanisms;
pub use scram::{ScramCredential, ScramCredentialCache, ScramMechanism};
pub use server::SaslServer;

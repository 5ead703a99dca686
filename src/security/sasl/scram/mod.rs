//! Owns the mechanisms SCRAM-SHA-256 and SCRAM-SHA-512: both sides prove with hashes that they know a password, and the
//! broker stores only what lets it check that. Kafka 3.9: `org.apache.kafka.common.security.scram`.

mod cache;
mod client;
mod credential;
mod mechanism;
mod messages;
mod server;

pub use cache::ScramCredentialCache;
pub use client::ScramClient;
pub use credential::ScramCredential;
pub use mechanism::ScramMechanism;
pub use server::ScramServer;

/// The login module whose options are credentials.
pub const SCRAM_LOGIN_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

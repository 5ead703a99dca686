//! Owns identities: what proves to a broker who connects. Key and trust stores, certificates and the names in them,
//! SASL mechanisms, JAAS texts, encoded passwords. Pure functions and values; sockets belong to `network`.
//! Kafka 3.9: `org.apache.kafka.common.security`.

mod error;
pub mod jaas;
mod principal;
pub mod sasl;
pub mod tls;

pub use error::AuthenticationError;
pub use principal::KafkaPrincipal;

//! Owns identities: what proves to a broker who connects. Key and trust stores, certificates and the names in them,
//! SASL mechanisms, JAAS texts, encoded passwords. Pure functions and values; sockets belong to `network`.
//! Kafka 3.9: `org.apache.kafka.common.security`.

mod distinguished_name;
mod error;
pub mod jaas;
pub mod password_encoder;
mod principal;
mod principal_mapping;
pub mod sasl;
mod ssl_error;
pub mod stores;
pub mod tls;

pub use error::AuthenticationError;
pub use principal::KafkaPrincipal;

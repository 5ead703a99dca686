//! Owns what TLS needs of a listener's settings: the configurations of both sides, made anew when a store changes.
//! Kafka 3.9: `SslFactory`, `DefaultSslEngineFactory`, `SslChannelBuilder`.

mod cipher_suites;
mod client;
mod listener;
mod replacement;
mod self_test;
mod signature;
mod trust;

pub use client::TlsClient;
pub use listener::TlsListener;
pub use replacement::check_replacement;
pub use self_test::self_test;

#[cfg(test)]
mod tests;

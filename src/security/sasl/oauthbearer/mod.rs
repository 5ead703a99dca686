//! Owns the mechanism OAUTHBEARER: clients bring tokens (RFC 7628). Kafka 3.9:
//! `org.apache.kafka.common.security.oauthbearer`.

mod client;
mod http;
mod initial_response;
mod jwks;
mod key_source;
mod retry;
mod secured;
mod server;
mod token;
mod token_login;
mod unsecured;
mod url;

pub use client::OauthBearerClient;
pub use http::HttpClient;
pub use initial_response::InitialResponse;
pub use key_source::KeySource;
pub use secured::SecuredValidator;
pub use server::{OauthBearerServer, TokenValidator};
pub use token_login::TokenLogin;
pub use unsecured::{UnsecuredLogin, UnsecuredValidator};
pub use url::check_jwks_url;

/// The mechanism's name.
pub const OAUTHBEARER: &str = "OAUTHBEARER";

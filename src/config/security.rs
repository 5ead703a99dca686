//! Owns the security settings of one listener as typed values. Kafka 3.9: `BrokerSecurityConfigs`, `SslConfigs`,
//! `SaslConfigs`, read through `ListenerName.configPrefix`.
//!
//! A key with the prefix `listener.name.<listener>.` replaces the key without prefix for that listener; the listener's
//! name is in lower case. Keys of a mechanism have `<mechanism>.`, in lower case, behind the prefix.

use std::collections::BTreeMap;
use std::fmt;

/// A secret text. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Shows what Kafka shows in place of a secret.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// What a TLS listener wants of a client's certificate (`ssl.client.auth`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate.
    #[default]
    None,
    /// A certificate, if the client has one.
    Requested,
    /// A certificate.
    Required,
}

/// The `ssl.*` settings of one listener, or of a client. Each field has the name of its key, with underscores in place
/// of dots and without `ssl.`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "every field is the Kafka key of its name")]
pub struct SslConfig {
    pub protocol: String,
    pub enabled_protocols: Vec<String>,
    /// Java's names; empty means the defaults.
    pub cipher_suites: Vec<String>,
    pub keystore_type: String,
    pub keystore_location: Option<String>,
    pub keystore_password: Option<Password>,
    pub keystore_certificate_chain: Option<Password>,
    pub keystore_key: Option<Password>,
    pub key_password: Option<Password>,
    pub truststore_type: String,
    pub truststore_location: Option<String>,
    pub truststore_password: Option<Password>,
    pub truststore_certificates: Option<Password>,
    pub client_auth: ClientAuth,
    /// `https` in any case, or empty for none.
    pub endpoint_identification_algorithm: String,
    pub principal_mapping_rules: String,
    pub allow_dn_changes: bool,
    pub allow_san_changes: bool,
}

/// The `sasl.*` settings of one listener.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "every field is the Kafka key of its name")]
pub struct SaslConfig {
    pub enabled_mechanisms: Vec<String>,
    pub server_max_receive_size: i32,
    pub kerberos_service_name: Option<String>,
    pub kerberos_principal_to_local_rules: Vec<String>,
    /// The settings of each enabled mechanism, by its name in the case that the configuration has.
    pub mechanisms: BTreeMap<String, MechanismConfig>,
}

/// The settings of one SASL mechanism of one listener.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "every field is the Kafka key of its name")]
pub struct MechanismConfig {
    /// `listener.name.<listener>.<mechanism>.sasl.jaas.config`, or `<mechanism>.sasl.jaas.config`.
    pub jaas_config: Option<Password>,
    pub server_callback_handler_class: Option<String>,
    pub login_class: Option<String>,
    pub login_callback_handler_class: Option<String>,
    /// `connections.max.reauth.ms`; 0 or less means no limit.
    pub connections_max_reauth_ms: i64,
    pub oauthbearer: OauthBearerConfig,
}

/// The `sasl.oauthbearer.*` settings.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "every field is the Kafka key of its name")]
pub struct OauthBearerConfig {
    pub clock_skew_seconds: i32,
    pub expected_audience: Option<Vec<String>>,
    pub expected_issuer: Option<String>,
    pub jwks_endpoint_url: Option<String>,
    pub jwks_endpoint_refresh_ms: i64,
    pub jwks_endpoint_retry_backoff_ms: i64,
    pub jwks_endpoint_retry_backoff_max_ms: i64,
    pub scope_claim_name: String,
    pub sub_claim_name: String,
    pub token_endpoint_url: Option<String>,
    pub header_urlencode: bool,
    /// `sasl.login.connect.timeout.ms` and the three that follow.
    pub login_connect_timeout_ms: Option<i32>,
    pub login_read_timeout_ms: Option<i32>,
    pub login_retry_backoff_ms: i64,
    pub login_retry_backoff_max_ms: i64,
}

/// The settings of one listener.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "every field is the Kafka key of its name")]
pub struct ListenerConfig {
    pub ssl: SslConfig,
    pub sasl: SaslConfig,
}

//! Owns key stores and trust stores: what a listener or a client shows as its own certificate, and whom it believes.
//! Kafka 3.9: `DefaultSslEngineFactory`.
//!
//! Java reads a JKS file under the type PKCS12 and the reverse, so the file's first bytes decide. PEM is a type of
//! Kafka's own: one file, or the texts themselves in the settings.

mod encrypted_key;
mod entries;
mod jks;
mod pem;
mod pkcs12;

pub use entries::{KeyStore, TrustStore};

use entries::Entries;

use super::ssl_error::SslError;
use crate::config::security::{Password, SslConfig};

const PEM: &str = "PEM";

impl KeyStore {
    /// Loads the key store of these settings; `None` if they name none.
    pub fn load(config: &SslConfig) -> Result<Option<Self>, SslError> {
        let (chain, key) = (&config.keystore_certificate_chain, &config.keystore_key);
        let refuse = |text: &str| Err(SslError::new(text));
        match (&config.keystore_location, chain, key) {
            (_, _, Some(_)) if config.keystore_type != PEM => Err(SslError::new(format!(
                "SSL private key can be specified only for PEM, but key store type is {}.",
                config.keystore_type
            ))),
            (Some(_), _, Some(_)) => {
                refuse("Both SSL key store location and separate private key are specified.")
            }
            (Some(_), Some(_), None) => {
                refuse("Both SSL key store location and separate certificate chain are specified.")
            }
            (None, None, Some(_)) => {
                refuse("SSL private key is specified, but certificate chain is not specified.")
            }
            (None, Some(_), None) => {
                refuse("SSL certificate chain is specified, but private key is not specified.")
            }
            (None, None, None) => Ok(None),
            (None, Some(chain), Some(key)) => {
                let key_password = config.key_password.as_ref();
                pem::key_store(key.expose(), chain.expose(), key_password).map(Some)
            }
            (Some(path), None, None) => Self::load_file(config, path).map(Some),
        }
    }

    fn load_file(config: &SslConfig, path: &str) -> Result<Self, SslError> {
        let kind = config.keystore_type.as_str();
        if kind == PEM {
            if config.keystore_password.is_some() {
                return Err(SslError::new(
                    "SSL key store password cannot be specified with PEM format, only key password may be specified.",
                ));
            }
            let text = std::fs::read_to_string(path).map_err(|error| SslError::store(path, kind, error))?;
            return pem::key_store(&text, &text, config.key_password.as_ref());
        }
        let Some(password) = &config.keystore_password else {
            return Err(SslError::new(
                "SSL key store is specified, but key store password is not specified.",
            ));
        };
        let key_password = config.key_password.as_ref().unwrap_or(password);
        let entries = read(path, kind, Some(password), Some(key_password))?;
        let first = entries.keys.into_iter().next();
        first.ok_or_else(|| SslError::store(path, kind, "it has no private key with a certificate"))
    }
}

impl TrustStore {
    /// Loads the trust store of these settings; `None` if they name none.
    pub fn load(config: &SslConfig) -> Result<Option<Self>, SslError> {
        let kind = config.truststore_type.as_str();
        let refuse = |text: &str| Err(SslError::new(text));
        let certificates = match (&config.truststore_location, &config.truststore_certificates) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return refuse(
                    "Both SSL trust store location and separate trust certificates are specified.",
                );
            }
            (None, Some(_)) if kind != PEM => {
                return Err(SslError::new(format!(
                    "SSL trust store certs can be specified only for PEM, but trust store type is {kind}."
                )));
            }
            _ if kind == PEM && config.truststore_password.is_some() => {
                return refuse("SSL trust store password cannot be specified for PEM format.");
            }
            (None, Some(text)) => pem::certificates(text.expose())?,
            (Some(path), None) if kind == PEM => {
                let text = std::fs::read_to_string(path).map_err(|e| SslError::store(path, kind, e))?;
                pem::certificates(&text)?
            }
            (Some(path), None) => {
                let entries = read(path, kind, config.truststore_password.as_ref(), None)?;
                // As in Java, a key's own certificate is trusted too.
                let own = entries
                    .keys
                    .into_iter()
                    .filter_map(|key| key.chain.into_iter().next());
                entries.trusted.into_iter().chain(own).collect()
            }
        };
        Ok(Some(Self { certificates }))
    }
}

/// Reads a store of one of Java's types. Without a password its integrity is not checked; without a key password its
/// keys are left encrypted, and only their certificates are read.
fn read(
    path: &str,
    kind: &str,
    password: Option<&Password>,
    key_password: Option<&Password>,
) -> Result<Entries, SslError> {
    if !kind.eq_ignore_ascii_case("JKS") && !kind.eq_ignore_ascii_case("PKCS12") {
        return Err(SslError::store(path, kind, format!("{kind} not found")));
    }
    let bytes = std::fs::read(path).map_err(|error| SslError::store(path, kind, error))?;
    if jks::is_jks(&bytes) {
        jks::read(&bytes, password, key_password).map_err(|error| match error {
            jks::JksError::Key => {
                SslError::new("java.security.UnrecoverableKeyException: Cannot recover key")
            }
            other => SslError::store(path, kind, other),
        })
    } else {
        let password = password.map_or("", Password::expose);
        if key_password.is_some_and(|key_password| key_password.expose() != password) {
            return Err(SslError::new(
                "java.security.UnrecoverableKeyException: Get Key failed: Given final block not properly padded. Such \
                 issues can arise if a bad key is used during decryption.",
            ));
        }
        pkcs12::read(&bytes, password).map_err(|reason| SslError::store(path, kind, reason))
    }
}

#[cfg(test)]
pub(crate) mod tests;

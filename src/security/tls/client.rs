//! The client's side of TLS, for connections to other brokers. Kafka 3.9: `SslFactory` in mode CLIENT.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, sign};

use super::cipher_suites;
use super::listener::{certified_key, trusted};
use super::trust::Trust;
use crate::config::security::SslConfig;
use crate::security::ssl_error::SslError;
use crate::security::stores::KeyStore;

/// The TLS of the connections to listeners of one name.
pub struct TlsClient {
    current: ArcSwap<ClientConfig>,
}

impl TlsClient {
    /// Loads the stores.
    pub fn new(config: &SslConfig) -> Result<Self, SslError> {
        let checks_names = !config.endpoint_identification_algorithm.is_empty();
        Ok(Self {
            current: ArcSwap::from(client_config(config, checks_names)?),
        })
    }

    /// The configuration for a new connection.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.current.load_full()
    }

    /// Loads the stores again.
    pub fn reconfigure(&self, config: &SslConfig) -> Result<(), SslError> {
        self.current.store(Self::new(config)?.client_config());
        Ok(())
    }
}

/// A client's configuration. Without `checks_names`, a server may have a certificate for another host.
pub(super) fn client_config(config: &SslConfig, checks_names: bool) -> Result<Arc<ClientConfig>, SslError> {
    let provider = cipher_suites::provider(config)?;
    let protocols = cipher_suites::protocols(config)?;
    let trust = Trust::new(trusted(config)?, &provider)?.checking_names(checks_names);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&protocols)
        .map_err(|error| SslError::new(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    Ok(Arc::new(match KeyStore::load(config)? {
        None => builder.with_no_client_auth(),
        Some(store) => {
            let own = OwnCertificate(certified_key(store, &provider)?);
            builder.with_client_cert_resolver(Arc::new(own))
        }
    }))
}

/// The certificate that is shown to servers that ask for one.
#[derive(Debug)]
struct OwnCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<sign::CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

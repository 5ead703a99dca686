//! The server's side of TLS for one listener. Kafka 3.9: `SslFactory` in mode SERVER.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::cipher_suites;
use super::replacement::Identity;
use super::trust::Trust;
use crate::config::security::{ClientAuth, SslConfig};
use crate::security::distinguished_name::rfc2253;
use crate::security::principal_mapping::PrincipalMapping;
use crate::security::ssl_error::SslError;
use crate::security::stores::{KeyStore, TrustStore};
use crate::security::{AuthenticationError, KafkaPrincipal};

/// The TLS of one listener. New connections see a changed configuration, open ones go on.
pub struct TlsListener {
    current: ArcSwap<ServerConfig>,
    principals: PrincipalMapping,
    loaded: Mutex<Loaded>,
}

/// What the current configuration was made of.
struct Loaded {
    config: SslConfig,
    modified: Modified,
    identity: Option<Identity>,
}

/// When the files of the key store and of the trust store were changed last.
type Modified = [Option<SystemTime>; 2];

impl TlsListener {
    /// Loads the stores.
    pub fn new(config: &SslConfig) -> Result<Self, SslError> {
        let modified = modified(config);
        let own = KeyStore::load(config)?;
        let identity = own.as_ref().and_then(Identity::of);
        let principals = PrincipalMapping::parse(&config.principal_mapping_rules);
        Ok(Self {
            current: ArcSwap::from(server_config(config, own)?),
            principals: principals.map_err(|error| SslError::new(error.to_string()))?,
            loaded: Mutex::new(Loaded {
                config: config.clone(),
                modified,
                identity,
            }),
        })
    }

    /// The configuration for a new connection.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// The principal of a client that has shown this certificate.
    pub fn principal(&self, certificate: &CertificateDer<'_>) -> Result<KafkaPrincipal, AuthenticationError> {
        let parsed = X509Certificate::from_der(certificate);
        let (_, certificate) =
            parsed.map_err(|_| AuthenticationError::new("the certificate cannot be read"))?;
        let name = self.principals.name(&rfc2253(certificate.subject()))?;
        Ok(KafkaPrincipal::user(&name))
    }

    /// Loads the stores again if a setting or a file has changed; returns whether one has. After an error the current
    /// configuration stays.
    pub fn reconfigure(&self, config: &SslConfig) -> Result<bool, SslError> {
        let mut loaded = self.loaded.lock();
        let modified = modified(config);
        if loaded.config == *config && loaded.modified == modified {
            return Ok(false);
        }
        let own = KeyStore::load(config)?;
        let identity = own.as_ref().and_then(Identity::of);
        if let (Some(old), Some(new)) = (&loaded.identity, &identity) {
            old.check(new, config)?;
        }
        self.current.store(server_config(config, own)?);
        *loaded = Loaded {
            config: config.clone(),
            modified,
            identity,
        };
        Ok(true)
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsListener")
    }
}

/// When the files were changed last; `None` for what is no file.
fn modified(config: &SslConfig) -> Modified {
    [&config.keystore_location, &config.truststore_location].map(|path| {
        let metadata = std::fs::metadata(path.as_ref()?).ok()?;
        metadata.modified().ok()
    })
}

fn server_config(config: &SslConfig, own: Option<KeyStore>) -> Result<Arc<ServerConfig>, SslError> {
    let provider = cipher_suites::provider(config)?;
    let protocols = cipher_suites::protocols(config)?;
    let failed = |error: rustls::Error| SslError::new(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&protocols)
        .map_err(failed)?;
    let builder = match config.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        wanted => {
            let trust = Trust::new(trusted(config)?, &provider)?;
            builder.with_client_cert_verifier(Arc::new(trust.mandatory(wanted == ClientAuth::Required)))
        }
    };
    let own = own.map(|store| certified_key(store, &provider)).transpose()?;
    let mut server = builder.with_cert_resolver(Arc::new(OwnCertificate(own)));
    server.ticketer = Ticketer::new().map_err(failed)?;
    // A client connects to a broker once and stays: one ticket is enough.
    server.send_tls13_tickets = 1;
    Ok(Arc::new(server))
}

/// The trust store of the settings or, without one, the authorities that the system trusts, as in Java.
pub(super) fn trusted(config: &SslConfig) -> Result<TrustStore, SslError> {
    if let Some(store) = TrustStore::load(config)? {
        return Ok(store);
    }
    let found = rustls_native_certs::load_native_certs();
    Ok(TrustStore {
        certificates: found.certs,
    })
}

/// A key with its chain, ready to sign.
pub(super) fn certified_key(
    store: KeyStore,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, SslError> {
    let key = provider.key_provider.load_private_key(store.key);
    let key =
        key.map_err(|error| SslError::new(format!("the key {} cannot be used: {error}", store.alias)))?;
    Ok(Arc::new(CertifiedKey::new(store.chain, key)))
}

/// The one certificate of a listener. Without one every handshake fails, as in Kafka.
#[derive(Debug)]
struct OwnCertificate(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

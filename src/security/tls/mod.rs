//! Stub.
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::{AuthenticationError, KafkaPrincipal};
use crate::config::security::SslConfig;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SslError(String);

pub struct TlsListener {
    config: Arc<rustls::ServerConfig>,
}
impl TlsListener {
    pub fn new(_: &SslConfig) -> Result<Self, SslError> {
        Err(SslError("TLS is not built".into()))
    }
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        self.config.clone()
    }
    pub fn principal(&self, _: &CertificateDer) -> Result<KafkaPrincipal, AuthenticationError> {
        Ok(KafkaPrincipal::anonymous())
    }
}
pub struct TlsClient {
    config: Arc<rustls::ClientConfig>,
}
impl TlsClient {
    pub fn new(_: &SslConfig) -> Result<Self, SslError> {
        Err(SslError("TLS is not built".into()))
    }
    pub fn client_config(&self) -> Arc<rustls::ClientConfig> {
        self.config.clone()
    }
}

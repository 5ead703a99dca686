//! Stub.
use super::{AuthenticationError, KafkaPrincipal};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
pub struct TlsListener {
    pub config: Arc<rustls::ServerConfig>,
}
impl TlsListener {
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        self.config.clone()
    }
    pub fn principal(&self, _: &CertificateDer) -> Result<KafkaPrincipal, AuthenticationError> {
        Ok(KafkaPrincipal::anonymous())
    }
}

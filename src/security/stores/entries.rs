//! Defines what is in a store: keys with their chains, and trusted certificates.

use std::fmt;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A private key and the certificates that prove whose it is.
pub struct KeyStore {
    /// The entry's name in its store.
    pub alias: String,
    /// The key's own certificate, then those of its issuers.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key, PKCS#8.
    pub key: PrivateKeyDer<'static>,
}

/// The certificates that are believed without a proof.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    /// In the order of the store.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// What a file of either Java type has in it.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) keys: Vec<KeyStore>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

/// Never shows the key.
impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (alias, chain) = (&self.alias, self.chain.len());
        write!(f, "KeyStore {{ alias: {alias:?}, certificates: {chain} }}")
    }
}

//! Reads PKCS12 stores (RFC 7292), those of keytool and those of openssl.

use p12_keystore::{CertificateBag, Pkcs12Archive};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::entries::{Entries, KeyStore};

/// Reads the keys with their chains, and the trusted certificates.
pub(super) fn read(bytes: &[u8], password: &str) -> Result<Entries, String> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, password).map_err(|error| error.to_string())?;
    let mut entries = Entries::default();
    for key in &archive.keys {
        let id = key.local_key_id.as_ref().map(AsRef::as_ref);
        let own = archive
            .certs
            .iter()
            .find(|bag| id.is_some() && bag.local_key_id.as_deref() == id);
        let Some(own) = own else { continue };
        let alias = key.friendly_name.clone().unwrap_or_else(|| "1".to_owned());
        entries.keys.push(KeyStore {
            alias,
            chain: chain(own, &archive.certs),
            key: PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.key.as_der().to_vec())),
        });
    }
    // Java takes only what it marks itself: other certificates are those of a chain.
    let trusted = archive.certs.iter().filter(|bag| bag.trusted);
    entries.trusted = trusted.map(der).collect();
    Ok(entries)
}

fn der(bag: &CertificateBag) -> CertificateDer<'static> {
    CertificateDer::from(bag.cert.as_der().to_vec())
}

/// A certificate and its issuers as far as the store has them.
fn chain(own: &CertificateBag, all: &[CertificateBag]) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![own];
    while let Some(last) = chain.last()
        && last.cert.issuer() != last.cert.subject()
        && let Some(issuer) = all.iter().find(|bag| bag.cert.subject() == last.cert.issuer())
        && !chain
            .iter()
            .any(|seen| seen.cert.as_der() == issuer.cert.as_der())
    {
        chain.push(issuer);
    }
    chain.into_iter().map(der).collect()
}

//! Reads PEM texts as Kafka does. Header, base64 and footer may be separated by blanks instead of line feeds, so that a
//! text fits into one line of a properties file. Kafka 3.9: `DefaultSslEngineFactory.PemStore`, `PemParser`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::encrypted_key::decrypt;
use super::entries::KeyStore;
use crate::config::security::Password;
use crate::security::ssl_error::SslError;

/// The alias that Kafka gives to the key of a PEM text.
const ALIAS: &str = "kafka";

/// Reads a private key and its chain.
pub(super) fn key_store(key: &str, chain: &str, password: Option<&Password>) -> Result<KeyStore, SslError> {
    let keys = blocks(key, "PRIVATE KEY");
    let [(label, der)] = keys.as_slice() else {
        return Err(match keys.len() {
            0 => no_entries("PRIVATE KEY"),
            count => SslError::new(format!("Expected one private key, but found {count}")),
        });
    };
    let could_not = |reason: &str| {
        SslError::new(format!(
            "Invalid PEM keystore configs: Private key could not be loaded: {reason}"
        ))
    };
    let key = match password {
        None if label == "ENCRYPTED PRIVATE KEY" => {
            return Err(could_not("it is encrypted, and ssl.key.password is not set"));
        }
        None if label != "PRIVATE KEY" => {
            return Err(could_not(&format!("keys must be PKCS#8, and this is a {label}")));
        }
        None => der.clone(),
        Some(password) => decrypt(der, password).map_err(|reason| could_not(&reason))?,
    };
    Ok(KeyStore {
        alias: ALIAS.to_owned(),
        chain: certificates(chain)?,
        key: PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)),
    })
}

/// Reads the certificates of a text; there must be one.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, SslError> {
    let found = blocks(text, "CERTIFICATE");
    if found.is_empty() {
        return Err(no_entries("CERTIFICATE"));
    }
    Ok(found
        .into_iter()
        .map(|(_, der)| CertificateDer::from(der))
        .collect())
}

fn no_entries(kind: &str) -> SslError {
    SslError::new(format!(
        "Invalid PEM keystore configs: No matching {kind} entries in PEM file"
    ))
}

/// The labels and contents of all blocks whose label ends in `kind`.
fn blocks(text: &str, kind: &str) -> Vec<(String, Vec<u8>)> {
    const BEGIN: &str = "-----BEGIN ";
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        rest = &rest[at + BEGIN.len()..];
        let Some((label, behind)) = rest.split_once("-----") else {
            break;
        };
        let Some((content, _)) = behind.split_once("-----END ") else {
            break;
        };
        // Without a separator Kafka does not see the block.
        if label.ends_with(kind) && content.starts_with(char::is_whitespace) {
            let base64: String = content.split_whitespace().collect();
            if let Ok(der) = STANDARD.decode(base64) {
                found.push((label.to_owned(), der));
            }
        }
    }
    found
}

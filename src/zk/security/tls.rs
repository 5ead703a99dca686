//! Makes the TLS options of crate zookeeper-client from Kafka's settings. ZooKeeper: `ClientX509Util`,
//! `KeyStoreFileType`.
//!
//! The crate takes PEM texts only, so whatever a store holds becomes PEM here. It offers TLS 1.2 and 1.3 with the
//! cipher suites of rustls; neither can be changed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use zookeeper_client::TlsOptions;

use crate::config::security::{ClientAuth, Password, SslConfig};
use crate::config::zookeeper::{StoreConfig, ZooKeeperTlsConfig};
use crate::security::stores::{KeyStore, TrustStore};

const PEM: &str = "PEM";

/// The options for encrypted connections, or a text that names the store and what is wrong with it.
pub fn options(config: &ZooKeeperTlsConfig) -> Result<TlsOptions, String> {
    // The crate asks for the process' provider. With two of them in the build, rustls would not choose one. If one was
    // installed before, it stays.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let stores = stores(config)?;
    let refuse = |error: &dyn std::fmt::Display| format!("TLS to ZooKeeper: {error}");
    let trusted = match TrustStore::load(&stores).map_err(|error| refuse(&error))? {
        Some(store) => store.certificates,
        // As in Java, the authorities of the system.
        None => rustls_native_certs::load_native_certs().certs,
    };
    let authorities: String = trusted.iter().map(|der| pem("CERTIFICATE", der)).collect();
    let mut options = TlsOptions::new()
        .with_pem_ca(&authorities)
        .map_err(|error| refuse(&error))?;
    if let Some(store) = KeyStore::load(&stores).map_err(|error| refuse(&error))? {
        let chain: String = store.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
        let label = match &store.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        options = options
            .with_pem_identity(&chain, &pem(label, store.key.secret_der()))
            .map_err(|error| refuse(&error))?;
    }
    if !config.hostname_verification {
        // SAFETY: nothing about memory; the crate marks what weakens the check of the server. The setting asks for it.
        options = unsafe { options.with_no_hostname_verification() };
    }
    Ok(options)
}

/// The stores as the settings of a listener.
fn stores(config: &ZooKeeperTlsConfig) -> Result<SslConfig, String> {
    let (key, trust) = (&config.keystore, &config.truststore);
    let (keystore_type, truststore_type) = (store_type(key)?, store_type(trust)?);
    // The password of a PEM file is that of its key; without one, a password is empty.
    let has_pem_key = keystore_type == PEM;
    let key_store_password = || Some(key.password.clone().unwrap_or_else(|| Password::new("")));
    Ok(SslConfig {
        protocol: String::new(),
        enabled_protocols: Vec::new(),
        cipher_suites: Vec::new(),
        keystore_location: key.location.clone(),
        keystore_password: if has_pem_key { None } else { key_store_password() },
        keystore_certificate_chain: None,
        keystore_key: None,
        key_password: key
            .password
            .clone()
            .filter(|password| has_pem_key && !password.expose().is_empty()),
        truststore_location: trust.location.clone(),
        truststore_password: if truststore_type == PEM {
            None
        } else {
            trust.password.clone()
        },
        truststore_certificates: None,
        keystore_type,
        truststore_type,
        client_auth: ClientAuth::None,
        endpoint_identification_algorithm: String::new(),
        principal_mapping_rules: String::new(),
        allow_dn_changes: false,
        allow_san_changes: false,
    })
}

/// The type of a store; the ending of the file's name tells it if the settings do not.
fn store_type(store: &StoreConfig) -> Result<String, String> {
    if let Some(store_type) = store.store_type.as_deref().filter(|name| !name.is_empty()) {
        return Ok(store_type.to_owned());
    }
    let Some(location) = &store.location else {
        return Ok(PEM.to_owned());
    };
    let endings = [(".jks", "JKS"), (".p12", "PKCS12"), (".pem", PEM)];
    let ending = endings.iter().find(|(ending, _)| location.ends_with(ending));
    let of_ending = ending.map(|(_, store_type)| (*store_type).to_owned());
    of_ending.ok_or_else(|| {
        format!("TLS to ZooKeeper: Unable to auto-detect file type from file name: {location}")
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + "-----END " + label + "-----\n"
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn store(location: &str) -> StoreConfig {
        StoreConfig {
            location: Some(location.to_owned()),
            ..StoreConfig::default()
        }
    }

    fn config(keystore: StoreConfig, truststore: StoreConfig) -> ZooKeeperTlsConfig {
        ZooKeeperTlsConfig {
            client_enable: true,
            client_cnxn_socket: None,
            keystore,
            truststore,
            hostname_verification: true,
        }
    }

    #[test]
    fn the_ending_of_a_file_tells_the_type_of_its_store() {
        for (location, expected) in [
            ("a.jks", Some("JKS")),
            ("a.p12", Some("PKCS12")),
            ("a.pem", Some("PEM")),
            ("a", None),
        ] {
            assert_eq!(
                store_type(&store(location)).ok().as_deref(),
                expected,
                "{location}"
            );
        }
        let named = StoreConfig {
            store_type: Some("PKCS12".to_owned()),
            ..store("a.jks")
        };
        assert_eq!(store_type(&named).unwrap(), "PKCS12");
    }

    #[test]
    fn pem_stores_become_options_and_broken_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem() + &certificate.pem()).unwrap();
        std::fs::write(path("trust.pem"), certificate.pem()).unwrap();
        std::fs::write(path("bad.jks"), b"nothing").unwrap();
        let of = |key: &str, trust: &str| options(&config(store(&path(key)), store(&path(trust)))).map(drop);
        assert_eq!(of("key.pem", "trust.pem"), Ok(()));
        for (key, trust, named) in [
            ("missing.p12", "trust.pem", "missing.p12"),
            ("bad.jks", "trust.pem", "bad.jks"),
            ("key.pem", "missing.pem", "missing.pem"),
        ] {
            let error = of(key, trust).unwrap_err();
            assert!(
                error.starts_with("TLS to ZooKeeper: ") && error.contains(named),
                "{error}"
            );
        }
    }
}

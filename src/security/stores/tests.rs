//! Reads stores that keytool of JDK 17 and openssl 3 have made (`testdata`), right and wrong.

use super::*;
use crate::config::security::ClientAuth;

fn file(name: &str) -> Option<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/security/stores/testdata");
    Some(format!("{folder}/{name}"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name).unwrap()).unwrap()
}

fn password(secret: &str) -> Option<Password> {
    Some(Password::new(secret))
}

/// Settings without any store.
pub(crate) fn no_stores() -> SslConfig {
    SslConfig {
        protocol: "TLSv1.3".into(),
        enabled_protocols: vec!["TLSv1.2".into(), "TLSv1.3".into()],
        cipher_suites: vec![],
        keystore_type: "JKS".into(),
        keystore_location: None,
        keystore_password: None,
        keystore_certificate_chain: None,
        keystore_key: None,
        key_password: None,
        truststore_type: "JKS".into(),
        truststore_location: None,
        truststore_password: None,
        truststore_certificates: None,
        client_auth: ClientAuth::None,
        endpoint_identification_algorithm: "https".into(),
        principal_mapping_rules: "DEFAULT".into(),
        allow_dn_changes: false,
        allow_san_changes: false,
    }
}

fn key_file(kind: &str, name: &str, secret: Option<&str>, key_secret: Option<&str>) -> SslConfig {
    SslConfig {
        keystore_type: kind.into(),
        keystore_location: file(name),
        keystore_password: secret.and_then(password),
        key_password: key_secret.and_then(password),
        ..no_stores()
    }
}

fn pem_key(key: String, chain: &str, key_secret: Option<&str>) -> SslConfig {
    SslConfig {
        keystore_type: "PEM".into(),
        keystore_certificate_chain: password(chain),
        keystore_key: password(&key),
        key_password: key_secret.and_then(password),
        ..no_stores()
    }
}

fn trust_file(kind: &str, name: &str, secret: Option<&str>) -> SslConfig {
    SslConfig {
        truststore_type: kind.into(),
        truststore_location: file(name),
        truststore_password: secret.and_then(password),
        ..no_stores()
    }
}

/// The one key that all stores have.
fn the_key() -> Vec<u8> {
    let config = pem_key(text("plain.pk8"), &text("broker.pem"), None);
    KeyStore::load(&config)
        .unwrap()
        .unwrap()
        .key
        .secret_der()
        .to_vec()
}

#[test]
fn every_store_has_the_key_and_its_chain() {
    let expected = the_key();
    for (kind, name, key_secret) in [
        ("JKS", "key.jks", None),
        ("PKCS12", "key.jks", None),
        ("JKS", "otherkey.jks", Some("keypass")),
        ("PKCS12", "openssl.p12", None),
        ("JKS", "openssl.p12", None),
        ("PKCS12", "legacy.p12", None),
        ("PKCS12", "keytool.p12", Some("changeit")),
    ] {
        let config = key_file(kind, name, Some("changeit"), key_secret);
        let store = KeyStore::load(&config).unwrap().unwrap();
        assert_eq!(store.key.secret_der(), expected, "{name}");
        assert_eq!(store.chain.len(), 2, "{name}");
        assert_eq!(store.alias, "broker", "{name}");
        assert!(!format!("{store:?}").contains("secret"));
    }
}

#[test]
fn pem_keys_are_read_in_every_encryption() {
    let (expected, chain) = (the_key(), text("broker.pem"));
    for (name, key_secret) in [
        ("plain.pk8", None),
        ("pbes2.pk8", Some("keypass")),
        ("3des.pk8", Some("keypass")),
        ("des.pk8", Some("keypass")),
    ] {
        let store = KeyStore::load(&pem_key(text(name), &chain, key_secret))
            .unwrap()
            .unwrap();
        assert_eq!(store.key.secret_der(), expected, "{name}");
    }
    let one_line = text("plain.pk8").replace('\n', " ");
    assert!(KeyStore::load(&pem_key(one_line, &chain, None)).is_ok());
    let both = SslConfig {
        truststore_type: "PEM".into(),
        truststore_certificates: password(&(text("ca.pem") + &chain)),
        ..no_stores()
    };
    assert_eq!(TrustStore::load(&both).unwrap().unwrap().certificates.len(), 2);
}

#[test]
fn trust_stores_are_read_with_and_without_a_password() {
    for (kind, name, secret) in [
        ("JKS", "trust.jks", None),
        ("JKS", "trust.jks", Some("changeit")),
        ("PKCS12", "trust.p12", Some("changeit")),
        ("JKS", "trust.p12", Some("changeit")),
        ("PEM", "ca.pem", None),
    ] {
        let store = TrustStore::load(&trust_file(kind, name, secret))
            .unwrap()
            .unwrap();
        assert_eq!(store.certificates.len(), 1, "{name}");
    }
    assert!(TrustStore::load(&no_stores()).unwrap().is_none());
    assert!(KeyStore::load(&no_stores()).unwrap().is_none());
}

#[test]
fn stores_that_cannot_be_read_are_refused_in_kafkas_words() {
    let chain = text("broker.pem");
    let failed = |name: &str, kind: &str| {
        format!(
            "Failed to load SSL keystore {} of type {kind}",
            file(name).unwrap()
        )
    };
    let keys = [
        (
            key_file("JKS", "key.jks", None, None),
            "SSL key store is specified, but key store password is not specified.".to_owned(),
        ),
        (
            key_file("JKS", "key.jks", Some("wrong"), None),
            failed("key.jks", "JKS"),
        ),
        (
            key_file("PKCS12", "openssl.p12", Some("wrong"), None),
            failed("openssl.p12", "PKCS12"),
        ),
        (
            key_file("JKS", "none.jks", Some("changeit"), None),
            failed("none.jks", "JKS"),
        ),
        (
            key_file("FOO", "key.jks", Some("changeit"), None),
            failed("key.jks", "FOO"),
        ),
        (
            key_file("JKS", "otherkey.jks", Some("changeit"), None),
            "java.security.UnrecoverableKeyException: Cannot recover key".to_owned(),
        ),
        (
            key_file("PKCS12", "openssl.p12", Some("changeit"), Some("wrong")),
            "Get Key failed: Given final block not properly padded".to_owned(),
        ),
        (
            key_file("PEM", "broker.pem", Some("changeit"), None),
            "SSL key store password cannot be specified with PEM format, only key password may be specified."
                .to_owned(),
        ),
        (
            SslConfig {
                keystore_type: "JKS".into(),
                ..pem_key(text("plain.pk8"), &chain, None)
            },
            "SSL private key can be specified only for PEM, but key store type is JKS.".to_owned(),
        ),
        (
            SslConfig {
                keystore_certificate_chain: None,
                ..pem_key(text("plain.pk8"), &chain, None)
            },
            "SSL private key is specified, but certificate chain is not specified.".to_owned(),
        ),
        (
            SslConfig {
                keystore_key: None,
                ..pem_key(text("plain.pk8"), &chain, None)
            },
            "SSL certificate chain is specified, but private key is not specified.".to_owned(),
        ),
        (
            SslConfig {
                keystore_location: file("broker.pem"),
                ..pem_key(text("plain.pk8"), &chain, None)
            },
            "Both SSL key store location and separate private key are specified.".to_owned(),
        ),
        (
            pem_key(text("broker.key").replace("PRIVATE", "EC PRIVATE"), &chain, None),
            "Invalid PEM keystore configs: Private key could not be loaded".to_owned(),
        ),
        (
            pem_key(text("pbes2.pk8"), &chain, None),
            "ssl.key.password".to_owned(),
        ),
        (
            pem_key(text("pbes2.pk8"), &chain, Some("wrong")),
            "Private key could not be loaded".to_owned(),
        ),
        (
            pem_key(text("plain.pk8"), &chain, Some("keypass")),
            "Private key could not be loaded".to_owned(),
        ),
        (
            pem_key(text("plain.pk8").replace('\n', ""), &chain, None),
            "No matching PRIVATE KEY entries in PEM file".to_owned(),
        ),
        (
            pem_key(text("plain.pk8"), "garbage", None),
            "No matching CERTIFICATE entries in PEM file".to_owned(),
        ),
    ];
    for (config, expected) in keys {
        let error = KeyStore::load(&config).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}, not {expected}");
        assert!(
            !error.contains("keypass") && !error.contains("changeit"),
            "{error}"
        );
    }
    for (config, expected) in [
        (trust_file("JKS", "none.jks", None), failed("none.jks", "JKS")),
        (
            trust_file("JKS", "trust.jks", Some("wrong")),
            failed("trust.jks", "JKS"),
        ),
        (
            trust_file("PEM", "ca.pem", Some("changeit")),
            "SSL trust store password cannot be specified for PEM format.".to_owned(),
        ),
    ] {
        let error = TrustStore::load(&config).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}, not {expected}");
    }
}

#[test]
fn damaged_stores_do_no_harm() {
    let secret = Password::new("changeit");
    for name in ["key.jks", "trust.jks", "legacy.p12", "trust.p12"] {
        let bytes = std::fs::read(file(name).unwrap()).unwrap();
        // Deriving a key takes long, so of a PKCS12 store fewer places are damaged.
        let step = if name.ends_with("jks") { 1 } else { 37 };
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let cut_off = &bytes[..at];
            for bytes in [damaged.as_slice(), cut_off] {
                if jks::is_jks(bytes) {
                    let _ = jks::read(bytes, None, Some(&secret));
                } else {
                    let _ = pkcs12::read(bytes, "changeit");
                }
            }
        }
    }
}

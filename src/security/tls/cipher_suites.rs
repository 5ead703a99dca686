//! Maps Java's names of protocols and cipher suites.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::security::SslConfig;
use crate::security::ssl_error::SslError;

/// Protocols that Java knows and has switched off for good.
const OLD_PROTOCOLS: [&str; 4] = ["SSLv2Hello", "SSLv3", "TLSv1", "TLSv1.1"];

/// The cryptography of these settings.
pub(super) fn provider(config: &SslConfig) -> Result<Arc<CryptoProvider>, SslError> {
    let mut provider = default_provider();
    if !config.cipher_suites.is_empty() {
        let mut chosen = Vec::new();
        for name in &config.cipher_suites {
            match provider
                .cipher_suites
                .iter()
                .find(|suite| java_name(suite) == *name)
            {
                Some(suite) => chosen.push(*suite),
                None if is_known(name) => {
                    tracing::warn!(
                        cipher_suite = name,
                        "this cipher suite is too weak to be supported"
                    );
                }
                None => return Err(SslError::new(format!("Unsupported CipherSuite: {name}"))),
            }
        }
        if chosen.is_empty() {
            return Err(SslError::new(format!(
                "No appropriate protocol (protocol is disabled or cipher suites are inappropriate): none of {} is supported",
                config.cipher_suites.join(", ")
            )));
        }
        provider.cipher_suites = chosen;
    }
    Ok(Arc::new(provider))
}

/// The protocols of these settings.
pub(super) fn protocols(config: &SslConfig) -> Result<Vec<&'static SupportedProtocolVersion>, SslError> {
    let mut versions = Vec::new();
    for name in &config.enabled_protocols {
        match name.as_str() {
            "TLSv1.2" => versions.push(&TLS12),
            "TLSv1.3" => versions.push(&TLS13),
            old if OLD_PROTOCOLS.contains(&old) => {
                tracing::warn!(protocol = old, "this protocol is too weak to be supported");
            }
            other => return Err(SslError::new(format!("Unsupported protocol{other}"))),
        }
    }
    if versions.is_empty() {
        return Err(SslError::new(format!(
            "No appropriate protocol (protocol is disabled or cipher suites are inappropriate): ssl.enabled.protocols is {}",
            config.enabled_protocols.join(",")
        )));
    }
    Ok(versions)
}

/// Java's name of a suite, which is that of the registry of IANA.
fn java_name(suite: &SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    name.replacen("TLS13_", "TLS_", 1)
}

/// Whether Java may know a name that is not supported here: suites without forward secrecy or with CBC.
fn is_known(name: &str) -> bool {
    let name = name.strip_prefix("TLS_").or_else(|| name.strip_prefix("SSL_"));
    let exchanges = [
        "RSA",
        "DHE_RSA",
        "DHE_DSS",
        "ECDHE_RSA",
        "ECDHE_ECDSA",
        "ECDH_RSA",
        "ECDH_ECDSA",
    ];
    let Some((exchange, cipher)) = name.and_then(|name| name.split_once("_WITH_")) else {
        return name == Some("EMPTY_RENEGOTIATION_INFO_SCSV");
    };
    let ciphers = [
        "AES_128_",
        "AES_256_",
        "CHACHA20_POLY1305_",
        "3DES_EDE_CBC_",
        "NULL_",
    ];
    exchanges.contains(&exchange) && ciphers.iter().any(|known| cipher.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_javas_names() {
        let names: Vec<String> = default_provider().cipher_suites.iter().map(java_name).collect();
        for name in ["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"] {
            assert!(names.iter().any(|known| known == name), "{name} of {names:?}");
        }
        for name in [
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in ["FOO", "TLS_FOO_WITH_AES_128_CBC_SHA", ""] {
            assert!(!is_known(name), "{name:?}");
        }
    }
}

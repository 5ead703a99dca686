//! Decides whether a key store may take the place of another while the broker runs: clients and brokers that know the
//! old certificate's names must find them in the new one. Kafka 3.9: `SslFactory.CertificateEntries`.

use std::collections::BTreeSet;

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::config::security::SslConfig;
use crate::security::distinguished_name::rfc2253;
use crate::security::ssl_error::SslError;
use crate::security::stores::KeyStore;

/// What the certificate of a key store says of its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    alias: String,
    distinguished_name: String,
    /// The subject alternative names in Java's form, such as `[2, localhost]`: the number of their type, then the name.
    names: Vec<String>,
}

impl Identity {
    /// Of the key's own certificate; `None` if it cannot be read.
    pub(super) fn of(store: &KeyStore) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(store.chain.first()?).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| extension.value.general_names.iter().map(java_name).collect());
        Some(Self {
            alias: store.alias.clone(),
            distinguished_name: rfc2253(certificate.subject()),
            names: names.unwrap_or_default(),
        })
    }

    /// Refuses a successor with another name, or without one of the alternative names, unless the settings allow it.
    pub(super) fn check(&self, new: &Self, config: &SslConfig) -> Result<(), SslError> {
        if self.distinguished_name != new.distinguished_name && !config.allow_dn_changes {
            let show = |of: &Self| format!("{{alias={}, DN={}}}", of.alias, of.distinguished_name);
            let (old, new) = (show(self), show(new));
            return Err(SslError::new(format!(
                "Keystore DistinguishedName does not match:  existing={old}, new={new}"
            )));
        }
        let kept: BTreeSet<&String> = new.names.iter().collect();
        if !self.names.iter().all(|name| kept.contains(name)) && !config.allow_san_changes {
            let show = |of: &Self| format!("{{alias={}, SAN=[{}]}}", of.alias, of.names.join(", "));
            let (old, new) = (show(self), show(new));
            return Err(SslError::new(format!(
                "Keystore SubjectAltNames do not match:  existing={old}, new={new}"
            )));
        }
        Ok(())
    }
}

/// Java's list of type and value.
fn java_name(name: &GeneralName<'_>) -> String {
    let hexadecimal = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    match name {
        GeneralName::RFC822Name(text) => format!("[1, {text}]"),
        GeneralName::DNSName(text) => format!("[2, {text}]"),
        GeneralName::DirectoryName(name) => format!("[4, {}]", rfc2253(name)),
        GeneralName::URI(text) => format!("[6, {text}]"),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => format!("[7, {}]", std::net::Ipv4Addr::from(v4)),
            (_, Ok(v6)) => format!("[7, {}]", std::net::Ipv6Addr::from(v6)),
            _ => format!("[7, {}]", hexadecimal(bytes)),
        },
        GeneralName::RegisteredID(id) => format!("[8, {}]", id.to_id_string()),
        other => format!("[0, {other:?}]"),
    }
}

/// Refuses settings whose key store must not take the place of the one of other settings.
pub fn check_replacement(before: &SslConfig, after: &SslConfig) -> Result<(), SslError> {
    // A store that cannot be read any more says nothing; the listener itself remembers what it has shown.
    let Ok(Some(old)) = KeyStore::load(before) else {
        return Ok(());
    };
    let Some(new) = KeyStore::load(after)? else {
        return Ok(());
    };
    match (Identity::of(&old), Identity::of(&new)) {
        (Some(old), Some(new)) => old.check(&new, after),
        _ => Ok(()),
    }
}

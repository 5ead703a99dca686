//! Decides whether a certificate is believed, as Java's PKIX trust manager does with a trust store. Kafka 3.9 leaves
//! this to `TrustManagerFactory`.
//!
//! WebPKI decides first. Java believes more than WebPKI, and clusters live on it: a certificate that lies in the trust
//! store itself, X.509 version 1, and a name in CN where there is no subject alternative name. Both sides use this
//! file.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Version};

use super::signature;
use crate::security::ssl_error::SslError;
use crate::security::stores::TrustStore;

/// The longest chain between a peer and the trust store.
const MAX_ISSUERS: usize = 8;

/// A trust store that judges peers.
pub(super) struct Trust {
    store: TrustStore,
    provider: Arc<CryptoProvider>,
    /// The certificates of the store that may sign others.
    authorities: RootCertStore,
    /// WebPKI with these authorities; `None` if there are none.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// The names of all certificates of the store, which a client chooses its certificate by.
    hints: Vec<DistinguishedName>,
    /// Whether a client must show a certificate.
    is_mandatory: bool,
    /// Whether the name of a server must be in its certificate.
    checks_names: bool,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust {{ certificates: {} }}", self.store.certificates.len())
    }
}

impl Trust {
    /// Judges by these certificates. Those that are no authorities are believed themselves, and sign nothing.
    pub(super) fn new(store: TrustStore, provider: &Arc<CryptoProvider>) -> Result<Self, SslError> {
        if store.certificates.is_empty() {
            // Java's own words.
            return Err(SslError::new("the trustAnchors parameter must be non-empty"));
        }
        let (mut authorities, mut hints) = (RootCertStore::empty(), Vec::new());
        for der in &store.certificates {
            let Ok((_, certificate)) = X509Certificate::from_der(der) else {
                continue;
            };
            hints.push(DistinguishedName::from(certificate.subject().as_raw().to_vec()));
            if may_sign(&certificate, true) {
                authorities.add_parsable_certificates([der.clone()]);
            }
        }
        let clients = match authorities.is_empty() {
            true => None,
            false => {
                let roots = Arc::new(authorities.clone());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
                Some(verifier.map_err(|error| SslError::new(error.to_string()))?)
            }
        };
        Ok(Self {
            store,
            provider: provider.clone(),
            authorities,
            clients,
            hints,
            is_mandatory: true,
            checks_names: true,
        })
    }

    /// Whether clients must show a certificate.
    pub(super) fn mandatory(self, is_mandatory: bool) -> Self {
        Self { is_mandatory, ..self }
    }

    /// Whether the name of a server must be in its certificate.
    pub(super) fn checking_names(self, checks_names: bool) -> Self {
        Self { checks_names, ..self }
    }

    /// Judges a peer. `by_webpki` is WebPKI's judgement of the chain, given the issuers that may sign.
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        purpose: Purpose,
        now: UnixTime,
        by_webpki: impl FnOnce(&[CertificateDer<'_>]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let bad = |_| Error::from(CertificateError::BadEncoding);
        let (_, certificate) = X509Certificate::from_der(own).map_err(bad)?;
        let is_same = |trusted: &CertificateDer<'_>| trusted.as_ref() == own.as_ref();
        if self.store.certificates.iter().any(is_same) {
            return Ok(());
        }
        check_purpose(&certificate, purpose)?;
        let signing = issuers.iter().take(MAX_ISSUERS).filter(|der| {
            let parsed = X509Certificate::from_der(der);
            parsed.is_ok_and(|(_, issuer)| may_sign(&issuer, false))
        });
        let signing: Vec<CertificateDer<'_>> = signing.cloned().collect();
        if by_webpki(&signing).is_ok() {
            return Ok(());
        }
        Ok(self.judge_as_java(&certificate, &signing, now)?)
    }

    /// The walk of Java from a certificate to the trust store, for chains that WebPKI does not read: each certificate
    /// is valid now and signed by the next. Only WebPKI knows constraints of names, so a chain with them is not for
    /// here.
    fn judge_as_java(
        &self,
        own: &X509Certificate<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let parse = |der| X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed);
        let issuers: Vec<_> = issuers.iter().filter_map(|der| parse(der)).collect();
        let trusted = self.store.certificates.iter().filter_map(|der| parse(der));
        let trusted: Vec<_> = trusted
            .filter(|certificate| may_sign(certificate, true))
            .collect();
        let mut current = own;
        // How many issuers lie between the peer and the next one.
        for between in 0..=MAX_ISSUERS {
            check_dates(current, now)?;
            check_extensions(current)?;
            let has_signed = |issuer: &&X509Certificate<'_>| {
                issuer.subject() == current.issuer()
                    && !has_name_constraints(issuer)
                    && current.verify_signature(Some(issuer.public_key())).is_ok()
            };
            if trusted.iter().any(|issuer| has_signed(&issuer)) {
                return Ok(());
            }
            let mut next = issuers
                .iter()
                .filter(|issuer| may_have_below(issuer, between))
                .filter(has_signed);
            current = next.next().ok_or(CertificateError::UnknownIssuer)?;
        }
        Err(CertificateError::UnknownIssuer)
    }
}

/// Whether a certificate may sign others: it is that of an authority, and its key is for this. Version 1 cannot say so;
/// such a certificate is an authority only if it lies in the trust store.
fn may_sign(certificate: &X509Certificate<'_>, is_trusted: bool) -> bool {
    if certificate.version() != X509Version::V3 {
        return is_trusted;
    }
    let is_authority =
        matches!(certificate.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca);
    let usage = certificate
        .key_usage()
        .map(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    is_authority && usage.unwrap_or(false)
}

/// Whether an authority may have so many others below it.
fn may_have_below(authority: &X509Certificate<'_>, count: usize) -> bool {
    let constraints = authority.basic_constraints().ok().flatten();
    let limit = constraints.and_then(|constraints| constraints.value.path_len_constraint);
    limit.is_none_or(|limit| count <= limit as usize)
}

fn has_name_constraints(certificate: &X509Certificate<'_>) -> bool {
    !matches!(certificate.name_constraints(), Ok(None))
}

/// What a certificate is used for.
#[derive(Clone, Copy)]
enum Purpose {
    Server,
    Client,
}

/// A certificate that names purposes is good for these alone, and its key must be good for signatures.
fn check_purpose(certificate: &X509Certificate<'_>, purpose: Purpose) -> Result<(), CertificateError> {
    let usage = certificate
        .key_usage()
        .map_err(|_| CertificateError::BadEncoding)?;
    if usage.is_some_and(|usage| !usage.value.digital_signature()) {
        return Err(CertificateError::InvalidPurpose);
    }
    let Some(named) = certificate.extended_key_usage().ok().flatten() else {
        return Ok(());
    };
    let allowed = match purpose {
        Purpose::Server => named.value.server_auth,
        Purpose::Client => named.value.client_auth,
    };
    match allowed || named.value.any {
        true => Ok(()),
        false => Err(CertificateError::InvalidPurpose),
    }
}

fn check_dates(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now > validity.not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

/// Java refuses a critical extension that it does not know.
fn check_extensions(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    const KNOWN: [&str; 6] = [
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.32",
        "2.5.29.36",
        "2.5.29.37",
    ];
    let mut critical = certificate
        .extensions()
        .iter()
        .filter(|extension| extension.critical);
    match critical.all(|extension| KNOWN.contains(&extension.oid.to_id_string().as_str())) {
        true => Ok(()),
        false => Err(CertificateError::UnhandledCriticalExtension),
    }
}

/// Whether a certificate is for a host: by its subject alternative names or, if it has none, by its CN.
fn is_for(certificate: &X509Certificate<'_>, host: &ServerName<'_>) -> bool {
    let host_text = host.to_str();
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    match host {
        ServerName::IpAddress(ip) => {
            let ip = std::net::IpAddr::from(*ip);
            names.iter().any(|name| match name {
                GeneralName::IPAddress(bytes) => match ip {
                    std::net::IpAddr::V4(v4) => *bytes == v4.octets(),
                    std::net::IpAddr::V6(v6) => *bytes == v6.octets(),
                },
                _ => false,
            })
        }
        _ => {
            let mut of_hosts = names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(*name),
                _ => None,
            });
            let has_names = of_hosts.clone().next().is_some();
            let common = || {
                certificate
                    .subject()
                    .iter_common_name()
                    .filter_map(|name| name.as_str().ok())
                    .last()
            };
            of_hosts.any(|name| matches(name, &host_text))
                || (!has_names && common().is_some_and(|name| matches(name, &host_text)))
        }
    }
}

/// RFC 6125: a `*` stands for one whole label, the first.
fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        self.judge(own, issuers, Purpose::Server, now, |signing| {
            let own = ParsedCertificate::try_from(own)?;
            verify_server_cert_signed_by_trust_anchor(&own, &self.authorities, signing, now, algorithms)
        })?;
        let (_, certificate) =
            X509Certificate::from_der(own).map_err(|_| Error::from(CertificateError::BadEncoding))?;
        if self.checks_names && !is_for(&certificate, host) {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        match signature::is_version_1(own) {
            true => signature::verify(message, own, signed, supported),
            false => rustls::crypto::verify_tls12_signature(message, own, signed, supported),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        match signature::is_version_1(own) {
            true => signature::verify(message, own, signed, supported),
            false => rustls::crypto::verify_tls13_signature(message, own, signed, supported),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Trust {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(own, issuers, Purpose::Client, now, |signing| {
            match &self.clients {
                Some(webpki) => webpki.verify_client_cert(own, signing, now).map(drop),
                None => Err(CertificateError::UnknownIssuer.into()),
            }
        })?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

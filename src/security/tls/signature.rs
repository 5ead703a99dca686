//! Verifies what a peer signs in a handshake with the key of a certificate of X.509 version 1. rustls itself reads
//! version 3 alone, but `openssl x509 -req` without extensions has made version 1 for many years, and Java takes it.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::{DigitallySignedStruct, Error, PeerMisbehaved};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

/// Whether a certificate needs this file.
pub(super) fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    let parsed = X509Certificate::from_der(certificate);
    parsed.is_ok_and(|(_, certificate)| certificate.version() != X509Version::V3)
}

/// Verifies a signature with a certificate's key.
pub(super) fn verify(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let unusable = || Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| unusable())?;
    let key = certificate.public_key();
    let schemes = supported.mapping.iter();
    let algorithms = schemes
        .filter(|(scheme, _)| *scheme == signed.scheme)
        .flat_map(|(_, algorithms)| algorithms.iter());
    let oid = key.algorithm.algorithm.as_bytes();
    for algorithm in algorithms {
        // The identifier is the DER of the object identifier and the parameters: tag, length, then the bytes.
        let id = algorithm.public_key_alg_id();
        let names_key = id.as_ref().get(2..2 + oid.len()) == Some(oid);
        if names_key
            && algorithm
                .verify_signature(&key.subject_public_key.data, message, signed.signature())
                .is_ok()
        {
            return Ok(HandshakeSignatureValid::assertion());
        }
    }
    Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
}

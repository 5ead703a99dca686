//! Owns requests to servers of tokens and keys: who is trusted, how long they may take, how much they may answer. The
//! calls block. Kafka 3.9: `HttpAccessTokenRetriever`, `JaasOptionsUtils`; jose4j's `Get`.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::security::jaas::LoginModule;
use crate::security::sasl::error::SaslSetupError;

/// The longest answer.
const BODY_BYTES_MAX: u64 = 1024 * 1024;
/// How long a connection may take, and then the answer, unless settings say otherwise.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    agent: Agent,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct HttpError {
    text: String,
    /// Whether another try may succeed.
    pub is_retriable: bool,
}

impl HttpError {
    /// An error with its text, which has no secret.
    pub fn new(text: String, is_retriable: bool) -> Self {
        Self { text, is_retriable }
    }
}

/// Answers after which another try is of no use.
const FINAL_CODES: [u16; 16] = [
    400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 413, 414, 415, 501, 505,
];

impl HttpClient {
    /// A client as the options of a JAAS text want it: they may name the authorities to trust.
    pub fn of_module(
        module: &LoginModule,
        connect: Option<Duration>,
        read: Option<Duration>,
    ) -> Result<Self, SaslSetupError> {
        let (connect, read) = (connect.unwrap_or(TIMEOUT), read.unwrap_or(TIMEOUT));
        Ok(Self::new(&authorities(module)?, connect, read))
    }

    /// A client that trusts the given authorities, or those of the system if there are none.
    fn new(authorities: &[CertificateDer<'_>], connect: Duration, read: Duration) -> Self {
        let of_system;
        let authorities = match authorities {
            [] => {
                of_system = rustls_native_certs::load_native_certs().certs;
                &of_system
            }
            given => given,
        };
        let authorities = authorities
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(RootCerts::from(authorities))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .timeout_connect(Some(connect))
            .timeout_global(Some(connect + read))
            .build();
        Self {
            agent: config.new_agent(),
        }
    }

    /// The answer to a GET.
    pub fn get(&self, url: &str) -> Result<String, HttpError> {
        answer(self.agent.get(url).header("Accept", "application/json").call())
    }

    /// The answer to a POST of a form.
    pub fn post_form(&self, url: &str, authorization: &str, form: &str) -> Result<String, HttpError> {
        let request = self
            .agent
            .post(url)
            .header("Accept", "application/json")
            .header("Authorization", authorization)
            .header("Cache-Control", "no-cache")
            .header("Content-Type", "application/x-www-form-urlencoded");
        answer(request.send(form))
    }
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String, HttpError> {
    let mut response = result.map_err(|reason| HttpError::new(reason.to_string(), true))?;
    let status = response.status();
    if status != StatusCode::OK && status != StatusCode::CREATED {
        // The body is not told: it may repeat what was sent.
        return Err(HttpError::new(
            format!("The unexpected response code {} was encountered", status.as_u16()),
            !FINAL_CODES.contains(&status.as_u16()),
        ));
    }
    let body = response.body_mut().with_config().limit(BODY_BYTES_MAX);
    body.read_to_string()
        .map_err(|reason| HttpError::new(reason.to_string(), true))
}

/// The authorities that the options `ssl.truststore.…` name; none if there are no such options.
fn authorities(module: &LoginModule) -> Result<Vec<CertificateDer<'static>>, SaslSetupError> {
    let pem = match (
        module.option("ssl.truststore.certificates"),
        module.option("ssl.truststore.location"),
    ) {
        (Some(certificates), _) => certificates.as_bytes().to_vec(),
        (None, None) => return Ok(Vec::new()),
        (None, Some(path)) => {
            let kind = module.option("ssl.truststore.type").unwrap_or("JKS");
            if !kind.eq_ignore_ascii_case("PEM") {
                return Err(SaslSetupError::new(format!(
                    "ssl.truststore.type={kind} in a JAAS text is not supported: only PEM is"
                )));
            }
            std::fs::read(path).map_err(|error| {
                SaslSetupError::new(format!("Failed to load PEM SSL keystore {path}: {error}"))
            })?
        }
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(SaslSetupError::new(
            "ssl.truststore has no certificates in PEM format",
        )),
    }
}

#[cfg(test)]
pub mod tests;

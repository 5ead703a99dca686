//! Owns requests to servers of tokens and keys: who is trusted, how long they may take, how much they may answer. The
//! calls block. Kafka 3.9: `HttpAccessTokenRetriever`, `JaasOptionsUtils`; jose4j's `Get`.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// The longest answer.
const BODY_BYTES_MAX: u64 = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(40);

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

/// Answers after which another try is of no use.
const FINAL_CODES: [u16; 16] = [
    400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 413, 414, 415, 501, 505,
];

impl HttpClient {
    /// A client that trusts the given authorities, or those of the system if there are none.
    pub fn new(authorities: &[CertificateDer<'_>]) -> Self {
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
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
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
    let error = |text: String, is_retriable| HttpError { text, is_retriable };
    let mut response = result.map_err(|reason| error(reason.to_string(), true))?;
    let status = response.status();
    if status != StatusCode::OK && status != StatusCode::CREATED {
        // The body is not told: it may repeat what was sent.
        return Err(error(
            format!("The unexpected response code {} was encountered", status.as_u16()),
            !FINAL_CODES.contains(&status.as_u16()),
        ));
    }
    let body = response.body_mut().with_config().limit(BODY_BYTES_MAX);
    body.read_to_string()
        .map_err(|reason| error(reason.to_string(), true))
}

#[cfg(test)]
pub mod tests;

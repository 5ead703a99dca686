//! Owns the token that a broker brings to others and gets from a server, with its own id and secret (RFC 6749, 4.4), or
//! reads from a file. Kafka 3.9: `OAuthBearerLoginCallbackHandler`, `HttpAccessTokenRetriever`, `FileTokenRetriever`,
//! `LoginAccessTokenValidator`, `ExpiringCredentialRefreshingLogin`.
//!
//! A new token is got when one is needed and four fifths of the old one's life are over. If that fails, the old one is
//! used to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tracing::warn;

use super::http::{HttpClient, HttpError};
use super::initial_response::{is_extension_name, is_value};
use super::key_source::file_path;
use super::retry::Retry;
use super::token::read_part;
use super::url::check_url;
use crate::common::blocking;
use crate::config::SystemProperties;
use crate::config::security::{OauthBearerConfig, Password};
use crate::security::jaas::LoginModule;
use crate::security::sasl::error::SaslSetupError;

const ENDPOINT_KEY: &str = "sasl.oauthbearer.token.endpoint.url";
const EXTENSION_PREFIX: &str = "extension_";

/// Gets tokens and keeps the last one.
pub struct TokenLogin {
    source: Source,
    sub_claim: String,
    extensions: BTreeMap<String, String>,
    current: tokio::sync::Mutex<Lived>,
}

enum Source {
    File(Password),
    Server(Request),
}

/// What is asked of a server. Cheap enough to clone for each try.
#[derive(Clone)]
struct Request {
    http: HttpClient,
    url: String,
    authorization: Password,
    form: String,
    retry: Retry,
}

/// A token and its life, in milliseconds since 1970.
#[derive(Clone)]
struct Lived {
    token: Password,
    expires_at_ms: i64,
    /// When a new one is to be got.
    due_ms: Option<i64>,
}

impl fmt::Debug for TokenLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenLogin")
    }
}

impl TokenLogin {
    /// Reads the settings and gets the first token.
    pub async fn new(
        config: &OauthBearerConfig,
        module: &LoginModule,
        properties: &SystemProperties,
    ) -> Result<Self, SaslSetupError> {
        let url = check_url(ENDPOINT_KEY, config.token_endpoint_url.as_deref(), properties)?;
        let source = match file_path(url) {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    SaslSetupError::new(format!(
                        "The OAuth configuration option {ENDPOINT_KEY} contains a file ({path}) that cannot be read: {error}"
                    ))
                })?;
                Source::File(Password::new(text.trim()))
            }
            None => Source::Server(Request::new(config, module, url)?),
        };
        let sub_claim = config.sub_claim_name.clone();
        let first = match source.get().await {
            Ok(token) => Lived::of(token, &sub_claim),
            Err(error) => Err(error.to_string()),
        };
        let first = first.map_err(|error| {
            SaslSetupError::new(format!(
                "An internal error occurred while retrieving token from callback handler: {error}"
            ))
        })?;
        Ok(Self {
            source,
            sub_claim,
            extensions: extensions(module)?,
            current: tokio::sync::Mutex::new(first),
        })
    }

    /// The extensions to send with a token.
    pub fn extensions(&self) -> &BTreeMap<String, String> {
        &self.extensions
    }

    /// A token that is valid for a while.
    pub async fn token(&self, now_ms: i64) -> Result<Password, String> {
        let mut current = self.current.lock().await;
        let lifetime_ms = current.expires_at_ms - now_ms;
        let due_ms = *current.due_ms.get_or_insert(now_ms + lifetime_ms / 5 * 4);
        if now_ms >= due_ms {
            let renewed = match self.source.get().await {
                Ok(token) => Lived::of(token, &self.sub_claim),
                Err(error) => Err(error.to_string()),
            };
            match renewed {
                Ok(renewed) => *current = renewed,
                Err(error) if now_ms < current.expires_at_ms => {
                    warn!("the token for connections to other brokers cannot be renewed: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(current.token.clone())
    }
}

impl Lived {
    /// Reads what a token says of itself. The server has made it, so its signature is not checked.
    fn of(token: Password, sub_claim: &str) -> Result<Self, String> {
        let parts: Vec<&str> = token.expose().split('.').collect();
        let &[_, claims, _] = parts.as_slice() else {
            let count = parts.len();
            return Err(format!(
                "Malformed JWT provided; expected three sections, but {count} sections provided"
            ));
        };
        let claims = read_part(claims).map_err(|refusal| refusal.reason)?;
        let seconds = |claim: &str| {
            let seconds = claims.get(claim).and_then(Value::as_f64);
            seconds.map(|seconds| (seconds as i64).saturating_mul(1000))
        };
        let expires_at_ms = seconds("exp").ok_or("exp value must be non-null")?;
        let subject = claims.get(sub_claim).and_then(Value::as_str).unwrap_or_default();
        if subject.trim().is_empty() {
            return Err(format!("{sub_claim} value must be non-empty"));
        }
        let due_ms = seconds("iat").map(|issued_at_ms| issued_at_ms + (expires_at_ms - issued_at_ms) / 5 * 4);
        Ok(Self {
            token,
            expires_at_ms,
            due_ms,
        })
    }
}

impl Source {
    async fn get(&self) -> Result<Password, HttpError> {
        match self {
            Self::File(token) => Ok(token.clone()),
            Self::Server(request) => request.retry.run(|| request.send()).await,
        }
    }
}

impl Request {
    fn new(config: &OauthBearerConfig, module: &LoginModule, url: &str) -> Result<Self, SaslSetupError> {
        let given = |key: &str| module.option(key).map(str::trim);
        let required = |key: &str| match given(key) {
            None => Err(SaslSetupError::new(format!(
                "The OAuth configuration option {key} value must be non-null"
            ))),
            Some("") => Err(SaslSetupError::new(format!(
                "The OAuth configuration option {key} value must not contain only whitespace"
            ))),
            Some(value) => Ok(value),
        };
        let (mut id, mut secret) = (
            required("clientId")?.to_owned(),
            required("clientSecret")?.to_owned(),
        );
        if config.header_urlencode {
            (id, secret) = (form_encoded(&id), form_encoded(&secret));
        }
        let authorization = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = given("scope").filter(|scope| !scope.is_empty()) {
            form.push_str(&format!("&scope={}", form_encoded(scope)));
        }
        let timeout = |ms: Option<i32>| {
            ms.and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis)
        };
        let connect = timeout(config.login_connect_timeout_ms);
        let read = timeout(config.login_read_timeout_ms);
        Ok(Self {
            http: HttpClient::of_module(module, connect, read)?,
            url: url.to_owned(),
            authorization: Password::new(authorization),
            form,
            retry: Retry::new(config.login_retry_backoff_ms, config.login_retry_backoff_max_ms),
        })
    }

    async fn send(&self) -> Result<Password, HttpError> {
        let own = self.clone();
        let sent = blocking::spawn(move || {
            own.http
                .post_form(&own.url, own.authorization.expose(), &own.form)
        });
        let answer = sent
            .await
            .map_err(|error| HttpError::new(error.to_string(), false))??;
        let answer: Option<Value> = serde_json::from_str(&answer).ok();
        let token = answer
            .as_ref()
            .and_then(|answer| answer.get("access_token")?.as_str());
        match token.map(str::trim).filter(|token| !token.is_empty()) {
            Some(token) => Ok(Password::new(token)),
            None => Err(HttpError::new(
                "The token endpoint response did not contain an access_token value".to_owned(),
                false,
            )),
        }
    }
}

fn extensions(module: &LoginModule) -> Result<BTreeMap<String, String>, SaslSetupError> {
    let given = module.options.iter();
    let given = given.filter_map(|(key, value)| Some((key.strip_prefix(EXTENSION_PREFIX)?, value.expose())));
    let checked = given.map(|(name, value)| match is_extension_name(name) && is_value(value) {
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err(SaslSetupError::new(format!("Extension name {name} is invalid"))),
    });
    checked.collect()
}

/// As forms are encoded: letters, digits and `.-*_` stay, a blank becomes a plus.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            _ if byte.is_ascii_alphanumeric() || b".-*_".contains(&byte) => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;

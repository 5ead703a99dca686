//! Owns the current set of public keys: one read from a file at the start, or one fetched from an address again and
//! again. Kafka 3.9: `RefreshingHttpsJwks`, `VerificationKeyResolverFactory`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::http::{HttpClient, HttpError};
use super::jwks::KeySet;
use super::retry::Retry;
use crate::common::blocking;
use crate::config::security::OauthBearerConfig;
use crate::security::sasl::error::SaslSetupError;

/// A token with an unknown key makes the keys be fetched again, but not twice in this time for the same key,
const MISSING_KEY_MS: i64 = 60_000;
/// nor twice in this time for any key: clients without valid tokens must not keep the broker and the server busy.
const EXPEDITE_MS: i64 = 5_000;
/// So many unknown keys are remembered.
const MISSING_KEYS_MAX: usize = 16;
/// A longer id of a key is not looked for.
const KEY_ID_LENGTH_MAX: usize = 1000;

/// The keys that tokens are checked with.
#[derive(Debug)]
pub enum KeySource {
    /// Read once.
    File(Arc<KeySet>),
    /// Fetched again and again until this is dropped.
    Address(RefreshingKeys),
}

impl KeySource {
    /// Reads or fetches the keys for the first time. An address needs a runtime.
    pub async fn open(
        config: &OauthBearerConfig,
        url: &str,
        http: HttpClient,
    ) -> Result<Self, SaslSetupError> {
        let failed = |reason: String| {
            SaslSetupError::new(format!(
                "The OAuth validator configuration encountered an error when initializing the \
                 VerificationKeyResolver: {reason}"
            ))
        };
        if let Some(path) = file_path(url) {
            check_file(url, Path::new(path))?;
            let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            let keys = KeySet::parse(&text).map_err(|error| failed(error.to_string()))?;
            return Ok(Self::File(Arc::new(keys)));
        }
        if config.jwks_endpoint_refresh_ms <= 0 {
            return Err(SaslSetupError::new(
                "JWKS validation key refresh configuration value retryWaitMs value must be positive",
            ));
        }
        let keys = RefreshingKeys::start(config, url, http).await;
        keys.map(Self::Address).map_err(failed)
    }

    /// The keys as they were read or fetched last.
    pub fn current(&self) -> Arc<KeySet> {
        match self {
            Self::File(keys) => keys.clone(),
            Self::Address(keys) => keys.shared.keys.load_full(),
        }
    }

    /// Tells that a token's key is unknown: the keys may have changed. They are fetched for later tokens.
    pub fn expedite_refresh(&self, key_id: Option<&str>, now_ms: i64) {
        if let (Self::Address(keys), Some(key_id)) = (self, key_id)
            && keys.shared.missing.lock().is_due(key_id, now_ms)
        {
            keys.shared.wanted.notify_one();
        }
    }
}

/// The path of `file:/path` or `file:///path`.
pub fn file_path(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    scheme.eq_ignore_ascii_case("file").then_some(path)
}

fn check_file(url: &str, path: &Path) -> Result<(), SaslSetupError> {
    let option = "The OAuth configuration option sasl.oauthbearer.jwks.endpoint.url";
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(_) => Err(SaslSetupError::new(format!(
            "{option} contains a file ({shown}) that doesn't exist"
        ))),
        Ok(metadata) if metadata.is_dir() => Err(SaslSetupError::new(format!(
            "{option} references a directory ({url}), not a file"
        ))),
        Ok(_) => Ok(()),
    }
}

/// Keys that a task fetches.
pub struct RefreshingKeys {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl fmt::Debug for RefreshingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshingKeys")
            .field("url", &self.shared.url)
            .finish_non_exhaustive()
    }
}

struct Shared {
    url: String,
    http: HttpClient,
    keys: ArcSwap<KeySet>,
    missing: Mutex<MissingKeys>,
    wanted: Notify,
}

impl RefreshingKeys {
    async fn start(config: &OauthBearerConfig, url: &str, http: HttpClient) -> Result<Self, String> {
        let keys = fetch(&http, url).await.map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            http,
            keys: ArcSwap::from_pointee(keys),
            missing: Mutex::default(),
            wanted: Notify::new(),
        });
        let refresh = Duration::from_millis(config.jwks_endpoint_refresh_ms.max(0) as u64);
        let retry = Retry::new(
            config.jwks_endpoint_retry_backoff_ms,
            config.jwks_endpoint_retry_backoff_max_ms,
        );
        let task = tokio::spawn(refresh_forever(shared.clone(), refresh, retry));
        info!(
            "JWKS validation key refresh thread started with a refresh interval of {} ms",
            refresh.as_millis()
        );
        Ok(Self {
            shared,
            task: task.abort_handle(),
        })
    }
}

impl Drop for RefreshingKeys {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn refresh_forever(shared: Arc<Shared>, refresh: Duration, retry: Retry) {
    let mut due = Instant::now() + refresh;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due) => due += refresh,
            () = shared.wanted.notified() => {}
        }
        info!("OAuth JWKS refresh of {} starting", shared.url);
        match retry.run(|| fetch(&shared.http, &shared.url)).await {
            Ok(keys) => {
                shared.missing.lock().forget(&keys);
                shared.keys.store(Arc::new(keys));
                info!("OAuth JWKS refresh of {} complete", shared.url);
            }
            Err(error) => warn!(
                "OAuth JWKS refresh of {} encountered an error; not updating local JWKS cache: {error}",
                shared.url
            ),
        }
        due = due.max(Instant::now());
    }
}

async fn fetch(http: &HttpClient, url: &str) -> Result<KeySet, HttpError> {
    let (http, url) = (http.clone(), url.to_owned());
    let fetched = blocking::spawn(move || http.get(&url)).await;
    let text = fetched.map_err(|error| HttpError::new(error.to_string(), false))??;
    KeySet::parse(&text).map_err(|error| HttpError::new(error.to_string(), true))
}

/// The keys that tokens wanted and the set did not have, each with the time when it may be looked for again. The one
/// used last comes last.
#[derive(Debug, Default)]
struct MissingKeys {
    keys: Vec<(String, i64)>,
    /// When the set may be fetched for another key.
    due_ms: i64,
}

impl MissingKeys {
    /// Whether the set is to be fetched for a key now.
    fn is_due(&mut self, key_id: &str, now_ms: i64) -> bool {
        if key_id.len() > KEY_ID_LENGTH_MAX {
            warn!(
                "a token's key id of {} bytes is too long to look for",
                key_id.len()
            );
            return false;
        }
        let known = self.keys.iter().position(|(id, _)| id == key_id);
        let due_ms = known.map_or(0, |at| self.keys[at].1);
        if now_ms < due_ms.max(self.due_ms) {
            return false;
        }
        if let Some(at) = known {
            self.keys.remove(at);
        }
        self.keys.push((key_id.to_owned(), now_ms + MISSING_KEY_MS));
        if self.keys.len() > MISSING_KEYS_MAX {
            self.keys.remove(0);
        }
        self.due_ms = now_ms + EXPEDITE_MS;
        true
    }

    fn forget(&mut self, keys: &KeySet) {
        self.keys
            .retain(|(id, _)| !keys.key_ids().any(|known| known == id));
    }
}

#[cfg(test)]
mod tests;

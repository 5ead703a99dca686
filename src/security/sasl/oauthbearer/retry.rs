//! Owns the patience with servers of tokens and keys. Kafka 3.9: `Retry`.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::http::HttpError;

/// How long to try, and how long to wait between two tries: the waits double.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    backoff: Duration,
    end: Duration,
}

impl Retry {
    /// From the settings, in milliseconds. The longest wait is also the time after which there are no more tries.
    pub fn new(backoff_ms: i64, backoff_max_ms: i64) -> Self {
        let milliseconds = |ms: i64| Duration::from_millis(ms.max(0) as u64);
        Self {
            backoff: milliseconds(backoff_ms),
            end: milliseconds(backoff_max_ms),
        }
    }

    /// Tries until there is a result or an error that stays.
    pub async fn run<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, HttpError>
    where
        F: Future<Output = Result<T, HttpError>>,
    {
        let end = Instant::now() + self.end;
        let mut wait = self.backoff;
        loop {
            let error = match attempt().await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let now = Instant::now();
            if !error.is_retriable || now >= end || wait.is_zero() {
                return Err(error);
            }
            debug!("will try again: {error}");
            tokio::time::sleep(wait.min(end - now)).await;
            wait = wait.saturating_mul(2);
        }
    }
}

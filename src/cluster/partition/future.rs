//! Owns the copy of a partition's log that is to replace the log in another log dir. Kafka 3.9: the future replica of
//! `Partition`.

use std::sync::Arc;

use super::Partition;
use crate::log::UnifiedLog;

impl Partition {
    /// The copy, if there is one.
    pub fn future_log(&self) -> Option<Arc<UnifiedLog>> {
        self.inner.lock().future_log.clone()
    }

    /// Stores a copy; `false` if the partition has no log to copy, or already has a copy.
    pub fn set_future_log(&self, log: Arc<UnifiedLog>) -> bool {
        let mut inner = self.inner.lock();
        let welcome = inner.log.is_some() && inner.future_log.is_none();
        if welcome {
            inner.future_log = Some(log);
        }
        welcome
    }

    /// Removes and returns the copy.
    pub fn take_future_log(&self) -> Option<Arc<UnifiedLog>> {
        self.inner.lock().future_log.take()
    }

    /// The log and its copy.
    pub fn log_and_future_log(&self) -> Option<(Arc<UnifiedLog>, Arc<UnifiedLog>)> {
        let inner = self.inner.lock();
        inner.log.clone().zip(inner.future_log.clone())
    }

    /// Replaces the log by its copy if `finish`, which gets both, returns true. Meanwhile no record is appended or
    /// truncated.
    pub fn maybe_replace_with_future_log<E>(
        &self,
        finish: impl FnOnce(&UnifiedLog, &UnifiedLog) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let mut inner = self.inner.lock();
        let (Some(log), Some(future_log)) = (&inner.log, &inner.future_log) else {
            return Ok(false);
        };
        let finished = finish(log, future_log)?;
        if finished {
            inner.log = inner.future_log.take();
        }
        Ok(finished)
    }
}

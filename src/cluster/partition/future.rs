//! The copy of a partition's log that is to replace it in another log dir. Kafka 3.9: the future replica of
//! `Partition`.

use std::sync::Arc;

use super::Partition;
use crate::log::UnifiedLog;

impl Partition {
    /// The copy under way.
    pub fn future_log(&self) -> Option<Arc<UnifiedLog>> {
        self.inner.lock().future_log.clone()
    }

    /// Takes note of a copy; `false` if there is no log that it could be a copy of, or there is a copy already.
    pub fn set_future_log(&self, log: Arc<UnifiedLog>) -> bool {
        let mut inner = self.inner.lock();
        let welcome = inner.log.is_some() && inner.future_log.is_none();
        if welcome {
            inner.future_log = Some(log);
        }
        welcome
    }

    /// Forgets the copy.
    pub fn take_future_log(&self) -> Option<Arc<UnifiedLog>> {
        self.inner.lock().future_log.take()
    }

    /// The log and its copy.
    pub fn log_and_future_log(&self) -> Option<(Arc<UnifiedLog>, Arc<UnifiedLog>)> {
        let inner = self.inner.lock();
        inner.log.clone().zip(inner.future_log.clone())
    }

    /// Lets the copy take the log's place if `finish` says so, which is given both. No record is appended or truncated
    /// meanwhile.
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

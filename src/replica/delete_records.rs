//! Deletes the records before an offset, and waits until no live replica has them any more. Kafka 3.9:
//! `ReplicaManager.deleteRecords`, `DelayedDeleteRecords`.

use std::sync::Arc;
use std::time::Duration;

use super::manager::ReplicaManager;
use crate::common::blocking;
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicPartition};
use crate::common::topic_name;

/// The result for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteRecordsResult {
    /// No live replica has records before this offset; -1 after an error other than a timeout.
    pub low_watermark: Offset,
    /// [`ErrorCode::RequestTimedOut`] means: deleted here, but not known to be deleted on every live replica.
    pub error: ErrorCode,
}

impl From<ErrorCode> for DeleteRecordsResult {
    fn from(error: ErrorCode) -> Self {
        Self {
            low_watermark: -1,
            error,
        }
    }
}

/// A deletion that some followers have not repeated yet.
struct Awaited {
    /// The index of its result.
    index: usize,
    partition: TopicPartition,
    offset: Offset,
}

impl ReplicaManager {
    /// Moves the starts of these partitions' logs to these offsets (-1 means the high watermark), and waits until all
    /// live replicas have done the same. Results are in the order of `wanted`.
    pub async fn delete_records(
        self: &Arc<Self>,
        timeout: Duration,
        wanted: Vec<(TopicPartition, Offset)>,
    ) -> Vec<(TopicPartition, DeleteRecordsResult)> {
        let names: Vec<_> = wanted.iter().map(|(name, _)| name.clone()).collect();
        let manager = self.clone();
        // Deleting also cuts the leader-epoch cache, which is written to disk at once.
        let local = blocking::spawn(move || {
            let delete = |(name, offset): &(TopicPartition, Offset)| manager.delete_local(name, *offset);
            wanted.iter().map(delete).collect::<Vec<_>>()
        });
        let local = local.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "a request to delete records was abandoned");
            vec![Err(ErrorCode::UnknownServerError); names.len()]
        });
        let mut awaited = Vec::new();
        let mut results = Vec::with_capacity(names.len());
        for (index, (name, local)) in names.into_iter().zip(local).enumerate() {
            let result = match local {
                Ok((offset, low_watermark)) if low_watermark < offset => {
                    awaited.push(Awaited {
                        index,
                        partition: name.clone(),
                        offset,
                    });
                    DeleteRecordsResult {
                        low_watermark,
                        error: ErrorCode::RequestTimedOut,
                    }
                }
                Ok((_, low_watermark)) => DeleteRecordsResult {
                    low_watermark,
                    error: ErrorCode::None,
                },
                Err(error) => error.into(),
            };
            results.push((name, result));
        }
        if !awaited.is_empty() {
            self.await_low_watermarks(timeout, awaited, &mut results).await;
        }
        results
    }

    fn delete_local(&self, name: &TopicPartition, offset: Offset) -> Result<(Offset, Offset), ErrorCode> {
        if topic_name::is_internal(&name.topic) {
            return Err(ErrorCode::InvalidTopicException);
        }
        self.partition(name)?
            .delete_records(offset, &self.metadata.snapshot())
    }

    async fn await_low_watermarks(
        &self,
        timeout: Duration,
        mut awaited: Vec<Awaited>,
        results: &mut [(TopicPartition, DeleteRecordsResult)],
    ) {
        let keys: Vec<_> = awaited.iter().map(|a| a.partition.clone()).collect();
        let try_complete = || {
            let snapshot = self.metadata.snapshot();
            awaited.retain(|a| {
                let partition = self.partition(&a.partition);
                let result = match partition.and_then(|partition| partition.low_watermark(&snapshot)) {
                    Ok(low_watermark) if low_watermark < a.offset => return true,
                    Ok(low_watermark) => DeleteRecordsResult {
                        low_watermark,
                        error: ErrorCode::None,
                    },
                    Err(error) => error.into(),
                };
                results[a.index].1 = result;
                false
            });
            awaited.is_empty().then_some(())
        };
        // A deletion that is not complete when the time is up has timed out; its result already says so.
        let _ = self
            .delayed
            .delete_records
            .wait(keys, timeout, try_complete)
            .await;
    }
}

//! Owns a coordinator's topic in memory, for the tests of coordinators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::coordinator_log::{AppendOptions, CoordinatorLog, TransactionalProducer};
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset};
use crate::log::VerificationGuard;
use crate::record::RecordBatches;

/// A coordinator's topic in memory. It assigns offsets to batches. Tests can make replication wait or fail.
#[derive(Clone)]
pub struct MemoryLog(Arc<Mutex<MemoryPartitions>>, watch::Sender<bool>);

#[derive(Default)]
struct MemoryPartitions {
    logs: BTreeMap<i32, (Offset, BytesMut)>,
    fail_with: Option<ErrorCode>,
}

impl MemoryLog {
    pub fn new() -> Self {
        Self(Arc::default(), watch::channel(true).0)
    }

    /// Replaces the content of a partition by these bytes.
    pub fn fill(&self, partition: i32, bytes: &[u8]) {
        let batches = RecordBatches::new(bytes).map(Result::unwrap);
        let end = batches.last().map_or(0, |batch| batch.next_offset());
        self.0.lock().logs.insert(partition, (end, bytes.into()));
    }

    pub fn bytes(&self, partition: i32) -> Bytes {
        self.0
            .lock()
            .logs
            .get(&partition)
            .map(|(_, bytes)| bytes.clone().freeze())
            .unwrap_or_default()
    }

    /// Appends a batch immediately.
    pub fn put(&self, partition: i32, batch: Bytes) {
        let options = AppendOptions {
            required_acks: 0,
            timeout: Duration::ZERO,
            guard: None,
        };
        let appended = self.append(partition, batch, options).now_or_never();
        appended.expect("nobody is waited for").expect("it was appended");
    }

    /// Makes every later append fail with `error`. `None` ends the failures.
    pub fn fail_with(&self, error: Option<ErrorCode>) {
        self.0.lock().fail_with = error;
    }

    /// Sets whether followers replicate. While they do not, appends wait.
    pub fn set_replicating(&self, is_replicating: bool) {
        self.1.send_replace(is_replicating);
    }
}

impl CoordinatorLog for MemoryLog {
    fn append(
        &self,
        partition: i32,
        records: Bytes,
        options: AppendOptions,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>> {
        let mut partitions = self.0.lock();
        if let Some(error) = partitions.fail_with {
            return ready(Err(error)).boxed();
        }
        let (end, bytes) = partitions.logs.entry(partition).or_default();
        let base_offset = *end;
        for batch in RecordBatches::new(&records) {
            let batch = batch.unwrap();
            let mut placed = batch.bytes().to_vec();
            placed[..8].copy_from_slice(&end.to_be_bytes());
            const EPOCH: LeaderEpoch = 0;
            placed[12..16].copy_from_slice(&EPOCH.to_be_bytes());
            bytes.extend_from_slice(&placed);
            *end += i64::from(batch.last_offset_delta()) + 1;
        }
        let mut replicating = self.1.subscribe();
        async move {
            if options.required_acks == -1 {
                replicating
                    .wait_for(|is_replicating| *is_replicating)
                    .await
                    .unwrap();
            }
            Ok(base_offset)
        }
        .boxed()
    }

    fn verify_transaction(
        &self,
        _partition: i32,
        _producer: TransactionalProducer,
    ) -> BoxFuture<'static, Result<Option<VerificationGuard>, ErrorCode>> {
        ready(Ok(None)).boxed()
    }

    fn bounds(&self, partition: i32) -> Result<(Offset, Offset), ErrorCode> {
        let partitions = self.0.lock();
        partitions.fail_with.map_or(Ok(()), Err)?;
        Ok((0, partitions.logs.get(&partition).map_or(0, |(end, _)| *end)))
    }

    fn read(&self, partition: i32, offset: Offset, max_bytes: usize) -> Result<Bytes, ErrorCode> {
        let bytes = self.bytes(partition);
        let mut from = None;
        let mut end = 0;
        for batch in RecordBatches::new(&bytes).map(Result::unwrap) {
            let start = end;
            end += batch.size_in_bytes();
            if batch.last_offset() < offset {
                continue;
            }
            match from {
                Some(from) if end - from > max_bytes => return Ok(bytes.slice(from..start)),
                Some(_) => {}
                None => from = Some(start),
            }
        }
        Ok(from.map_or(Bytes::new(), |from| bytes.slice(from..)))
    }
}

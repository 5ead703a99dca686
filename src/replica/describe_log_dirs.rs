//! Describes the contents of the log dirs. Kafka 3.9: `ReplicaManager.describeLogDirs`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::hosted_partitions::HostedPartitions;
use super::manager::ReplicaManager;
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicPartition};
use crate::log::{LogDir, UnifiedLog};

/// The lag of a log that is not served: it is not known.
const UNKNOWN_LAG: i64 = -1;

/// One log dir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirDescription {
    /// Its absolute path.
    pub path: PathBuf,
    /// The contents, or why they are not known.
    pub contents: Result<LogDirContents, ErrorCode>,
}

/// The contents of a log dir that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirContents {
    /// Size of its file system.
    pub total_bytes: i64,
    /// The space that this process may still use there.
    pub usable_bytes: i64,
    /// The requested replicas, by name.
    pub replicas: Vec<ReplicaInDir>,
}

/// One log in a log dir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaInDir {
    /// The partition of the log.
    pub topic_partition: TopicPartition,
    /// Bytes of its segments.
    pub size: u64,
    /// The number of records that the log is behind the log that it is a copy of, or behind its own high watermark; -1
    /// if not known.
    pub offset_lag: i64,
    /// Whether the log is a copy that is to replace a log in another dir.
    pub is_future: bool,
}

impl ReplicaManager {
    /// Every log dir with its logs of the `wanted` partitions, or with all its logs.
    pub fn describe_log_dirs(&self, wanted: Option<&HashSet<TopicPartition>>) -> Vec<LogDirDescription> {
        let is_wanted = |log: &Arc<UnifiedLog>| wanted.is_none_or(|w| w.contains(log.topic_partition()));
        let current = self.log_manager.all_logs().into_iter().map(|log| (log, false));
        let future = self
            .log_manager
            .all_future_logs()
            .into_iter()
            .map(|log| (log, true));
        let mut logs: Vec<_> = current.chain(future).filter(|(log, _)| is_wanted(log)).collect();
        logs.sort_by(|(a, _), (b, _)| a.topic_partition().cmp(b.topic_partition()));
        let describe = |dir: &Arc<LogDir>| LogDirDescription {
            path: dir.absolute_path(),
            contents: contents_of(&self.partitions, dir, &logs),
        };
        self.log_manager.log_dirs().map(describe).collect()
    }
}

fn contents_of(
    partitions: &HostedPartitions,
    dir: &Arc<LogDir>,
    logs: &[(Arc<UnifiedLog>, bool)],
) -> Result<LogDirContents, ErrorCode> {
    if dir.is_offline() {
        return Err(ErrorCode::KafkaStorageError);
    }
    let space = dir.space().map_err(|error| {
        tracing::warn!(dir = %dir.path().display(), %error, "cannot ask for the space of a log dir");
        ErrorCode::UnknownServerError
    })?;
    let here = logs.iter().filter(|(log, _)| Arc::ptr_eq(log.log_dir(), dir));
    let replicas = here.map(|(log, is_future)| ReplicaInDir {
        topic_partition: log.topic_partition().clone(),
        size: log.size(),
        offset_lag: offset_lag(
            partitions,
            log.topic_partition(),
            log.log_end_offset(),
            *is_future,
        ),
        is_future: *is_future,
    });
    Ok(LogDirContents {
        total_bytes: space.total_bytes,
        usable_bytes: space.usable_bytes,
        replicas: replicas.collect(),
    })
}

fn offset_lag(
    partitions: &HostedPartitions,
    name: &TopicPartition,
    log_end_offset: Offset,
    is_future: bool,
) -> i64 {
    let Some(log) = partitions.online(name).ok().and_then(|partition| partition.log()) else {
        return UNKNOWN_LAG;
    };
    match is_future {
        true => log.log_end_offset() - log_end_offset,
        false => (log.high_watermark() - log_end_offset).max(0),
    }
}

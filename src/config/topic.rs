//! Owns the configuration of one topic as typed values. Kafka 3.9: `LogConfig`, `TopicConfig`.

use std::collections::BTreeMap;

use super::definition::{Value, topic_key};
use super::error::ConfigError;

/// `compression.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the values of compression.type")]
pub enum CompressionType {
    /// The compression that the producer chose is kept.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's timestamps are kept.
    CreateTime,
    /// The leader puts its own time into each batch when it appends the batch.
    LogAppendTime,
}

/// `cleanup.policy`, a set of two flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Old segments are deleted.
    pub delete: bool,
    /// The log cleaner keeps the last value of each key.
    pub compact: bool,
}

/// The configuration of one log. Each field has the name of its topic key; -1 keeps Kafka's meaning "no limit".
#[derive(Clone, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "every field is the Kafka topic key of its name, documented in config::definition"
)]
pub struct LogConfig {
    pub segment_bytes: i32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: i32,
    pub index_interval_bytes: i32,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub max_message_bytes: i32,
    pub file_delete_delay_ms: i64,
    pub delete_retention_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    pub cleanup_policy: CleanupPolicy,
    pub unclean_leader_election_enable: bool,
    pub min_insync_replicas: i32,
    pub compression_type: CompressionType,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub preallocate: bool,
    pub message_timestamp_type: TimestampType,
    /// Replaces each of the two limits below that is unlimited.
    pub message_timestamp_difference_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_after_max_ms: i64,
    pub message_downconversion_enable: bool,
    pub leader_replication_throttled_replicas: String,
    pub follower_replication_throttled_replicas: String,
}

/// Kafka's defaults.
impl Default for LogConfig {
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: 7 * DAY_MS,
            max_message_bytes: 1_048_588,
            file_delete_delay_ms: 60_000,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            cleanup_policy: CleanupPolicy {
                delete: true,
                compact: false,
            },
            unclean_leader_election_enable: false,
            min_insync_replicas: 1,
            compression_type: CompressionType::Producer,
            compression_gzip_level: -1,
            compression_lz4_level: 9,
            compression_zstd_level: 3,
            preallocate: false,
            message_timestamp_type: TimestampType::CreateTime,
            message_timestamp_difference_max_ms: i64::MAX,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: i64::MAX,
            message_downconversion_enable: true,
            leader_replication_throttled_replicas: String::new(),
            follower_replication_throttled_replicas: String::new(),
        }
    }
}

impl CompressionType {
    /// The type with this name; `producer` for any other name, which the key's rule refuses anyway.
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "uncompressed" => Self::Uncompressed,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => Self::Producer,
        }
    }
}

impl TimestampType {
    /// The type with this name; `CreateTime` for any other name, which the key's rule refuses anyway.
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "LogAppendTime" => Self::LogAppendTime,
            _ => Self::CreateTime,
        }
    }
}

impl CleanupPolicy {
    pub(super) fn from_list(items: &[String]) -> Self {
        Self {
            delete: items.iter().any(|item| item == "delete"),
            compact: items.iter().any(|item| item == "compact"),
        }
    }
}

impl LogConfig {
    /// The configuration of a topic from the overrides in a request. Unknown keys, invalid values and values that do
    /// not fit together are refused; Kafka's code for that is INVALID_CONFIG.
    pub fn from_overrides(
        defaults: &Self,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let mut config = defaults.clone();
        for (name, text) in overrides {
            let Some(key) = topic_key(name) else {
                return Err(ConfigError::conflict(format!(
                    "Unknown topic config name: {name}"
                )));
            };
            let value = key.parse(text)?;
            let refused = match (name.as_str(), &value) {
                ("remote.storage.enable", Value::Boolean(true)) => Some(
                    "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote \
                     log storage.",
                ),
                ("remote.log.copy.disable" | "remote.log.delete.on.disable", Value::Boolean(true)) => Some(
                    "It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under \
                         Zookeeper's mode.",
                ),
                _ => None,
            };
            if let Some(reason) = refused {
                return Err(ConfigError::conflict(reason));
            }
            config.set(name, value);
        }
        config.apply_timestamp_difference();
        config.validate()?;
        Ok(config)
    }

    /// The configuration of a topic from the overrides in ZooKeeper. Any program can write there, so values that cannot
    /// be used are skipped; the errors are returned.
    pub fn from_stored(defaults: &Self, stored: &BTreeMap<String, String>) -> (Self, Vec<ConfigError>) {
        let mut config = defaults.clone();
        let mut errors = Vec::new();
        for (name, text) in stored {
            let Some(key) = topic_key(name) else {
                errors.push(ConfigError::key(name, "there is no such topic configuration"));
                continue;
            };
            match key.parse(text) {
                Ok(value) => config.set(name, value),
                Err(error) => errors.push(error),
            }
        }
        config.apply_timestamp_difference();
        (config, errors)
    }

    /// Checks the rules that concern several keys.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms {
            return Err(ConfigError::conflict(format!(
                "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
                self.min_compaction_lag_ms, self.max_compaction_lag_ms
            )));
        }
        Ok(())
    }

    fn apply_timestamp_difference(&mut self) {
        for limit in [
            &mut self.message_timestamp_before_max_ms,
            &mut self.message_timestamp_after_max_ms,
        ] {
            if *limit == i64::MAX {
                *limit = self.message_timestamp_difference_max_ms;
            }
        }
    }

    /// Sets one field. The value already meets its key's type and rule. Keys without a field have no effect.
    fn set(&mut self, name: &str, value: Value) {
        match (name, value) {
            ("segment.bytes", Value::Integer(n)) => self.segment_bytes = n as i32,
            ("segment.ms", Value::Integer(n)) => self.segment_ms = n,
            ("segment.jitter.ms", Value::Integer(n)) => self.segment_jitter_ms = n,
            ("segment.index.bytes", Value::Integer(n)) => self.segment_index_bytes = n as i32,
            ("index.interval.bytes", Value::Integer(n)) => self.index_interval_bytes = n as i32,
            ("flush.messages", Value::Integer(n)) => self.flush_messages = n,
            ("flush.ms", Value::Integer(n)) => self.flush_ms = n,
            ("retention.bytes", Value::Integer(n)) => self.retention_bytes = n,
            ("retention.ms", Value::Integer(n)) => self.retention_ms = n,
            ("max.message.bytes", Value::Integer(n)) => self.max_message_bytes = n as i32,
            ("file.delete.delay.ms", Value::Integer(n)) => self.file_delete_delay_ms = n,
            ("delete.retention.ms", Value::Integer(n)) => self.delete_retention_ms = n,
            ("min.compaction.lag.ms", Value::Integer(n)) => self.min_compaction_lag_ms = n,
            ("max.compaction.lag.ms", Value::Integer(n)) => self.max_compaction_lag_ms = n,
            ("min.cleanable.dirty.ratio", Value::Double(x)) => self.min_cleanable_dirty_ratio = x,
            ("cleanup.policy", Value::List(items)) => self.cleanup_policy = CleanupPolicy::from_list(&items),
            ("unclean.leader.election.enable", Value::Boolean(b)) => self.unclean_leader_election_enable = b,
            ("min.insync.replicas", Value::Integer(n)) => self.min_insync_replicas = n as i32,
            ("compression.type", Value::Text(name)) => {
                self.compression_type = CompressionType::from_name(&name)
            }
            ("compression.gzip.level", Value::Integer(n)) => self.compression_gzip_level = n as i32,
            ("compression.lz4.level", Value::Integer(n)) => self.compression_lz4_level = n as i32,
            ("compression.zstd.level", Value::Integer(n)) => self.compression_zstd_level = n as i32,
            ("preallocate", Value::Boolean(b)) => self.preallocate = b,
            ("message.timestamp.type", Value::Text(name)) => {
                self.message_timestamp_type = TimestampType::from_name(&name);
            }
            ("message.timestamp.difference.max.ms", Value::Integer(n)) => {
                self.message_timestamp_difference_max_ms = n;
            }
            ("message.timestamp.before.max.ms", Value::Integer(n)) => {
                self.message_timestamp_before_max_ms = n
            }
            ("message.timestamp.after.max.ms", Value::Integer(n)) => self.message_timestamp_after_max_ms = n,
            ("message.downconversion.enable", Value::Boolean(b)) => self.message_downconversion_enable = b,
            ("leader.replication.throttled.replicas", list @ Value::List(_)) => {
                self.leader_replication_throttled_replicas = list.to_string();
            }
            ("follower.replication.throttled.replicas", list @ Value::List(_)) => {
                self.follower_replication_throttled_replicas = list.to_string();
            }
            _ => {}
        }
    }
}

//! The cleaner's part of the broker's configuration. Everything except `enable` may change at run time. Kafka 3.9:
//! `CleanerConfig`.

use crate::config::BrokerConfig;

/// Largest size of one thread's offset map.
const MAP_BYTES_MAX: u64 = i32::MAX as u64;

/// `log.cleaner.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub enable: bool,
    /// `log.cleaner.threads`.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`, of all threads together.
    pub dedupe_buffer_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`: how full an offset map may get.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`, of all threads together, half for reading, half for writing.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`, read and written by all threads together.
    pub io_max_bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`: the pause when there is nothing to clean.
    pub backoff_ms: u64,
    /// `message.max.bytes`: the cleaner checks the checksum of a larger batch before it grows a buffer for it.
    pub max_message_bytes: usize,
}

impl From<&BrokerConfig> for CleanerConfig {
    fn from(config: &BrokerConfig) -> Self {
        Self {
            enable: config.log_cleaner_enable,
            threads: config.log_cleaner_threads,
            dedupe_buffer_bytes: config.log_cleaner_dedupe_buffer_size,
            load_factor: config.log_cleaner_io_buffer_load_factor,
            io_buffer_bytes: config.log_cleaner_io_buffer_size,
            io_max_bytes_per_second: config.log_cleaner_io_max_bytes_per_second,
            backoff_ms: config.log_cleaner_backoff_ms,
            max_message_bytes: config.log_defaults.max_message_bytes.max(0) as usize,
        }
    }
}

impl CleanerConfig {
    /// Bytes of each thread's offset map.
    pub fn map_bytes(&self) -> usize {
        (self.dedupe_buffer_bytes / self.threads.max(1) as u64).min(MAP_BYTES_MAX) as usize
    }

    /// Size of each of a thread's two buffers.
    pub fn buffer_bytes(&self) -> usize {
        self.io_buffer_bytes / self.threads.max(1) / 2
    }
}

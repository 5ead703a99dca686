//! The jitter of the time after which segments are rolled.

use crate::config::LogConfig;

/// This segment's share of `segment.jitter.ms`.
pub(super) fn random(config: &LogConfig) -> i64 {
    match config.segment_jitter_ms.min(config.segment_ms) {
        jitter if jitter > 0 => rand::random_range(0..jitter),
        _ => 0,
    }
}

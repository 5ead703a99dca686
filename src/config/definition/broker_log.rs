//! Defines the broker keys of the log and its cleaner, and the keys that topics inherit. Kafka 3.9: `ServerLogConfigs`,
//! `CleanerConfig`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "auto.create.topics.enable", Boolean, "true", Any, ReadOnly, Honoured;
    "compression.gzip.level", Int, "-1", GzipLevel, ClusterWide, Honoured;
    "compression.lz4.level", Int, "9", Between(1, 17), ClusterWide, NotYet;
    "compression.type", String, "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide, Honoured;
    "compression.zstd.level", Int, "3", Between(-131072, 22), ClusterWide, Honoured;
    "log.cleaner.backoff.ms", Long, "15000", AtLeast(0), ClusterWide, Honoured;
    "log.cleaner.dedupe.buffer.size", Long, "134217728", Any, ClusterWide, Honoured;
    "log.cleaner.delete.retention.ms", Long, "86400000", AtLeast(0), ClusterWide, Honoured;
    "log.cleaner.enable", Boolean, "true", Any, ReadOnly, Honoured;
    "log.cleaner.io.buffer.load.factor", Double, "0.9", Any, ClusterWide, Honoured;
    "log.cleaner.io.buffer.size", Int, "524288", AtLeast(0), ClusterWide, Honoured;
    "log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", Any, ClusterWide, Honoured;
    "log.cleaner.max.compaction.lag.ms", Long, "9223372036854775807", AtLeast(1), ClusterWide, Honoured;
    "log.cleaner.min.cleanable.ratio", Double, "0.5", Fraction(1.0), ClusterWide, Honoured;
    "log.cleaner.min.compaction.lag.ms", Long, "0", AtLeast(0), ClusterWide, Honoured;
    "log.cleaner.threads", Int, "1", AtLeast(0), ClusterWide, Honoured;
    "log.cleanup.policy", List, "delete", ListOf(&["compact", "delete"]), ClusterWide, Honoured;
    "log.dir", String, "/tmp/kafka-logs", Any, ReadOnly, Honoured;
    "log.dir.failure.timeout.ms", Long, "30000", AtLeast(1), ReadOnly, NoEffect;
    "log.dirs", String, null, Any, ReadOnly, Honoured;
    "log.flush.interval.messages", Long, "9223372036854775807", AtLeast(1), ClusterWide, Honoured;
    "log.flush.interval.ms", Long, null, AtLeast(0), ClusterWide, Honoured;
    "log.flush.offset.checkpoint.interval.ms", Int, "60000", AtLeast(0), ReadOnly, Honoured;
    "log.flush.scheduler.interval.ms", Long, "9223372036854775807", AtLeast(0), ReadOnly, Honoured;
    "log.flush.start.offset.checkpoint.interval.ms", Int, "60000", AtLeast(0), ReadOnly, Honoured;
    "log.index.interval.bytes", Int, "4096", AtLeast(0), ClusterWide, Honoured;
    "log.index.size.max.bytes", Int, "10485760", AtLeast(4), ClusterWide, Honoured;
    "log.initial.task.delay.ms", Long, "30000", AtLeast(0), ReadOnly, Honoured;
    "log.local.retention.bytes", Long, "-2", AtLeast(-2), ClusterWide, NotYet;
    "log.local.retention.ms", Long, "-2", AtLeast(-2), ClusterWide, NotYet;
    "log.message.downconversion.enable", Boolean, "true", Any, ClusterWide, Honoured;
    "log.message.format.version", String, "3.0-IV1", MetadataVersion, ReadOnly, NoEffect;
    "log.message.timestamp.after.max.ms", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured;
    "log.message.timestamp.before.max.ms", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured;
    "log.message.timestamp.difference.max.ms", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured;
    "log.message.timestamp.type", String, "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide, Honoured;
    "log.preallocate", Boolean, "false", Any, ClusterWide, Honoured;
    "log.retention.bytes", Long, "-1", Any, ClusterWide, Honoured;
    "log.retention.check.interval.ms", Long, "300000", AtLeast(1), ReadOnly, Honoured;
    "log.retention.hours", Int, "168", Any, ReadOnly, Honoured;
    "log.retention.minutes", Int, null, Any, ReadOnly, Honoured;
    "log.retention.ms", Long, null, Any, ClusterWide, Honoured;
    "log.roll.hours", Int, "168", AtLeast(1), ReadOnly, Honoured;
    "log.roll.jitter.hours", Int, "0", AtLeast(0), ReadOnly, Honoured;
    "log.roll.jitter.ms", Long, null, AtLeast(0), ClusterWide, Honoured;
    "log.roll.ms", Long, null, AtLeast(1), ClusterWide, Honoured;
    "log.segment.bytes", Int, "1073741824", AtLeast(14), ClusterWide, Honoured;
    "log.segment.delete.delay.ms", Long, "60000", AtLeast(0), ClusterWide, Honoured;
    "message.max.bytes", Int, "1048588", AtLeast(0), ClusterWide, Honoured;
    "min.insync.replicas", Int, "1", AtLeast(1), ClusterWide, Honoured;
    "num.partitions", Int, "1", AtLeast(1), ReadOnly, Honoured;
    "num.recovery.threads.per.data.dir", Int, "1", AtLeast(1), ClusterWide, Honoured;
    "producer.id.expiration.check.interval.ms", Int, "600000", AtLeast(1), ReadOnly, Honoured;
    "producer.id.expiration.ms", Int, "86400000", AtLeast(1), ClusterWide, Honoured;
}

//! Defines the topic keys and the broker keys from which they inherit, the most specific one first. Kafka 3.9:
//! `LogConfig`, `ServerTopicConfigSynonyms`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support, inherits
    "cleanup.policy", List, "delete", ListOf(&["compact", "delete"]), ClusterWide, Honoured, ["log.cleanup.policy"];
    "compression.gzip.level", Int, "-1", GzipLevel, ClusterWide, Honoured, ["compression.gzip.level"];
    "compression.lz4.level", Int, "9", Between(1, 17), ClusterWide, NotYet, ["compression.lz4.level"];
    "compression.type", String, "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide, Honoured, ["compression.type"];
    "compression.zstd.level", Int, "3", Between(-131072, 22), ClusterWide, Honoured, ["compression.zstd.level"];
    "delete.retention.ms", Long, "86400000", AtLeast(0), ClusterWide, Honoured, ["log.cleaner.delete.retention.ms"];
    "file.delete.delay.ms", Long, "60000", AtLeast(0), ClusterWide, Honoured, ["log.segment.delete.delay.ms"];
    "flush.messages", Long, "9223372036854775807", AtLeast(1), ClusterWide, Honoured, ["log.flush.interval.messages"];
    "flush.ms", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured, ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];
    "follower.replication.throttled.replicas", List, "", ThrottledReplicas, ClusterWide, Honoured, [];
    "index.interval.bytes", Int, "4096", AtLeast(0), ClusterWide, Honoured, ["log.index.interval.bytes"];
    "leader.replication.throttled.replicas", List, "", ThrottledReplicas, ClusterWide, Honoured, [];
    "local.retention.bytes", Long, "-2", AtLeast(-2), ClusterWide, NotYet, ["log.local.retention.bytes"];
    "local.retention.ms", Long, "-2", AtLeast(-2), ClusterWide, NotYet, ["log.local.retention.ms"];
    "max.compaction.lag.ms", Long, "9223372036854775807", AtLeast(1), ClusterWide, Honoured, ["log.cleaner.max.compaction.lag.ms"];
    "max.message.bytes", Int, "1048588", AtLeast(0), ClusterWide, Honoured, ["message.max.bytes"];
    "message.downconversion.enable", Boolean, "true", Any, ClusterWide, Honoured, ["log.message.downconversion.enable"];
    "message.format.version", String, "3.0-IV1", MetadataVersion, ClusterWide, NoEffect, ["log.message.format.version"];
    "message.timestamp.after.max.ms", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured, ["log.message.timestamp.after.max.ms"];
    "message.timestamp.before.max.ms", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured, ["log.message.timestamp.before.max.ms"];
    "message.timestamp.difference.max.ms", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured, ["log.message.timestamp.difference.max.ms"];
    "message.timestamp.type", String, "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide, Honoured, ["log.message.timestamp.type"];
    "min.cleanable.dirty.ratio", Double, "0.5", Fraction(1.0), ClusterWide, Honoured, ["log.cleaner.min.cleanable.ratio"];
    "min.compaction.lag.ms", Long, "0", AtLeast(0), ClusterWide, Honoured, ["log.cleaner.min.compaction.lag.ms"];
    "min.insync.replicas", Int, "1", AtLeast(1), ClusterWide, Honoured, ["min.insync.replicas"];
    "preallocate", Boolean, "false", Any, ClusterWide, Honoured, ["log.preallocate"];
    "remote.log.copy.disable", Boolean, "false", Any, ClusterWide, NotYet, [];
    "remote.log.delete.on.disable", Boolean, "false", Any, ClusterWide, NotYet, [];
    "remote.storage.enable", Boolean, "false", Any, ClusterWide, NotYet, [];
    "retention.bytes", Long, "-1", Any, ClusterWide, Honoured, ["log.retention.bytes"];
    "retention.ms", Long, "604800000", AtLeast(-1), ClusterWide, Honoured, ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    "segment.bytes", Int, "1073741824", AtLeast(14), ClusterWide, Honoured, ["log.segment.bytes"];
    "segment.index.bytes", Int, "10485760", AtLeast(4), ClusterWide, Honoured, ["log.index.size.max.bytes"];
    "segment.jitter.ms", Long, "0", AtLeast(0), ClusterWide, Honoured, ["log.roll.jitter.ms", "log.roll.jitter.hours"];
    "segment.ms", Long, "604800000", AtLeast(1), ClusterWide, Honoured, ["log.roll.ms", "log.roll.hours"];
    "unclean.leader.election.enable", Boolean, "false", Any, ClusterWide, Honoured, ["unclean.leader.election.enable"];
}

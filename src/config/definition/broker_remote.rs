//! Defines the broker keys of tiered storage. Kafka 3.9: `RemoteLogManagerConfig`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "remote.fetch.max.wait.ms", Int, "500", AtLeast(1), ClusterWide, NotYet;
    "remote.log.index.file.cache.total.size.bytes", Long, "1073741824", AtLeast(1), ClusterWide, NotYet;
    "remote.log.manager.copier.thread.pool.size", Int, "-1", PoolSize, ReadOnly, NotYet;
    "remote.log.manager.copy.max.bytes.per.second", Long, "9223372036854775807", AtLeast(1), ClusterWide, NotYet;
    "remote.log.manager.copy.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet;
    "remote.log.manager.copy.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet;
    "remote.log.manager.expiration.thread.pool.size", Int, "-1", PoolSize, ReadOnly, NotYet;
    "remote.log.manager.fetch.max.bytes.per.second", Long, "9223372036854775807", AtLeast(1), ClusterWide, NotYet;
    "remote.log.manager.fetch.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet;
    "remote.log.manager.fetch.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet;
    "remote.log.manager.task.interval.ms", Long, "30000", AtLeast(1), ReadOnly, NotYet;
    "remote.log.manager.task.retry.backoff.max.ms", Long, "30000", AtLeast(1), ReadOnly, NotYet;
    "remote.log.manager.task.retry.backoff.ms", Long, "500", AtLeast(1), ReadOnly, NotYet;
    "remote.log.manager.task.retry.jitter", Double, "0.2", Fraction(0.5), ReadOnly, NotYet;
    "remote.log.manager.thread.pool.size", Int, "10", AtLeast(1), ReadOnly, NotYet;
    "remote.log.metadata.custom.metadata.max.bytes", Int, "128", AtLeast(0), ReadOnly, NotYet;
    "remote.log.metadata.manager.class.name", String, "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", NonEmpty, ReadOnly, NotYet;
    "remote.log.metadata.manager.class.path", String, null, Any, ReadOnly, NotYet;
    "remote.log.metadata.manager.impl.prefix", String, "rlmm.config.", NonEmpty, ReadOnly, NotYet;
    "remote.log.metadata.manager.listener.name", String, null, NonEmpty, ReadOnly, NotYet;
    "remote.log.reader.max.pending.tasks", Int, "100", AtLeast(1), ReadOnly, NotYet;
    "remote.log.reader.threads", Int, "10", AtLeast(1), ReadOnly, NotYet;
    "remote.log.storage.manager.class.name", String, null, NonEmpty, ReadOnly, NotYet;
    "remote.log.storage.manager.class.path", String, null, Any, ReadOnly, NotYet;
    "remote.log.storage.manager.impl.prefix", String, "rsm.config.", NonEmpty, ReadOnly, NotYet;
    "remote.log.storage.system.enable", Boolean, "false", Any, ReadOnly, NotYet;
}

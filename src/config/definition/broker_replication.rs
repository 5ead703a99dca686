//! Defines the broker keys of replication and the controller. Kafka 3.9: `ReplicationConfigs`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "auto.leader.rebalance.enable", Boolean, "true", Any, ReadOnly, Honoured;
    "controlled.shutdown.enable", Boolean, "true", Any, ReadOnly, Honoured;
    "controlled.shutdown.max.retries", Int, "3", Any, ReadOnly, Honoured;
    "controlled.shutdown.retry.backoff.ms", Long, "5000", Any, ReadOnly, Honoured;
    "controller.socket.timeout.ms", Int, "30000", Any, ReadOnly, Honoured;
    "default.replication.factor", Int, "1", Any, ReadOnly, Honoured;
    "delete.records.purgatory.purge.interval.requests", Int, "1", Any, ReadOnly, NotYet;
    "fetch.max.bytes", Int, "57671680", AtLeast(1024), ReadOnly, Honoured;
    "fetch.purgatory.purge.interval.requests", Int, "1000", Any, ReadOnly, NotYet;
    "inter.broker.protocol.version", String, "3.9-IV0", MetadataVersion, ReadOnly, Honoured;
    "leader.imbalance.check.interval.seconds", Long, "300", AtLeast(1), ReadOnly, Honoured;
    "leader.imbalance.per.broker.percentage", Int, "10", Any, ReadOnly, Honoured;
    "max.incremental.fetch.session.cache.slots", Int, "1000", AtLeast(0), ReadOnly, Honoured;
    "num.replica.alter.log.dirs.threads", Int, null, Any, ReadOnly, Honoured;
    "num.replica.fetchers", Int, "1", Any, ClusterWide, Honoured;
    "producer.purgatory.purge.interval.requests", Int, "1000", Any, ReadOnly, NotYet;
    "replica.fetch.backoff.ms", Int, "1000", AtLeast(0), ReadOnly, Honoured;
    "replica.fetch.max.bytes", Int, "1048576", AtLeast(0), ReadOnly, Honoured;
    "replica.fetch.min.bytes", Int, "1", Any, ReadOnly, Honoured;
    "replica.fetch.response.max.bytes", Int, "10485760", AtLeast(0), ReadOnly, Honoured;
    "replica.fetch.wait.max.ms", Int, "500", Any, ReadOnly, Honoured;
    "replica.high.watermark.checkpoint.interval.ms", Long, "5000", Any, ReadOnly, Honoured;
    "replica.lag.time.max.ms", Long, "30000", Any, ReadOnly, Honoured;
    "replica.selector.class", String, null, Any, ReadOnly, Honoured;
    "replica.socket.receive.buffer.bytes", Int, "65536", Any, ReadOnly, NotYet;
    "replica.socket.timeout.ms", Int, "30000", Any, ReadOnly, Honoured;
    "request.timeout.ms", Int, "30000", Any, ReadOnly, Honoured;
    "unclean.leader.election.enable", Boolean, "false", Any, ClusterWide, Honoured;
    "unclean.leader.election.interval.ms", Long, "300000", AtLeast(1), ReadOnly, NotYet;
}

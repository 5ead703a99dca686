//! Defines the broker keys of the broker as a whole: identity, quotas, metrics. Kafka 3.9: `ServerConfigs`,
//! `QuotaConfigs`, `MetricConfigs`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "alter.config.policy.class.name", Class, null, Any, ReadOnly, NotYet;
    "alter.log.dirs.replication.quota.window.num", Int, "11", AtLeast(1), ReadOnly, Honoured;
    "alter.log.dirs.replication.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, Honoured;
    "auto.include.jmx.reporter", Boolean, "true", Any, ReadOnly, NotYet;
    "background.threads", Int, "10", AtLeast(1), ClusterWide, NoEffect;
    "broker.id", Int, "-1", Any, ReadOnly, Honoured;
    "broker.id.generation.enable", Boolean, "true", Any, ReadOnly, Honoured;
    "broker.rack", String, null, Any, ReadOnly, Honoured;
    "client.quota.callback.class", Class, null, Any, ReadOnly, NotYet;
    "controller.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet;
    "controller.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet;
    "create.topic.policy.class.name", Class, null, Any, ReadOnly, NotYet;
    "delete.topic.enable", Boolean, "true", Any, ReadOnly, Honoured;
    "kafka.metrics.polling.interval.secs", Int, "10", AtLeast(1), ReadOnly, NotYet;
    "kafka.metrics.reporters", List, "", Any, ReadOnly, NotYet;
    "max.request.partition.size.limit", Int, "2000", AtLeast(1), ReadOnly, NotYet;
    "metric.reporters", List, "", Any, ClusterWide, NotYet;
    "metrics.num.samples", Int, "2", AtLeast(1), ReadOnly, NotYet;
    "metrics.recording.level", String, "INFO", Any, ReadOnly, NotYet;
    "metrics.sample.window.ms", Long, "30000", AtLeast(1), ReadOnly, NotYet;
    "quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet;
    "quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet;
    "replication.quota.window.num", Int, "11", AtLeast(1), ReadOnly, Honoured;
    "replication.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, Honoured;
    "reserved.broker.max.id", Int, "1000", AtLeast(0), ReadOnly, Honoured;
    "telemetry.max.bytes", Int, "1048576", AtLeast(1), ReadOnly, NotYet;
}

//! Defines the broker keys of KRaft, which a ZooKeeper-mode broker does not use. Kafka 3.9: `KRaftConfigs`,
//! `QuorumConfig`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "broker.heartbeat.interval.ms", Int, "2000", Any, ReadOnly, NoEffect;
    "broker.session.timeout.ms", Int, "9000", Any, ReadOnly, NoEffect;
    "controller.listener.names", String, null, Any, ReadOnly, KRaft;
    "controller.quorum.append.linger.ms", Int, "25", Any, ReadOnly, NoEffect;
    "controller.quorum.bootstrap.servers", List, "", Any, ReadOnly, KRaft;
    "controller.quorum.election.backoff.max.ms", Int, "1000", Any, ReadOnly, NoEffect;
    "controller.quorum.election.timeout.ms", Int, "1000", Any, ReadOnly, NoEffect;
    "controller.quorum.fetch.timeout.ms", Int, "2000", Any, ReadOnly, NoEffect;
    "controller.quorum.request.timeout.ms", Int, "2000", Any, ReadOnly, NoEffect;
    "controller.quorum.retry.backoff.ms", Int, "20", Any, ReadOnly, NoEffect;
    "controller.quorum.voters", List, "", Any, ReadOnly, KRaft;
    "early.start.listeners", String, null, Any, ReadOnly, NoEffect;
    "eligible.leader.replicas.enable", Boolean, "false", Any, ReadOnly, NoEffect;
    "initial.broker.registration.timeout.ms", Int, "60000", Any, ReadOnly, NoEffect;
    "metadata.log.dir", String, null, Any, ReadOnly, NoEffect;
    "metadata.log.max.record.bytes.between.snapshots", Long, "20971520", AtLeast(1), ReadOnly, NoEffect;
    "metadata.log.max.snapshot.interval.ms", Long, "3600000", AtLeast(0), ReadOnly, NoEffect;
    "metadata.log.segment.bytes", Int, "1073741824", AtLeast(12), ReadOnly, NoEffect;
    "metadata.log.segment.min.bytes", Int, "8388608", AtLeast(12), ReadOnly, NoEffect;
    "metadata.log.segment.ms", Long, "604800000", Any, ReadOnly, NoEffect;
    "metadata.max.idle.interval.ms", Int, "500", AtLeast(0), ReadOnly, NoEffect;
    "metadata.max.retention.bytes", Long, "104857600", Any, ReadOnly, NoEffect;
    "metadata.max.retention.ms", Long, "604800000", Any, ReadOnly, NoEffect;
    "node.id", Int, "-1", Any, ReadOnly, Honoured;
    "process.roles", List, "", ListOf(&["broker", "controller"]), ReadOnly, KRaft;
    "server.max.startup.time.ms", Long, "9223372036854775807", AtLeast(0), ReadOnly, NoEffect;
    "unstable.api.versions.enable", Boolean, "false", Any, ReadOnly, NoEffect;
    "unstable.feature.versions.enable", Boolean, "false", Any, ReadOnly, NoEffect;
}

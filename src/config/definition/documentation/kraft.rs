//! Documents the keys of KRaft, which a ZooKeeper-mode broker knows but does not use.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "broker.heartbeat.interval.ms",
        "How often, in milliseconds, a KRaft broker sends a heartbeat to its controller; a ZooKeeper-mode broker has a session instead.",
    ),
    (
        "broker.session.timeout.ms",
        "After how many milliseconds without a heartbeat a KRaft broker counts as dead; a ZooKeeper-mode broker has zookeeper.session.timeout.ms instead.",
    ),
    (
        "controller.listener.names",
        "The listeners of KRaft controllers, separated by commas; must not be set for a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.append.linger.ms",
        "How many milliseconds the leader of a KRaft quorum collects records before it writes them; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.bootstrap.servers",
        "Addresses at which KRaft controllers are found; must not be set for a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.election.backoff.max.ms",
        "How many milliseconds a KRaft controller waits at most before it stands for election again; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.election.timeout.ms",
        "After how many milliseconds without a result a KRaft controller begins another election; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.fetch.timeout.ms",
        "After how many milliseconds without an answer of the leader a KRaft controller stands for election; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.request.timeout.ms",
        "For how many milliseconds KRaft controllers wait for each other's answers; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.retry.backoff.ms",
        "How many milliseconds pass before KRaft controllers try a failed request again; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "controller.quorum.voters",
        "The members of a KRaft quorum as id@host:port, separated by commas; must not be set for a ZooKeeper-mode broker.",
    ),
    (
        "early.start.listeners",
        "Listeners that a KRaft node opens before it knows the cluster's metadata; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "eligible.leader.replicas.enable",
        "Whether a KRaft controller keeps track of replicas out of sync that are safe to elect; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "initial.broker.registration.timeout.ms",
        "How many milliseconds a KRaft broker tries to register with its controller before it gives up; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.log.dir",
        "The directory of a KRaft node's metadata log; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.log.max.record.bytes.between.snapshots",
        "After how many bytes of new records a KRaft node writes a snapshot of its metadata; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.log.max.snapshot.interval.ms",
        "After how many milliseconds a KRaft node writes a snapshot of its metadata if anything is new; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.log.segment.bytes",
        "How many bytes a segment of KRaft's metadata log may have; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.log.segment.min.bytes",
        "The smallest size in bytes that may be set for segments of KRaft's metadata log; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.log.segment.ms",
        "After how many milliseconds a new segment of KRaft's metadata log is begun; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.max.idle.interval.ms",
        "How often, in milliseconds, an idle KRaft controller writes a record to its metadata log, 0 for never; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.max.retention.bytes",
        "How many bytes KRaft's metadata log and snapshots may have before old ones are deleted; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "metadata.max.retention.ms",
        "For how many milliseconds segments and snapshots of KRaft's metadata are kept; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "node.id",
        "Another name of broker.id; if both are set, they must be equal.",
    ),
    (
        "process.roles",
        "What a KRaft node is, broker or controller or both; must not be set for a ZooKeeper-mode broker.",
    ),
    (
        "server.max.startup.time.ms",
        "For how many milliseconds a KRaft node may be starting before it gives up; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "unstable.api.versions.enable",
        "Whether versions of requests that may still change are offered, for the development of Kafka; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "unstable.feature.versions.enable",
        "Whether versions of features that may still change are offered, for the development of Kafka; without effect in a ZooKeeper-mode broker.",
    ),
];

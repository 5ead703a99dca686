//! Documents the keys that Kafka does not have, and the keys that exist only in ZooKeeper.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "barnabas.metrics.listener",
        "The host:port at which the broker's figures can be fetched in Prometheus' format; without it they cannot.",
    ),
    (
        "follower.replication.throttled.rate",
        "How many bytes per second the broker fetches as follower of the partitions whose follower.replication.throttled.replicas names it.",
    ),
    (
        "leader.replication.throttled.rate",
        "How many bytes per second the broker sends to followers of the partitions whose leader.replication.throttled.replicas names it.",
    ),
    (
        "replica.alter.log.dirs.io.max.bytes.per.second",
        "How many bytes per second the broker copies when it moves replicas between its log dirs.",
    ),
];

//! Documents the keys of replication and of the controller.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "auto.leader.rebalance.enable",
        "Whether the controller looks from time to time if partitions are led by others than their preferred replicas, and gives them back.",
    ),
    (
        "controlled.shutdown.enable",
        "Whether a broker that stops hands the partitions that it leads over to others first.",
    ),
    (
        "controlled.shutdown.max.retries",
        "How often a broker that stops asks the controller to take over what it leads before it stops all the same.",
    ),
    (
        "controlled.shutdown.retry.backoff.ms",
        "How many milliseconds pass before a broker that stops asks the controller again to take over what it leads.",
    ),
    (
        "controller.socket.timeout.ms",
        "For how many milliseconds the controller and the brokers wait for each other's answers.",
    ),
    (
        "default.replication.factor",
        "How many replicas a topic is created with that is created automatically or by a request that leaves the number to the broker.",
    ),
    (
        "delete.records.purgatory.purge.interval.requests",
        "After how many finished requests Kafka cleans up its list of waiting deletions of records; barnabas forgets them at once, so that this has no effect.",
    ),
    (
        "fetch.max.bytes",
        "How many bytes of records the answer to one fetch may have, whatever the consumer asks for; a larger first batch is sent all the same.",
    ),
    (
        "fetch.purgatory.purge.interval.requests",
        "After how many finished requests Kafka cleans up its list of waiting fetches; barnabas forgets them at once, so that this has no effect.",
    ),
    (
        "inter.broker.protocol.version",
        "The version of Kafka whose protocol the brokers speak among themselves, raised as the last step of an upgrade; barnabas speaks 3.9 only.",
    ),
    (
        "leader.imbalance.check.interval.seconds",
        "How often, in seconds, the controller looks if partitions are led by others than their preferred replicas.",
    ),
    (
        "leader.imbalance.per.broker.percentage",
        "Which percentage of the partitions that prefer a broker may be led by others before the controller gives them back.",
    ),
    (
        "max.incremental.fetch.session.cache.slots",
        "How many fetch sessions the broker remembers, which spare consumers and followers naming all their partitions in each fetch.",
    ),
    (
        "num.replica.alter.log.dirs.threads",
        "How many threads copy replicas between log dirs, by default one for each log dir.",
    ),
    (
        "num.replica.fetchers",
        "How many fetchers the broker has for each other broker that it follows; at run time the number can at most be doubled or halved in one step.",
    ),
    (
        "producer.purgatory.purge.interval.requests",
        "After how many finished requests Kafka cleans up its list of waiting producers; barnabas forgets them at once, so that this has no effect.",
    ),
    (
        "replica.fetch.backoff.ms",
        "For how many milliseconds a follower leaves a partition alone whose fetch has failed.",
    ),
    (
        "replica.fetch.max.bytes",
        "How many bytes of one partition a follower asks for in a fetch; a larger first batch comes all the same.",
    ),
    (
        "replica.fetch.min.bytes",
        "How many bytes must be there before a leader answers a follower's fetch; with fewer it waits up to replica.fetch.wait.max.ms.",
    ),
    (
        "replica.fetch.response.max.bytes",
        "How many bytes of all partitions together a follower asks for in a fetch; a larger first batch comes all the same.",
    ),
    (
        "replica.fetch.wait.max.ms",
        "For how many milliseconds a leader may hold a follower's fetch for want of records; must not be above replica.lag.time.max.ms, or followers of quiet partitions seem to lag.",
    ),
    (
        "replica.high.watermark.checkpoint.interval.ms",
        "How often, in milliseconds, it is written down up to which offset each partition is committed.",
    ),
    (
        "replica.lag.time.max.ms",
        "After how many milliseconds in which a follower has not reached the end of the leader's log it counts as out of sync.",
    ),
    (
        "replica.selector.class",
        "Who says from which replica a consumer had best read: Kafka's LeaderSelector or RackAwareReplicaSelector.",
    ),
    (
        "replica.socket.receive.buffer.bytes",
        "The size in bytes of the operating system's buffer for what a follower receives from its leader; not built yet.",
    ),
    (
        "replica.socket.timeout.ms",
        "For how many milliseconds a follower waits for its leader's answer; must not be below replica.fetch.wait.max.ms.",
    ),
    (
        "request.timeout.ms",
        "For how many milliseconds a broker waits for another's answer before it tries again or fails.",
    ),
    (
        "unclean.leader.election.enable",
        "Whether a replica that is out of sync may lead when none in sync is alive, which loses records; topics may say so themselves.",
    ),
    (
        "unclean.leader.election.interval.ms",
        "How often, in milliseconds, KRaft's controller looks for partitions that an unclean election could give a leader; a ZooKeeper-mode controller elects at once.",
    ),
];

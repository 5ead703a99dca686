//! Documents the keys of the group and transaction coordinators.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "group.consumer.assignors",
        "The assignors that members of groups of the consumer protocol may choose from, the first being the default; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.consumer.heartbeat.interval.ms",
        "How often, in milliseconds, members of groups of the consumer protocol are told to send a heartbeat; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.consumer.max.heartbeat.interval.ms",
        "The longest heartbeat interval, in milliseconds, that a group of the consumer protocol may be given; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.consumer.max.session.timeout.ms",
        "The longest session timeout, in milliseconds, that a group of the consumer protocol may be given; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.consumer.max.size",
        "How many members one group of the consumer protocol may have; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.consumer.migration.policy",
        "In which directions groups may move between the classic and the consumer protocol; the latter exists in KRaft clusters only.",
    ),
    (
        "group.consumer.min.heartbeat.interval.ms",
        "The shortest heartbeat interval, in milliseconds, that a group of the consumer protocol may be given; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.consumer.min.session.timeout.ms",
        "The shortest session timeout, in milliseconds, that a group of the consumer protocol may be given; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.consumer.session.timeout.ms",
        "After how many milliseconds without a heartbeat a member of a group of the consumer protocol counts as gone; that protocol exists in KRaft clusters only.",
    ),
    (
        "group.coordinator.append.linger.ms",
        "How many milliseconds KRaft's group coordinator collects records before it writes them; the coordinator of ZooKeeper-mode brokers writes at once.",
    ),
    (
        "group.coordinator.new.enable",
        "Whether KRaft's group coordinator is used; ZooKeeper-mode brokers have the classic one only.",
    ),
    (
        "group.coordinator.rebalance.protocols",
        "The protocols by which groups may be balanced; in a ZooKeeper-mode cluster there is the classic one only.",
    ),
    (
        "group.coordinator.threads",
        "How many threads KRaft's group coordinator has; the coordinator of ZooKeeper-mode brokers needs none of its own.",
    ),
    (
        "group.initial.rebalance.delay.ms",
        "How many milliseconds an empty group waits for further members after the first has come, each that comes prolonging the wait up to the rebalance timeout.",
    ),
    (
        "group.max.session.timeout.ms",
        "The longest session timeout, in milliseconds, that a group member may ask for: a long one leaves more time between heartbeats, but a dead member is noticed later.",
    ),
    (
        "group.max.size",
        "How many members one group may have; who wants to join beyond that is refused.",
    ),
    (
        "group.min.session.timeout.ms",
        "The shortest session timeout, in milliseconds, that a group member may ask for: a short one has a dead member noticed sooner, at the price of more heartbeats.",
    ),
    (
        "group.share.delivery.count.limit",
        "How often a record is offered to the members of a share group; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.enable",
        "Whether share groups may be formed; they exist in KRaft clusters only.",
    ),
    (
        "group.share.heartbeat.interval.ms",
        "How often, in milliseconds, members of share groups are told to send a heartbeat; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.max.groups",
        "How many share groups there may be; they exist in KRaft clusters only.",
    ),
    (
        "group.share.max.heartbeat.interval.ms",
        "The longest heartbeat interval, in milliseconds, that a share group may be given; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.max.record.lock.duration.ms",
        "The longest time, in milliseconds, for which a share group may keep a record for one member; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.max.session.timeout.ms",
        "The longest session timeout, in milliseconds, that a share group may be given; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.max.size",
        "How many members one share group may have; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.min.heartbeat.interval.ms",
        "The shortest heartbeat interval, in milliseconds, that a share group may be given; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.min.record.lock.duration.ms",
        "The shortest time, in milliseconds, for which a share group may keep a record for one member; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.min.session.timeout.ms",
        "The shortest session timeout, in milliseconds, that a share group may be given; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.partition.max.record.locks",
        "How many records of one partition a share group may keep for its members at a time; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.record.lock.duration.ms",
        "For how many milliseconds a share group keeps a record for the member that fetched it; share groups exist in KRaft clusters only.",
    ),
    (
        "group.share.session.timeout.ms",
        "After how many milliseconds without a heartbeat a member of a share group counts as gone; share groups exist in KRaft clusters only.",
    ),
    (
        "offset.metadata.max.bytes",
        "How many bytes of text of its own a consumer may store with a committed offset.",
    ),
    (
        "offsets.commit.required.acks",
        "How many replicas must have a committed offset before the commit is confirmed, -1 for all that are in sync; anything else may lose commits with a broker.",
    ),
    (
        "offsets.commit.timeout.ms",
        "For how many milliseconds a commit may wait until the replicas of the offsets topic have it.",
    ),
    (
        "offsets.load.buffer.size",
        "How many bytes of the offsets topic are read at a time when the coordinator loads its groups; a larger batch is read all the same.",
    ),
    (
        "offsets.retention.check.interval.ms",
        "How often, in milliseconds, the coordinator looks for committed offsets that have expired.",
    ),
    (
        "offsets.retention.minutes",
        "For how many minutes committed offsets are kept after their group has become empty, or, in a group that commits without members, after the commit.",
    ),
    (
        "offsets.topic.compression.codec",
        "How records of the offsets topic are compressed: 0 not at all, 1 gzip, 2 snappy, 3 lz4, 4 zstd.",
    ),
    (
        "offsets.topic.num.partitions",
        "How many partitions the offsets topic is created with; it must not be changed once the topic exists, since each group belongs to one of them.",
    ),
    (
        "offsets.topic.replication.factor",
        "How many replicas the offsets topic is created with; until the cluster has so many brokers the topic is not created.",
    ),
    (
        "offsets.topic.segment.bytes",
        "How many bytes a segment of the offsets topic may have: small segments make for sooner compaction and faster loading.",
    ),
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "How often, in milliseconds, the coordinator looks for transactions that have outlived their timeout, and aborts them.",
    ),
    (
        "transaction.max.timeout.ms",
        "The longest timeout, in milliseconds, that a producer may ask for its transactions; readers of committed records wait as long for an open one.",
    ),
    (
        "transaction.partition.verification.enable",
        "Whether a partition's leader asks the coordinator, before it takes the first record of a transaction, if that partition is part of it.",
    ),
    (
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        "How often, in milliseconds, the coordinator looks for transactional ids that have not been used for long, and forgets them.",
    ),
    (
        "transaction.state.log.load.buffer.size",
        "How many bytes of the transaction topic are read at a time when the coordinator loads its state; a larger batch is read all the same.",
    ),
    (
        "transaction.state.log.min.isr",
        "How many replicas of the transaction topic must be in sync for a change of a transaction to be accepted.",
    ),
    (
        "transaction.state.log.num.partitions",
        "How many partitions the transaction topic is created with; it must not be changed once the topic exists, since each transactional id belongs to one of them.",
    ),
    (
        "transaction.state.log.replication.factor",
        "How many replicas the transaction topic is created with; until the cluster has so many brokers the topic is not created.",
    ),
    (
        "transaction.state.log.segment.bytes",
        "How many bytes a segment of the transaction topic may have: small segments make for sooner compaction and faster loading.",
    ),
    (
        "transactional.id.expiration.ms",
        "After how many milliseconds without a new transaction a transactional id is forgotten; one with an open transaction is kept.",
    ),
];

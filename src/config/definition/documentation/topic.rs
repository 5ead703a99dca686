//! Documents the keys of topics.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "cleanup.policy",
        "What happens to old records: delete removes old segments, compact keeps the last value of each key, and both may be named.",
    ),
    (
        "compression.gzip.level",
        "How hard gzip tries where the broker compresses the topic, from 1, fast, to 9, small; -1 leaves it to the library.",
    ),
    (
        "compression.lz4.level",
        "How hard lz4 tries where the broker compresses the topic, from 1 to 17; barnabas has one level only, so that this has no effect yet.",
    ),
    (
        "compression.type",
        "How the topic's records are compressed: producer keeps what the producer chose, uncompressed undoes it, and a codec's name has them compressed by it.",
    ),
    (
        "compression.zstd.level",
        "How hard zstd tries where the broker compresses the topic: higher is smaller, lower, down to the negative numbers, is faster.",
    ),
    (
        "delete.retention.ms",
        "For how many milliseconds markers of deleted keys and of transactions stay in the compacted topic, for readers that began before them.",
    ),
    (
        "file.delete.delay.ms",
        "How many milliseconds pass between the removal of a segment from the topic and the deletion of its files.",
    ),
    (
        "flush.messages",
        "After how many new records a log of the topic is written through to the disk with fsync.",
    ),
    (
        "flush.ms",
        "After how many milliseconds a log of the topic with new records is written through to the disk with fsync.",
    ),
    (
        "follower.replication.throttled.replicas",
        "The replicas that fetch no faster than follower.replication.throttled.rate says, as partition:broker separated by commas, or * for all.",
    ),
    (
        "index.interval.bytes",
        "About how many bytes of records lie between two entries of an index of the topic.",
    ),
    (
        "leader.replication.throttled.replicas",
        "The replicas whose followers are sent no more than leader.replication.throttled.rate says, as partition:broker separated by commas, or * for all.",
    ),
    (
        "local.retention.bytes",
        "How many bytes of each partition are kept on the broker's own disk when the topic uses tiered storage, -2 for as many as retention.bytes says; tiered storage is not built yet.",
    ),
    (
        "local.retention.ms",
        "For how many milliseconds segments are kept on the broker's own disk when the topic uses tiered storage, -2 for as long as retention.ms says; tiered storage is not built yet.",
    ),
    (
        "max.compaction.lag.ms",
        "After how many milliseconds a record of the topic must be compacted at the latest, however little there is to clean.",
    ),
    (
        "max.message.bytes",
        "How many bytes a batch of the topic's records may have after compression.",
    ),
    (
        "message.downconversion.enable",
        "Whether the topic's records are converted for consumers so old that they do not understand the present format; without it they are refused.",
    ),
    (
        "message.format.version",
        "The format in which the topic's records are written, by the version of Kafka that introduced it; since 3.0 it is always the latest, so that this has no effect.",
    ),
    (
        "message.timestamp.after.max.ms",
        "How many milliseconds a record's timestamp may lie after the broker's clock before the record is refused; counts if the topic keeps the producer's timestamps.",
    ),
    (
        "message.timestamp.before.max.ms",
        "How many milliseconds a record's timestamp may lie before the broker's clock before the record is refused; counts if the topic keeps the producer's timestamps.",
    ),
    (
        "message.timestamp.difference.max.ms",
        "How many milliseconds a record's timestamp and the broker's clock may differ; counts where the topic's two limits for before and after are not set, which are to be preferred.",
    ),
    (
        "message.timestamp.type",
        "Whose clock the timestamps of the topic's records are of: CreateTime is the producer's, LogAppendTime the broker's.",
    ),
    (
        "min.cleanable.dirty.ratio",
        "Which part of a log of the compacted topic, as a fraction from 0 to 1, must be uncleaned before it is cleaned.",
    ),
    (
        "min.compaction.lag.ms",
        "For how many milliseconds a record of the topic stays uncompacted after it was written.",
    ),
    (
        "min.insync.replicas",
        "How many replicas must be in sync for a partition of the topic to take records that are to be confirmed by all (acks=all).",
    ),
    (
        "preallocate",
        "Whether the file of a new segment of the topic is given its full size at once.",
    ),
    (
        "remote.log.copy.disable",
        "Whether a topic with tiered storage copies no further segments there; cannot be set in a ZooKeeper-mode cluster.",
    ),
    (
        "remote.log.delete.on.disable",
        "Whether the topic's segments in tiered storage are deleted when it stops using that; cannot be set in a ZooKeeper-mode cluster.",
    ),
    (
        "remote.storage.enable",
        "Whether the topic keeps old segments in tiered storage, which is not built yet.",
    ),
    (
        "retention.bytes",
        "How many bytes of each partition of the topic are kept before old segments are deleted, -1 for no limit.",
    ),
    (
        "retention.ms",
        "For how many milliseconds segments of the topic are kept, -1 for no limit.",
    ),
    (
        "segment.bytes",
        "How many bytes a segment of the topic may have before the next is begun.",
    ),
    (
        "segment.index.bytes",
        "How many bytes the index of a segment of the topic may have; when it is full, the next segment is begun.",
    ),
    (
        "segment.jitter.ms",
        "Up to how many milliseconds, drawn at random, a new segment of the topic is begun earlier, so that not all logs do it at once.",
    ),
    (
        "segment.ms",
        "After how many milliseconds a new segment of the topic is begun though the last is not full.",
    ),
    (
        "unclean.leader.election.enable",
        "Whether a replica of the topic that is out of sync may lead when none in sync is alive, which loses records.",
    ),
];

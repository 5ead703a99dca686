//! Documents the keys of logs and their cleaner.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "auto.create.topics.enable",
        "Whether a topic that does not exist is created when a producer, or a consumer that allows it, asks for its metadata.",
    ),
    (
        "compression.gzip.level",
        "How hard gzip tries where the broker compresses, from 1, fast, to 9, small; -1 leaves it to the library.",
    ),
    (
        "compression.lz4.level",
        "How hard lz4 tries where the broker compresses, from 1 to 17; barnabas has one level only, so that this has no effect yet.",
    ),
    (
        "compression.type",
        "How records are compressed that have no setting of their topic: producer keeps what the producer chose, uncompressed undoes it, and a codec's name has them compressed by it.",
    ),
    (
        "compression.zstd.level",
        "How hard zstd tries where the broker compresses: higher is smaller, lower, down to the negative numbers, is faster.",
    ),
    (
        "log.cleaner.backoff.ms",
        "For how many milliseconds the log cleaner rests when there is nothing to clean.",
    ),
    (
        "log.cleaner.dedupe.buffer.size",
        "How many bytes all cleaner threads together have for their maps from keys to offsets; more keys per clean mean fewer passes over the same segments.",
    ),
    (
        "log.cleaner.delete.retention.ms",
        "For how many milliseconds markers of deleted keys and of transactions stay in a compacted log, for readers that began before them.",
    ),
    (
        "log.cleaner.enable",
        "Whether logs are compacted; without it the logs of consumer offsets and of transactions grow without end.",
    ),
    (
        "log.cleaner.io.buffer.load.factor",
        "How full the log cleaner's maps may get, as a fraction: fuller holds more keys, but finds them more slowly.",
    ),
    (
        "log.cleaner.io.buffer.size",
        "How many bytes all cleaner threads together have for their buffers for reading and writing.",
    ),
    (
        "log.cleaner.io.max.bytes.per.second",
        "How many bytes per second the log cleaner may read and write, all its threads together.",
    ),
    (
        "log.cleaner.max.compaction.lag.ms",
        "After how many milliseconds a record must be compacted at the latest, however little there is to clean.",
    ),
    (
        "log.cleaner.min.cleanable.ratio",
        "Which part of a log, as a fraction from 0 to 1, must be uncleaned before it is cleaned: a low one saves space, a high one saves work.",
    ),
    (
        "log.cleaner.min.compaction.lag.ms",
        "For how many milliseconds a record stays uncompacted after it was written.",
    ),
    (
        "log.cleaner.threads",
        "How many threads clean logs; at run time the number can at most be doubled or halved in one step.",
    ),
    (
        "log.cleanup.policy",
        "What happens to old records of topics without a policy of their own: delete removes old segments, compact keeps the last value of each key, and both may be named.",
    ),
    (
        "log.dir",
        "The directory of the logs, used if log.dirs is not set.",
    ),
    (
        "log.dir.failure.timeout.ms",
        "For how many milliseconds a KRaft broker whose log dir has failed tries to tell its controller before it stops; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "log.dirs",
        "The directories of the logs, separated by commas, best one for each disk; log.dir counts if this is not set.",
    ),
    (
        "log.flush.interval.messages",
        "After how many new records a log is written through to the disk with fsync.",
    ),
    (
        "log.flush.interval.ms",
        "After how many milliseconds a log with new records is written through to the disk with fsync; log.flush.scheduler.interval.ms counts if this is not set.",
    ),
    (
        "log.flush.offset.checkpoint.interval.ms",
        "How often, in milliseconds, it is written down up to which offset each log is on disk, where a recovery after a crash begins.",
    ),
    (
        "log.flush.scheduler.interval.ms",
        "How often, in milliseconds, the broker looks for logs that are to be written through to the disk.",
    ),
    (
        "log.flush.start.offset.checkpoint.interval.ms",
        "How often, in milliseconds, it is written down where each log begins, so that deleted records do not come back after a crash.",
    ),
    (
        "log.index.interval.bytes",
        "About how many bytes of records lie between two entries of an index: fewer find a record faster and make the index larger.",
    ),
    (
        "log.index.size.max.bytes",
        "How many bytes the index of a segment may have; when it is full, the next segment is begun.",
    ),
    (
        "log.initial.task.delay.ms",
        "How many milliseconds after the start the background tasks of the logs begin.",
    ),
    (
        "log.local.retention.bytes",
        "How many bytes of a partition with tiered storage are kept on the broker's own disk, -2 for as many as log.retention.bytes says; tiered storage is not built yet.",
    ),
    (
        "log.local.retention.ms",
        "For how many milliseconds segments of a partition with tiered storage are kept on the broker's own disk, -2 for as long as log.retention.ms says; tiered storage is not built yet.",
    ),
    (
        "log.message.downconversion.enable",
        "Whether records are converted for consumers so old that they do not understand the present format; without it they are refused.",
    ),
    (
        "log.message.format.version",
        "The format in which records are written, by the version of Kafka that introduced it; since 3.0 it is always the latest, so that this has no effect.",
    ),
    (
        "log.message.timestamp.after.max.ms",
        "How many milliseconds a record's timestamp may lie after the broker's clock before the record is refused; for topics that keep the producer's timestamps.",
    ),
    (
        "log.message.timestamp.before.max.ms",
        "How many milliseconds a record's timestamp may lie before the broker's clock before the record is refused; for topics that keep the producer's timestamps.",
    ),
    (
        "log.message.timestamp.difference.max.ms",
        "How many milliseconds a record's timestamp and the broker's clock may differ; counts where the two limits for before and after are not set, which are to be preferred.",
    ),
    (
        "log.message.timestamp.type",
        "Whose clock a record's timestamp is of: CreateTime is the producer's, LogAppendTime the broker's.",
    ),
    (
        "log.preallocate",
        "Whether the file of a new segment is given its full size at once, which some file systems reward.",
    ),
    (
        "log.retention.bytes",
        "How many bytes of each partition are kept before old segments are deleted, -1 for no limit.",
    ),
    (
        "log.retention.check.interval.ms",
        "How often, in milliseconds, the broker looks for segments that are to be deleted.",
    ),
    (
        "log.retention.hours",
        "For how many hours segments are kept, -1 for no limit; log.retention.minutes and log.retention.ms win over it.",
    ),
    (
        "log.retention.minutes",
        "For how many minutes segments are kept, -1 for no limit; it wins over log.retention.hours, and log.retention.ms over it.",
    ),
    (
        "log.retention.ms",
        "For how many milliseconds segments are kept, -1 for no limit; it wins over log.retention.minutes and log.retention.hours.",
    ),
    (
        "log.roll.hours",
        "After how many hours a new segment is begun though the last is not full; log.roll.ms wins over it.",
    ),
    (
        "log.roll.jitter.hours",
        "Up to how many hours, drawn at random, a new segment is begun earlier, so that not all logs do it at once; log.roll.jitter.ms wins over it.",
    ),
    (
        "log.roll.jitter.ms",
        "Up to how many milliseconds, drawn at random, a new segment is begun earlier, so that not all logs do it at once; it wins over log.roll.jitter.hours.",
    ),
    (
        "log.roll.ms",
        "After how many milliseconds a new segment is begun though the last is not full; it wins over log.roll.hours.",
    ),
    (
        "log.segment.bytes",
        "How many bytes a segment may have before the next is begun.",
    ),
    (
        "log.segment.delete.delay.ms",
        "How many milliseconds pass between the removal of a segment from its log and the deletion of its files, for those who are still reading them.",
    ),
    (
        "message.max.bytes",
        "How many bytes a batch of records may have after compression, for topics without a limit of their own.",
    ),
    (
        "min.insync.replicas",
        "How many replicas must be in sync for a partition to take records that are to be confirmed by all (acks=all), for topics that do not say so themselves.",
    ),
    (
        "num.partitions",
        "How many partitions a topic is created with that is created automatically or by a request that leaves the number to the broker.",
    ),
    (
        "num.recovery.threads.per.data.dir",
        "How many threads load the logs of each log dir at the start and close them at the end; at run time the number can at most be doubled or halved in one step.",
    ),
    (
        "producer.id.expiration.check.interval.ms",
        "How often, in milliseconds, the logs look for producers that have not written for long.",
    ),
    (
        "producer.id.expiration.ms",
        "After how many milliseconds without a record a log forgets an idempotent producer; one with an open transaction is kept.",
    ),
];

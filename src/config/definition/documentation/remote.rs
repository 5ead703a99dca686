//! Documents the keys of tiered storage, which is not built yet.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "remote.fetch.max.wait.ms",
        "For how many milliseconds a fetch may wait for records from tiered storage; not built yet.",
    ),
    (
        "remote.log.index.file.cache.total.size.bytes",
        "How many bytes of indexes of remote segments are kept on the broker's disk; not built yet.",
    ),
    (
        "remote.log.manager.copier.thread.pool.size",
        "How many threads copy segments to tiered storage, -1 for as many as remote.log.manager.thread.pool.size says; not built yet.",
    ),
    (
        "remote.log.manager.copy.max.bytes.per.second",
        "How many bytes per second may be copied to tiered storage; not built yet.",
    ),
    (
        "remote.log.manager.copy.quota.window.num",
        "Over how many windows of time the rate of copying to tiered storage is measured; not built yet.",
    ),
    (
        "remote.log.manager.copy.quota.window.size.seconds",
        "How many seconds each window has over which the rate of copying to tiered storage is measured; not built yet.",
    ),
    (
        "remote.log.manager.expiration.thread.pool.size",
        "How many threads delete old segments from tiered storage, -1 for as many as remote.log.manager.thread.pool.size says; not built yet.",
    ),
    (
        "remote.log.manager.fetch.max.bytes.per.second",
        "How many bytes per second may be fetched from tiered storage; not built yet.",
    ),
    (
        "remote.log.manager.fetch.quota.window.num",
        "Over how many windows of time the rate of fetching from tiered storage is measured; not built yet.",
    ),
    (
        "remote.log.manager.fetch.quota.window.size.seconds",
        "How many seconds each window has over which the rate of fetching from tiered storage is measured; not built yet.",
    ),
    (
        "remote.log.manager.task.interval.ms",
        "How often, in milliseconds, the broker looks for segments that are to be copied to or deleted from tiered storage; not built yet.",
    ),
    (
        "remote.log.manager.task.retry.backoff.max.ms",
        "How many milliseconds pass at most before a failed task of tiered storage is tried again; not built yet.",
    ),
    (
        "remote.log.manager.task.retry.backoff.ms",
        "How many milliseconds pass before a failed task of tiered storage is tried again for the first time; not built yet.",
    ),
    (
        "remote.log.manager.task.retry.jitter",
        "By which part, as a fraction, the pauses between tries of a task of tiered storage are varied at random; not built yet.",
    ),
    (
        "remote.log.manager.thread.pool.size",
        "How many threads work for tiered storage; not built yet.",
    ),
    (
        "remote.log.metadata.custom.metadata.max.bytes",
        "How many bytes of its own a storage plugin may keep for each remote segment; not built yet.",
    ),
    (
        "remote.log.metadata.manager.class.name",
        "The class that keeps account of the remote segments; not built yet.",
    ),
    (
        "remote.log.metadata.manager.class.path",
        "Where the class that keeps account of the remote segments is loaded from; not built yet.",
    ),
    (
        "remote.log.metadata.manager.impl.prefix",
        "The prefix of the settings that are handed to the class that keeps account of the remote segments; not built yet.",
    ),
    (
        "remote.log.metadata.manager.listener.name",
        "The listener through which the account of the remote segments is kept; not built yet.",
    ),
    (
        "remote.log.reader.max.pending.tasks",
        "How many fetches from tiered storage may wait before further ones are refused; not built yet.",
    ),
    (
        "remote.log.reader.threads",
        "How many threads fetch from tiered storage; not built yet.",
    ),
    (
        "remote.log.storage.manager.class.name",
        "The class that stores remote segments; not built yet.",
    ),
    (
        "remote.log.storage.manager.class.path",
        "Where the class that stores remote segments is loaded from; not built yet.",
    ),
    (
        "remote.log.storage.manager.impl.prefix",
        "The prefix of the settings that are handed to the class that stores remote segments; not built yet.",
    ),
    (
        "remote.log.storage.system.enable",
        "Whether topics may keep old segments in tiered storage; not built yet.",
    ),
];

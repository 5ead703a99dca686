//! Documents the keys of the broker as a whole.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "alter.config.policy.class.name",
        "The class that may refuse changes of configurations; not built yet.",
    ),
    (
        "alter.log.dirs.replication.quota.window.num",
        "Over how many windows of time the rate of copying between log dirs is measured.",
    ),
    (
        "alter.log.dirs.replication.quota.window.size.seconds",
        "How many seconds each window has over which the rate of copying between log dirs is measured.",
    ),
    (
        "auto.include.jmx.reporter",
        "Whether Kafka reports its figures through JMX though metric.reporters does not name that; barnabas has barnabas.metrics.listener instead.",
    ),
    (
        "background.threads",
        "How many threads Kafka has for background tasks; barnabas has those that its tasks need, so that this has no effect.",
    ),
    (
        "broker.id",
        "The number of the broker, one of its own in the cluster; -1 takes it from the log dirs or has one generated.",
    ),
    (
        "broker.id.generation.enable",
        "Whether a broker without a number is given one above reserved.broker.max.id.",
    ),
    (
        "broker.rack",
        "Where the broker stands: the replicas of a partition are spread over racks, and consumers may read in their own.",
    ),
    (
        "client.quota.callback.class",
        "The class that says how much a client may send and fetch; not built yet.",
    ),
    (
        "controller.quota.window.num",
        "Over how many windows of time the rate of changes to topics is measured; not built yet.",
    ),
    (
        "controller.quota.window.size.seconds",
        "How many seconds each window has over which the rate of changes to topics is measured; not built yet.",
    ),
    (
        "create.topic.policy.class.name",
        "The class that may refuse the creation of topics; not built yet.",
    ),
    ("delete.topic.enable", "Whether topics can be deleted."),
    (
        "kafka.metrics.polling.interval.secs",
        "How often, in seconds, the reporters named in kafka.metrics.reporters look at the figures; not built yet.",
    ),
    (
        "kafka.metrics.reporters",
        "Classes that report the broker's older figures; barnabas has barnabas.metrics.listener instead.",
    ),
    (
        "max.request.partition.size.limit",
        "How many partitions a request to describe topics may be answered with at a time; not built yet.",
    ),
    (
        "metric.reporters",
        "Classes that report the broker's figures; barnabas has barnabas.metrics.listener instead.",
    ),
    (
        "metrics.num.samples",
        "Over how many windows of time Kafka's newer figures are measured; not built yet.",
    ),
    (
        "metrics.recording.level",
        "How detailed Kafka's newer figures are: INFO, DEBUG or TRACE; not built yet.",
    ),
    (
        "metrics.sample.window.ms",
        "How many milliseconds each window has over which Kafka's newer figures are measured; not built yet.",
    ),
    (
        "quota.window.num",
        "Over how many windows of time the rates of clients are measured; not built yet.",
    ),
    (
        "quota.window.size.seconds",
        "How many seconds each window has over which the rates of clients are measured; not built yet.",
    ),
    (
        "replication.quota.window.num",
        "Over how many windows of time the rates of throttled replication are measured.",
    ),
    (
        "replication.quota.window.size.seconds",
        "How many seconds each window has over which the rates of throttled replication are measured.",
    ),
    (
        "reserved.broker.max.id",
        "The highest number that a person may give a broker; generated ones lie above it.",
    ),
    (
        "telemetry.max.bytes",
        "How many bytes of figures a client may push at a time; that exists in KRaft clusters only.",
    ),
];

//! Documents the keys of listeners and connections.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "advertised.listeners",
        "The addresses that clients and other brokers are told to connect to, as LISTENER://host:port separated by commas, where they differ from listeners.",
    ),
    (
        "connections.max.idle.ms",
        "After how many milliseconds without a request a connection is closed, -1 for never.",
    ),
    (
        "control.plane.listener.name",
        "The listener through which the controller and the brokers talk about the cluster, so that clients' requests do not hold them up; by default it is that of the brokers.",
    ),
    (
        "inter.broker.listener.name",
        "The listener through which brokers talk to each other; it cannot be set together with security.inter.broker.protocol.",
    ),
    (
        "listener.security.protocol.map",
        "How each listener talks, as LISTENER:PROTOCOL separated by commas, where the protocol is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    ),
    (
        "listeners",
        "The addresses at which the broker listens, as LISTENER://host:port separated by commas; no host stands for every interface.",
    ),
    (
        "max.connection.creation.rate",
        "How many new connections per second the broker accepts; not built yet.",
    ),
    (
        "max.connections",
        "How many connections the broker keeps at a time: beyond that it accepts no further one until one ends, except on the listener of the brokers.",
    ),
    (
        "max.connections.per.ip",
        "How many connections one address may have at a time; further ones are closed at once.",
    ),
    (
        "max.connections.per.ip.overrides",
        "Other numbers for max.connections.per.ip, as host:count separated by commas.",
    ),
    (
        "num.io.threads",
        "How many threads carry out requests; barnabas does so on as many as the machine has processors, so that this has no effect.",
    ),
    (
        "num.network.threads",
        "How many threads read requests and send responses; barnabas does so on as many as the machine has processors, so that this has no effect.",
    ),
    (
        "queued.max.request.bytes",
        "How many bytes of requests may wait to be carried out before no further ones are read, -1 for no limit; not built yet.",
    ),
    (
        "queued.max.requests",
        "How many requests are carried out at a time before no further ones are read.",
    ),
    (
        "security.inter.broker.protocol",
        "How brokers talk to each other, which is also the name of their listener; it cannot be set together with inter.broker.listener.name.",
    ),
    (
        "socket.connection.setup.timeout.max.ms",
        "How many milliseconds the setup of a connection to another broker may take after repeated failures; not built yet.",
    ),
    (
        "socket.connection.setup.timeout.ms",
        "How many milliseconds the setup of a connection to another broker may take at first; not built yet.",
    ),
    (
        "socket.listen.backlog.size",
        "How many connections may wait to be accepted; the operating system may allow fewer.",
    ),
    (
        "socket.receive.buffer.bytes",
        "The size in bytes of the operating system's buffer for what a connection receives, -1 for the system's own choice.",
    ),
    (
        "socket.request.max.bytes",
        "How many bytes a request may have; a connection that announces more is closed.",
    ),
    (
        "socket.send.buffer.bytes",
        "The size in bytes of the operating system's buffer for what a connection sends, -1 for the system's own choice.",
    ),
];

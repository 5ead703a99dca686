//! Documents the keys of the ZooKeeper session.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "zookeeper.clientCnxnSocket",
        "The class with which the JVM's ZooKeeper client makes connections; without effect here.",
    ),
    (
        "zookeeper.connect",
        "The addresses of the ZooKeeper servers as host:port separated by commas, and after the last one the path below which the cluster keeps its data.",
    ),
    (
        "zookeeper.connection.timeout.ms",
        "For how many milliseconds a starting broker waits for a ZooKeeper server; zookeeper.session.timeout.ms counts if this is not set.",
    ),
    (
        "zookeeper.max.in.flight.requests",
        "How many requests the broker sends to ZooKeeper before it waits for answers; with the default a controller of many partitions waits for round trips, so that barnabas sends up to 1,000 unless it is set.",
    ),
    (
        "zookeeper.metadata.migration.enable",
        "Whether the cluster moves to KRaft, which is refused: barnabas stays with ZooKeeper.",
    ),
    (
        "zookeeper.metadata.migration.min.batch.size",
        "How many records a migration to KRaft collects into a batch; without effect here.",
    ),
    (
        "zookeeper.session.timeout.ms",
        "After how many milliseconds without a sign of life ZooKeeper takes the broker for dead; the server's own limits apply.",
    ),
    (
        "zookeeper.set.acl",
        "Whether only the brokers may change what they write to ZooKeeper.",
    ),
    (
        "zookeeper.ssl.cipher.suites",
        "The cipher suites that the TLS connection to ZooKeeper may use; not built yet.",
    ),
    (
        "zookeeper.ssl.client.enable",
        "Whether the broker talks to ZooKeeper through TLS.",
    ),
    (
        "zookeeper.ssl.crl.enable",
        "Whether lists of revoked certificates are looked at when ZooKeeper's is checked; not built yet.",
    ),
    (
        "zookeeper.ssl.enabled.protocols",
        "The versions of TLS that the connection to ZooKeeper may use; not built yet.",
    ),
    (
        "zookeeper.ssl.endpoint.identification.algorithm",
        "How the name of a ZooKeeper server is checked against its certificate: https does, the empty text does not.",
    ),
    (
        "zookeeper.ssl.keystore.location",
        "The file with the private key and the certificate that the broker shows to ZooKeeper.",
    ),
    (
        "zookeeper.ssl.keystore.password",
        "The password of the file with the private key that the broker uses towards ZooKeeper.",
    ),
    (
        "zookeeper.ssl.keystore.type",
        "The format of the keystore that the broker uses towards ZooKeeper.",
    ),
    (
        "zookeeper.ssl.ocsp.enable",
        "Whether ZooKeeper's certificate is asked about by OCSP; not built yet.",
    ),
    (
        "zookeeper.ssl.protocol",
        "The version of TLS in which the connection to ZooKeeper begins; not built yet.",
    ),
    (
        "zookeeper.ssl.truststore.location",
        "The file with the certificates by which ZooKeeper is trusted.",
    ),
    (
        "zookeeper.ssl.truststore.password",
        "The password of the file with the certificates by which ZooKeeper is trusted.",
    ),
    (
        "zookeeper.ssl.truststore.type",
        "The format of the file with the certificates by which ZooKeeper is trusted.",
    ),
];

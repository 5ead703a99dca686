//! Defines the broker keys of the ZooKeeper session. Kafka 3.9: `ZkConfigs`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "zookeeper.clientCnxnSocket", String, null, Any, ReadOnly, Honoured;
    "zookeeper.connect", String, null, Any, ReadOnly, Honoured;
    "zookeeper.connection.timeout.ms", Int, null, Any, ReadOnly, Honoured;
    "zookeeper.max.in.flight.requests", Int, "10", AtLeast(1), ReadOnly, Honoured;
    "zookeeper.metadata.migration.enable", Boolean, "false", Any, ReadOnly, NoEffect;
    "zookeeper.metadata.migration.min.batch.size", Int, "200", AtLeast(1), ReadOnly, NoEffect;
    "zookeeper.session.timeout.ms", Int, "18000", Any, ReadOnly, Honoured;
    "zookeeper.set.acl", Boolean, "false", Any, ReadOnly, Honoured;
    "zookeeper.ssl.cipher.suites", List, null, Any, ReadOnly, NotYet;
    "zookeeper.ssl.client.enable", Boolean, "false", Any, ReadOnly, Honoured;
    "zookeeper.ssl.crl.enable", Boolean, "false", Any, ReadOnly, NotYet;
    "zookeeper.ssl.enabled.protocols", List, null, Any, ReadOnly, NotYet;
    "zookeeper.ssl.endpoint.identification.algorithm", String, "HTTPS", Any, ReadOnly, Honoured;
    "zookeeper.ssl.keystore.location", String, null, Any, ReadOnly, Honoured;
    "zookeeper.ssl.keystore.password", Password, null, Any, ReadOnly, Honoured;
    "zookeeper.ssl.keystore.type", String, null, Any, ReadOnly, Honoured;
    "zookeeper.ssl.ocsp.enable", Boolean, "false", Any, ReadOnly, NotYet;
    "zookeeper.ssl.protocol", String, "TLSv1.2", Any, ReadOnly, NotYet;
    "zookeeper.ssl.truststore.location", String, null, Any, ReadOnly, Honoured;
    "zookeeper.ssl.truststore.password", Password, null, Any, ReadOnly, Honoured;
    "zookeeper.ssl.truststore.type", String, null, Any, ReadOnly, Honoured;
}

//! Defines the broker keys of listeners, connections and request threads. Kafka 3.9: `SocketServerConfigs`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "advertised.listeners", String, null, Any, PerBroker, AtStart;
    "connections.max.idle.ms", Long, "600000", Any, ReadOnly, Honoured;
    "control.plane.listener.name", String, null, Any, ReadOnly, Honoured;
    "inter.broker.listener.name", String, null, Any, ReadOnly, Honoured;
    "listener.security.protocol.map", String, "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any, PerBroker, AtStart;
    "listeners", String, "PLAINTEXT://:9092", Any, PerBroker, AtStart;
    "max.connection.creation.rate", Int, "2147483647", AtLeast(0), ClusterWide, NotYet;
    "max.connections", Int, "2147483647", AtLeast(0), ClusterWide, Honoured;
    "max.connections.per.ip", Int, "2147483647", AtLeast(0), ClusterWide, Honoured;
    "max.connections.per.ip.overrides", String, "", Any, ClusterWide, Honoured;
    "num.io.threads", Int, "8", AtLeast(1), ClusterWide, NoEffect;
    "num.network.threads", Int, "3", AtLeast(1), ClusterWide, NoEffect;
    "queued.max.request.bytes", Long, "-1", Any, ReadOnly, NotYet;
    "queued.max.requests", Int, "500", AtLeast(1), ReadOnly, Honoured;
    "security.inter.broker.protocol", String, "PLAINTEXT", OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), ReadOnly, Honoured;
    "socket.connection.setup.timeout.max.ms", Long, "30000", Any, ReadOnly, NotYet;
    "socket.connection.setup.timeout.ms", Long, "10000", Any, ReadOnly, NotYet;
    "socket.listen.backlog.size", Int, "50", AtLeast(1), ReadOnly, Honoured;
    "socket.receive.buffer.bytes", Int, "102400", Any, ReadOnly, Honoured;
    "socket.request.max.bytes", Int, "104857600", AtLeast(1), ReadOnly, Honoured;
    "socket.send.buffer.bytes", Int, "102400", Any, ReadOnly, Honoured;
}

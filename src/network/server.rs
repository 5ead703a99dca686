//! Listeners, connections and their limits. Kafka 3.9: `SocketServer`.

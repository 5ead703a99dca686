//! Producer ids out of blocks that the controller hands out. Kafka 3.9: `RPCProducerIdManager`.

/// Hands out producer ids.
pub struct ProducerIdManager {}

//! Every znode path, once. Kafka 3.9: `ZkData`.

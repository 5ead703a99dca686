//! The data of every znode: encode and decode, one noun a file. Kafka 3.9: `ZkData`.

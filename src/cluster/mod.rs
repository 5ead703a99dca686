//! L3. One partition on this broker: leadership, in-sync replicas, high watermark. Kafka 3.9: `Partition`, `Replica`.

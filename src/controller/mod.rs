//! L5. The controller of a ZooKeeper-mode cluster. Imports `common`, `config`, `protocol`, `zk`, `network`; knows
//! nothing of logs, sockets or replicas. Kafka 3.9: `KafkaController`.

pub mod handle;

pub use handle::ControllerHandle;

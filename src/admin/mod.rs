//! L5. Topics and configurations as znodes: validated, written, told to every broker.
//! Kafka 3.9: `ZkAdminManager`, `AdminZkClient`, `ZkConfigManager`.

/// Writes topics and configurations to ZooKeeper.
pub struct AdminManager {}

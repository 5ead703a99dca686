//! Defines the broker keys that exist only in ZooKeeper. `server.properties` does not have them, and DescribeConfigs
//! shows them only where they are set. Kafka 3.9: `DynamicConfig.Broker`, `QuotaConfigs`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "follower.replication.throttled.rate", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured;
    "leader.replication.throttled.rate", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured;
    "replica.alter.log.dirs.io.max.bytes.per.second", Long, "9223372036854775807", AtLeast(0), ClusterWide, Honoured;
}

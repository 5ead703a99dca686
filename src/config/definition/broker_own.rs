//! Defines the broker keys that Kafka does not have. They start with `barnabas.`, and DescribeConfigs does not show
//! them, because tools compare Kafka's brokers with these brokers.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "barnabas.metrics.listener", String, null, Any, ReadOnly, Honoured;
}

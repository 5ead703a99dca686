//! Broker keys that Kafka does not have. They begin with `barnabas.`, and DescribeConfigs does not show them: tools
//! compare brokers of both kinds.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "barnabas.metrics.listener", String, null, Any, ReadOnly, Honoured;
}

//! Starts ZooKeeper, barnabas and Apache Kafka nodes for tests.

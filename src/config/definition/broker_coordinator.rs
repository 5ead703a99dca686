//! Defines the broker keys of the group and transaction coordinators. Kafka 3.9: `GroupCoordinatorConfig`,
//! `TransactionStateManagerConfigs`.

use super::key::keys;

keys! {
    // name, type, default, rule, update mode, support
    "group.consumer.assignors", List, "org.apache.kafka.coordinator.group.assignor.UniformAssignor,org.apache.kafka.coordinator.group.assignor.RangeAssignor", Any, ReadOnly, NoEffect;
    "group.consumer.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NoEffect;
    "group.consumer.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), ReadOnly, NoEffect;
    "group.consumer.max.session.timeout.ms", Int, "60000", AtLeast(1), ReadOnly, NoEffect;
    "group.consumer.max.size", Int, "2147483647", AtLeast(1), ReadOnly, NoEffect;
    "group.consumer.migration.policy", String, "disabled", OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), ReadOnly, NoEffect;
    "group.consumer.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NoEffect;
    "group.consumer.min.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NoEffect;
    "group.consumer.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NoEffect;
    "group.coordinator.append.linger.ms", Int, "10", AtLeast(0), ReadOnly, NoEffect;
    "group.coordinator.new.enable", Boolean, "false", Any, ReadOnly, NoEffect;
    "group.coordinator.rebalance.protocols", List, "classic", ListOf(&["consumer", "classic", "share", "unknown"]), ReadOnly, NoEffect;
    "group.coordinator.threads", Int, "1", AtLeast(1), ReadOnly, NoEffect;
    "group.initial.rebalance.delay.ms", Int, "3000", Any, ReadOnly, Honoured;
    "group.max.session.timeout.ms", Int, "1800000", Any, ReadOnly, Honoured;
    "group.max.size", Int, "2147483647", AtLeast(1), ReadOnly, Honoured;
    "group.min.session.timeout.ms", Int, "6000", Any, ReadOnly, Honoured;
    "group.share.delivery.count.limit", Int, "5", Between(2, 10), ReadOnly, NoEffect;
    "group.share.enable", Boolean, "false", Any, ReadOnly, NoEffect;
    "group.share.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NoEffect;
    "group.share.max.groups", Short, "10", Between(1, 100), ReadOnly, NoEffect;
    "group.share.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), ReadOnly, NoEffect;
    "group.share.max.record.lock.duration.ms", Int, "60000", Between(30000, 3600000), ReadOnly, NoEffect;
    "group.share.max.session.timeout.ms", Int, "60000", AtLeast(1), ReadOnly, NoEffect;
    "group.share.max.size", Short, "200", Between(10, 1000), ReadOnly, NoEffect;
    "group.share.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NoEffect;
    "group.share.min.record.lock.duration.ms", Int, "15000", Between(1000, 30000), ReadOnly, NoEffect;
    "group.share.min.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NoEffect;
    "group.share.partition.max.record.locks", Int, "200", Between(100, 10000), ReadOnly, NoEffect;
    "group.share.record.lock.duration.ms", Int, "30000", Between(1000, 60000), ReadOnly, NoEffect;
    "group.share.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NoEffect;
    "offset.metadata.max.bytes", Int, "4096", Any, ReadOnly, Honoured;
    "offsets.commit.required.acks", Short, "-1", Any, ReadOnly, Honoured;
    "offsets.commit.timeout.ms", Int, "5000", AtLeast(1), ReadOnly, Honoured;
    "offsets.load.buffer.size", Int, "5242880", AtLeast(1), ReadOnly, Honoured;
    "offsets.retention.check.interval.ms", Long, "600000", AtLeast(1), ReadOnly, Honoured;
    "offsets.retention.minutes", Int, "10080", AtLeast(1), ReadOnly, Honoured;
    "offsets.topic.compression.codec", Int, "0", Any, ReadOnly, Honoured;
    "offsets.topic.num.partitions", Int, "50", AtLeast(1), ReadOnly, Honoured;
    "offsets.topic.replication.factor", Short, "3", AtLeast(1), ReadOnly, Honoured;
    "offsets.topic.segment.bytes", Int, "104857600", AtLeast(1), ReadOnly, Honoured;
    "transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", AtLeast(1), ReadOnly, Honoured;
    "transaction.max.timeout.ms", Int, "900000", AtLeast(1), ReadOnly, Honoured;
    "transaction.partition.verification.enable", Boolean, "true", Any, ClusterWide, Honoured;
    "transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000", AtLeast(1), ReadOnly, Honoured;
    "transaction.state.log.load.buffer.size", Int, "5242880", AtLeast(1), ReadOnly, Honoured;
    "transaction.state.log.min.isr", Int, "2", AtLeast(1), ReadOnly, Honoured;
    "transaction.state.log.num.partitions", Int, "50", AtLeast(1), ReadOnly, Honoured;
    "transaction.state.log.replication.factor", Short, "3", AtLeast(1), ReadOnly, Honoured;
    "transaction.state.log.segment.bytes", Int, "104857600", AtLeast(1), ReadOnly, Honoured;
    "transactional.id.expiration.ms", Int, "604800000", AtLeast(1), ReadOnly, Honoured;
}

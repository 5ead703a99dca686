//! Tests the assignment of partitions to fetchers, and the events that stop fetching.

use super::*;
use crate::cluster::LeadershipDecision;
use crate::common::clock::ManualClock;
use crate::common::leader_and_isr::{LeaderAndIsr, ReplicaAssignment};
use crate::config::LogConfig;
use crate::log::LogManager;
use crate::log::testing::NOW_MS;
use crate::metadata::MetadataCache;
use crate::network::ChannelBuilder;
use crate::replica::ReplicaManager;

#[test]
fn partitions_are_spread_as_in_kafka() {
    // "test".hashCode() is 3556498; "日本".hashCode() is 26085 * 31 + 26412 = 835047.
    for (topic, partition, fetchers, expected) in [
        ("test", 0, 7, (3_556_498_i64 * 31) % 7),
        ("test", 3, 7, (3_556_498_i64 * 31 + 3) % 7),
        ("日本", 1, 5, (835_047_i64 * 31 + 1) % 5),
        ("test", 1, 1, 0),
    ] {
        let id = fetcher_id(&TopicPartition::new(topic, partition), fetchers);
        assert_eq!(id as i64, expected, "{topic}-{partition} of {fetchers}");
    }
}

/// Broker 1, without partitions.
fn replica_manager(folder: &std::path::Path) -> (Arc<ReplicaManager>, Arc<LogManager>) {
    let config = Arc::new(BrokerConfig::for_test(1, folder));
    let (clock, metrics) = (ManualClock::at(NOW_MS), Registry::default());
    let logs = LogManager::open(&config, &|_| LogConfig::default(), clock.clone(), &metrics).unwrap();
    let manager = ReplicaManager::new(
        config,
        &ChannelBuilder::plaintext(),
        logs.clone(),
        Arc::new(MetadataCache::default()),
        clock,
        Arc::new(|_: &str| LogConfig::default()),
        Arc::new(|| 1),
        &metrics,
    );
    (manager, logs)
}

#[tokio::test]
async fn what_failed_in_an_earlier_epoch_goes_on_in_the_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let (manager, logs) = replica_manager(folder.path());
    let name = TopicPartition::new("t", 0);
    let log = logs
        .get_or_create_log(&name, None, true, LogConfig::default())
        .unwrap();
    let partition = Arc::new(Partition::new(name.clone(), 1, 30_000));
    // No broker listens at this address: the test is about assignments, not about records.
    let leader = leader(2);
    let fetchers = &manager.fetchers;
    for epoch in [2, 3] {
        let decision = LeadershipDecision {
            controller_epoch: 1,
            leader_and_isr: LeaderAndIsr {
                leader_epoch: epoch,
                partition_epoch: epoch,
                ..LeaderAndIsr::initial(2, vec![1, 2])
            },
            assignment: ReplicaAssignment {
                replicas: vec![1, 2],
                ..ReplicaAssignment::default()
            },
            is_new: false,
        };
        assert_eq!(partition.become_follower(&decision, log.clone()), Some(true));
        let assignment = FetchAssignment {
            partition: partition.clone(),
            topic_id: None,
            leader: leader.clone(),
            epoch,
        };
        fetchers.assign(vec![assignment]);
    }

    fetchers.assignments.fail(&name, 2);
    assert_eq!(fetchers.assignments.fetchers.lock().epoch(&name), Some(3));
    assert_eq!(fetchers.failed_partitions(), 0);
    fetchers.assignments.fail(&name, 3);
    assert_eq!(fetchers.assignments.fetchers.lock().epoch(&name), None);
    assert_eq!(fetchers.failed_partitions(), 1);
    fetchers.shutdown().await;
}

fn leader(id: BrokerId) -> BrokerAddress {
    // No broker listens at this address.
    BrokerAddress::plaintext(id, "127.0.0.1", 1)
}

#[tokio::test]
async fn another_number_of_fetchers_takes_the_partitions_over() {
    let folder = tempfile::tempdir().unwrap();
    let (manager, logs) = replica_manager(folder.path());
    let fetchers = &manager.fetchers;
    let names: Vec<_> = (0..12).map(|number| TopicPartition::new("t", number)).collect();
    let mut assignments = Vec::new();
    for name in &names {
        let log = logs
            .get_or_create_log(name, None, true, LogConfig::default())
            .unwrap();
        let partition = Arc::new(Partition::new(name.clone(), 1, 30_000));
        let decision = LeadershipDecision {
            controller_epoch: 1,
            leader_and_isr: LeaderAndIsr::initial(2, vec![1, 2]),
            assignment: ReplicaAssignment {
                replicas: vec![1, 2],
                ..ReplicaAssignment::default()
            },
            is_new: false,
        };
        assert_eq!(partition.become_follower(&decision, log), Some(true));
        assignments.push(FetchAssignment {
            partition,
            topic_id: None,
            leader: leader(2),
            epoch: 0,
        });
    }
    fetchers.assign(assignments);
    let fetcher = |number| {
        fetchers
            .assignments
            .fetchers
            .lock()
            .by_key
            .get(&(2, number))
            .cloned()
    };
    let first = fetcher(0).unwrap();
    assert_eq!(first.partitions.lock().len(), 12);

    fetchers.resize(4);
    assert!(first.stop.is_cancelled() && first.partitions.lock().is_empty());
    for number in 0..4 {
        let partitions: Vec<_> = fetcher(number)
            .unwrap()
            .partitions
            .lock()
            .keys()
            .cloned()
            .collect();
        assert_eq!(partitions.len(), 3);
        assert!(partitions.iter().all(|name| fetcher_id(name, 4) == number));
    }
    for name in &names {
        assert_eq!(
            fetchers.assignments.fetchers.lock().epoch(name),
            Some(0),
            "{name}"
        );
    }
    // Fetchers that succeed running fetchers wait for all of them.
    fetchers.resize(2);
    let last = fetcher(1).unwrap();
    assert_eq!(last.predecessors.len(), 4);
    first.ended.cancelled().await;
    for predecessor in &last.predecessors {
        predecessor.cancelled().await;
    }
    fetchers.remove(&names[..6]);
    assert_eq!(
        names
            .iter()
            .filter(|name| fetchers.assignments.fetchers.lock().epoch(name).is_some())
            .count(),
        6
    );
    assert_eq!(fetchers.failed_partitions(), 0);
    fetchers.shutdown().await;
    assert!(last.ended.is_cancelled());
}

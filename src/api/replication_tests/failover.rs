//! Leaders that stop, and followers that come back.

use super::cluster::*;
use crate::common::error::ErrorCode;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_returns_with_a_longer_log_cuts_it_to_that_of_the_new_one() {
    let mut cluster = TestCluster::start(3).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    // Broker 1 goes on alone: what it appends now is acknowledged only to clients with acks=1.
    for id in [2, 3] {
        cluster.stop_broker(id).await;
    }
    cluster.produce_ok(1, 0, 1, &["lost"]).await;
    cluster.produce_ok(1, 0, 1, &["lost too"]).await;
    cluster.stop_broker(1).await;
    for id in [2, 3] {
        cluster.start_broker(id).await;
    }
    cluster.elect(0, 2, &[2, 3]).await;
    cluster.produce_ok(2, 0, -1, &["b"]).await;
    cluster.start_broker(1).await;
    cluster.update_metadata().await;
    cluster.elect(0, 2, &[2, 3]).await;
    eventually("broker 1 is in the isr again", || cluster.isr(0) == [2, 3, 1]).await;
    cluster.produce_ok(2, 0, -1, &["c"]).await;
    cluster.until_equal(0).await;
    assert_eq!(cluster.brokers[&1].log(0).log_end_offset(), 3, "a, b, c");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_goes_round_under_load_and_nothing_acknowledged_is_lost() {
    let cluster = TestCluster::start(3).await;
    cluster.create_partition(0, 1).await;
    let mut acknowledged = Vec::new();
    for round in 0..12_i32 {
        let leader = 1 + round % 3;
        cluster.elect(0, leader, &[1, 2, 3]).await;
        for n in 0..5 {
            let value = format!("{round}-{n}");
            let offset = cluster.produce_ok(leader, 0, -1, &[&value]).await;
            acknowledged.push((offset, value));
        }
    }
    cluster.until_equal(0).await;
    let read = super::reading::read_all(&cluster.brokers[&2], 0).await;
    assert_eq!(read, acknowledged);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_disk_is_filled_again() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    for n in 0..20 {
        cluster.produce_ok(1, 0, -1, &[&n.to_string()]).await;
    }
    cluster.stop_broker(2).await;
    cluster.replace_disk(2);
    cluster.start_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    eventually("broker 2 is in the isr again", || cluster.isr(0) == [1, 2]).await;
    cluster.until_equal(0).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_away_for_longer_than_the_retention_starts_anew() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    for n in 0..10 {
        cluster.produce_ok(1, 0, -1, &[&n.to_string()]).await;
    }
    let leader_log = cluster.brokers[&1].log(0);
    assert_eq!(leader_log.maybe_increment_log_start_offset(8), Ok(true));
    cluster.start_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    eventually("broker 2 is in the isr again", || cluster.isr(0) == [1, 2]).await;
    let log = cluster.brokers[&2].log(0);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (8, 11));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclean_leader_with_a_shorter_log_cuts_the_others() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    cluster.produce_ok(1, 0, -1, &["gone"]).await;
    cluster.stop_broker(1).await;
    cluster.start_broker(2).await;
    cluster.elect(0, 2, &[2]).await;
    cluster.produce_ok(2, 0, -1, &["b"]).await;
    cluster.start_broker(1).await;
    cluster.elect(0, 2, &[2]).await;
    eventually("broker 1 is in the isr again", || cluster.isr(0) == [2, 1]).await;
    cluster.until_equal(0).await;
    let read = super::reading::read_all(&cluster.brokers[&1], 0).await;
    assert_eq!(read, [(0, "a".to_owned()), (1, "b".to_owned())]);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_stops_leaves_the_isr_and_comes_back() {
    let mut cluster = TestCluster::start(3).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    cluster.stop_broker(3).await;
    cluster.produce_ok(1, 0, 1, &["b"]).await;
    eventually("broker 2 has it", || {
        cluster.brokers[&2].log(0).log_end_offset() == 2
    })
    .await;
    assert_eq!(
        cluster.brokers[&1].log(0).high_watermark(),
        1,
        "3 is in the isr still"
    );
    cluster.clock.advance(30_001);
    // Broker 2 shows itself once more, broker 3 does not.
    let leader = &cluster.brokers[&1];
    eventually("broker 3 is out of the isr", || {
        leader.replicas.expire_isr();
        cluster.isr(0) == [1, 2]
    })
    .await;
    eventually("the high watermark moves on", || {
        leader.log(0).high_watermark() == 2
    })
    .await;
    cluster.start_broker(3).await;
    cluster.update_metadata().await;
    let response = cluster.tell_one(&cluster.brokers[&3], 0, false).await;
    assert_eq!(response.topics[0].partition_errors[0].error_code, 0);
    eventually("broker 3 is in the isr", || cluster.isr(0) == [1, 2, 3]).await;
    cluster.until_equal(0).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_repeated_until_the_controller_decides() {
    let mut cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.stop_broker(2).await;
    cluster.elect(0, 1, &[1]).await;
    cluster.controller.lock().refuse_with = Some(ErrorCode::NotController);
    cluster.start_broker(2).await;
    cluster.update_metadata().await;
    cluster.tell_one(&cluster.brokers[&2], 0, false).await;
    eventually("it was asked and asked again", || {
        cluster.controller.lock().asked >= 3
    })
    .await;
    assert_eq!(cluster.isr(0), [1]);
    cluster.controller.lock().refuse_with = None;
    eventually("broker 2 is in the isr", || cluster.isr(0) == [1, 2]).await;
    let state = cluster.brokers[&1].replicas.partition(&name(0)).unwrap();
    eventually("and its leader knows", || {
        state.state().isr().committed() == [1, 2]
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_assigned_to_a_fetcher_that_waits_are_fetched_at_once() {
    let cluster = TestCluster::start(2).await;
    cluster.create_partition(0, 1).await;
    cluster.produce_ok(1, 0, -1, &["a"]).await;
    // From now on broker 2's one fetcher hangs at broker 1 for up to half a second at a time.
    let begin = std::time::Instant::now();
    for partition in 1..=5 {
        cluster.create_partition(partition, 1).await;
        cluster.produce_ok(1, partition, -1, &["b"]).await;
    }
    assert!(
        begin.elapsed().as_millis() < 1_500,
        "five times half a second would be 2500: {:?}",
        begin.elapsed()
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn high_watermarks_survive_a_restart() {
    let mut cluster = TestCluster::start(1).await;
    cluster.create_partition(0, 1).await;
    cluster.create_partition(1, 1).await;
    for n in 0..3 {
        cluster.produce_ok(1, 0, -1, &[&n.to_string()]).await;
    }
    cluster.produce_ok(1, 1, -1, &["x"]).await;
    for _ in 0..2 {
        cluster.stop_broker(1).await;
        cluster.start_broker(1).await;
        // Only one of the two partitions is heard of: the other's high watermark must outlive another restart.
        cluster.elect(1, 1, &[1]).await;
    }
    assert_eq!(
        cluster.brokers[&1]
            .log_manager
            .checkpointed_high_watermark(&name(0)),
        Some(3)
    );
    assert_eq!(cluster.brokers[&1].log(1).high_watermark(), 1);
    cluster.shutdown().await;
}

//! Compares the group coordinator with Apache Kafka's. Both give the same answers to every request in every version in
//! every state of a group, and write the same records to `__consumer_offsets`.

mod lifetimes;
mod memberships;
mod offsets;
mod rebalances;
mod records;
mod states;
mod support;
mod transactions;

use anyhow::Result;
use barnabas_testcontainers::parity::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_in_every_state_is_answered_as_apache_kafka_answers_it() -> Result<()> {
    let mut pair = Pair::start(support::configure).await?;
    pair.play("topics", support::topics).await;
    pair.play("unborn", lifetimes::unborn).await;
    pair.play("preparation", support::prepare).await;
    tokio::join!(
        pair.play("unknown", states::unknown),
        pair.play("simple", states::simple),
        pair.play("empty", states::empty),
        pair.play("preparing", states::preparing),
        pair.play("completing", states::completing),
        pair.play("stable", states::stable),
        pair.play("dead", states::dead),
    );
    tokio::join!(
        pair.play("lives", rebalances::lives),
        pair.play("pending members", rebalances::pending),
        pair.play("crowds", rebalances::crowds),
        pair.play("waits", rebalances::waits),
        pair.play("rejoins", rebalances::rejoins),
        pair.play("sessions", rebalances::sessions),
        pair.play("missing sync", rebalances::missing_sync),
        pair.play("hang-ups", rebalances::hang_ups),
        pair.play("instances", memberships::instances),
        pair.play("static leaders", memberships::static_leaders),
        pair.play("departures", memberships::departures),
        pair.play("votes", memberships::votes),
        pair.play("initial delay", rebalances::initial_delay),
    );
    tokio::join!(
        pair.play("commits", offsets::commits),
        pair.play("in ZooKeeper", offsets::in_zookeeper),
        pair.play("deletions", offsets::deletions),
        pair.play("transactions", transactions::lives),
        pair.play("transactional members", transactions::members),
        pair.play("transactional deletions", transactions::deletions),
        pair.play("coordinators", offsets::coordinators),
    );
    pair.play("nameless", offsets::nameless).await;
    // This story removes every empty group, even a group that another story is going to use.
    pair.play("deleted topics", offsets::deleted_topics).await;
    pair.play("znodes", offsets::znodes).await;
    pair.play("lists", offsets::lists).await;
    pair.restart(lifetimes::reconfigure).await?;
    pair.play("reloaded", lifetimes::reloaded).await;
    pair.play("expiry", lifetimes::expiry).await;
    pair.play("records", records::compare).await;
    pair.finish()
}

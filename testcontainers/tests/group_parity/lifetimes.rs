//! Stories before the internal topic exists and after a restart: groups and offsets are loaded again, and old offsets
//! expire.

use anyhow::Result;
use barnabas_testcontainers::Broker;
use barnabas_testcontainers::parity::{Story, messages::*};
use barnabas_testcontainers::raw::Bytes as RawBytes;

use crate::offsets::offset_delete;
use crate::support::*;

/// The answer to every request tells the client to look for the coordinator. No client has done so yet, so the internal
/// topic does not exist.
pub async fn unborn(story: Story) -> Result<()> {
    let id = "g";
    let some: &[(&str, &[i32])] = &[("t", &[0, 1]), ("nowhere", &[0])];
    for version in 0..=9 {
        story.ask("joining", version, join(id, version, "", None)).await?;
        let offsets = commit(id, version, "", -1, &[("t", 0, 5, None), ("nowhere", 0, 5, None)]);
        story.ask("a commit", version, offsets).await?;
        // Kafka tells a client of version 1 that the group has no committed offset, so the client starts from the
        // beginning. barnabas does not do this.
        if version != 1 {
            story
                .ask("offsets", version, fetch(id, version, Some(some)))
                .await?;
        }
        if version <= 5 {
            story.ask("a sync", version, sync(id, version, "m", 1)).await?;
            story.ask("describing", version, describe(&[id, ""])).await?;
            story
                .ask("listing", version, ListGroupsRequest::default())
                .await?;
        }
        if version <= 4 {
            story.ask("a heartbeat", version, heartbeat(id, "m", 1)).await?;
        }
        if version <= 2 {
            story.ask("deleting", version, delete(&[id, ""])).await?;
            let leave = LeaveGroupRequest::default()
                .with_group_id(group(id))
                .with_member_id(text("m"));
            story.ask("leaving", version, leave).await?;
        }
    }
    let leave = LeaveGroupRequest::default().with_group_id(group(id));
    story.ask("nobody leaves", 5, leave).await?;
    story
        .ask(
            "deleting offsets",
            0,
            offset_delete(id, &[("t", 0), ("nowhere", 0)]),
        )
        .await?;
    for (api, key, version) in [
        ("OffsetCommit", 8, 1),
        ("OffsetFetch", 9, 1),
        ("JoinGroup", 11, 0),
        ("Heartbeat", 12, 0),
        ("LeaveGroup", 13, 0),
        ("SyncGroup", 14, 0),
        ("OffsetDelete", 47, 0),
    ] {
        // The group's id is null. More than enough zero bytes follow it.
        let request = RawBytes::request(key, version).i16(-1).plain(&[0; 64]);
        story.ask_raw(&format!("{api} of null"), &request).await;
    }
    for (api, key, version) in [
        ("OffsetCommit", 8, 10),
        ("OffsetFetch", 9, 10),
        ("FindCoordinator", 10, 7),
        ("JoinGroup", 11, 10),
        ("Heartbeat", 12, 5),
        ("LeaveGroup", 13, 6),
        ("SyncGroup", 14, 6),
        ("DescribeGroups", 15, 6),
        ("ListGroups", 16, 6),
        ("TxnOffsetCommit", 28, 5),
        ("DeleteGroups", 42, 3),
        ("OffsetDelete", 47, 1),
        ("ConsumerGroupHeartbeat", 68, 0),
        ("ConsumerGroupDescribe", 69, 0),
        ("ShareGroupHeartbeat", 76, 0),
        ("ShareGroupDescribe", 77, 0),
    ] {
        let request = RawBytes::request(key, version).plain(&[0; 64]);
        story
            .ask_raw(&format!("{api} of version {version}"), &request)
            .await;
    }
    for (api, key, version) in [("DescribeGroups", 15, 0), ("DeleteGroups", 42, 0)] {
        let request = RawBytes::request(key, version).i32(1).i16(-1);
        story.ask_raw(&format!("{api} of null"), &request).await;
    }
    Ok(())
}

/// Changes the brokers' configuration for the second start.
pub fn reconfigure(broker: &mut Broker) {
    broker.set("group.initial.rebalance.delay.ms", 100);
    broker.set("group.max.size", 2);
    broker.set("offsets.retention.check.interval.ms", 300);
}

/// Members and offsets from before the restart exist again.
pub async fn reloaded(story: Story) -> Result<()> {
    loaded(&story).await?;
    until(&story, "crowd", "PreparingRebalance", 4).await?;
    for id in [
        "stable",
        "crowd",
        "connect",
        "rejoins",
        "opaque",
        "awaited",
        "deletions-of-members",
    ] {
        story.ask("a group with members", 5, describe(&[id])).await?;
        story.ask("its offsets", 5, fetch(id, 5, None)).await?;
    }
    let stranger = join("connect", 5, "", Some("another")).with_protocol_type(text("connect"));
    story
        .ask(
            "another type of protocol",
            5,
            stranger.with_protocols(protocols(&["v2"])),
        )
        .await?;
    for version in 5..=9 {
        let id = format!("instances-{version}");
        story
            .ask(
                "a fenced member",
                3,
                heartbeat(&id, "fenced", 4).with_group_instance_id(optional(Some(INSTANCE))),
            )
            .await?;
    }
    Ok(())
}

/// Offsets that expire, by the kind of their group.
pub async fn expiry(story: Story) -> Result<()> {
    let soon = |request: OffsetCommitRequest| request.with_retention_time_ms(1);
    let (t, u) = (("t", 0, 5, None), ("u", 0, 5, None));
    let member = story
        .ask("joining", 3, join("expiring-member", 3, "", None))
        .await?;
    let request =
        sync("expiring-member", 3, &member.member_id, 1).with_assignments(assign(&[&member.member_id]));
    story.ask("assigning", 3, request).await?;
    let offsets = soon(commit("expiring-member", 2, &member.member_id, 1, &[t, u]));
    story.ask("offsets of a member", 2, offsets).await?;
    let worker = join("expiring-worker", 3, "", None).with_protocol_type(text("connect"));
    let worker = story.ask("a worker joins", 3, worker).await?;
    let request =
        sync("expiring-worker", 3, &worker.member_id, 1).with_assignments(assign(&[&worker.member_id]));
    story.ask("it assigns", 3, request).await?;
    let offsets = soon(commit("expiring-worker", 2, &worker.member_id, 1, &[t, u]));
    story.ask("offsets of a worker", 2, offsets).await?;
    story
        .ask(
            "offsets of nobody",
            2,
            soon(commit("expiring", 2, "", -1, &[t, u])),
        )
        .await?;
    let old = |id: &str, ms: i64| {
        let mut request = commit(id, 1, "", -1, &[t]);
        request.topics[0].partitions[0].commit_timestamp = ms;
        request
    };
    story
        .ask("offsets of long ago", 1, old("expired", 1_700_000_000_000))
        .await?;
    for id in ["expiring", "expired", "expired-too"] {
        if id == "expired-too" {
            // When these offsets are gone, a whole round of expiry has taken place since the others.
            story
                .ask("offsets of long ago", 1, old(id, 1_700_000_000_000))
                .await?;
        }
        until(&story, id, "Dead", 0).await?;
    }
    for id in ["expiring-member", "expiring-worker", "expiring", "expired"] {
        story
            .ask(&format!("what is left of {id}"), 5, fetch(id, 5, None))
            .await?;
        story.ask(&format!("how {id} is"), 5, describe(&[id])).await?;
    }
    for version in 0..=9 {
        let id = format!("commits-{version}");
        story
            .ask("what was committed before the restart", 5, fetch(&id, 5, None))
            .await?;
    }
    story
        .ask("all that is left", 5, ListGroupsRequest::default())
        .await?;
    Ok(())
}

//! Stories about members that join, leave, stay silent and return.

use std::time::Duration;

use anyhow::Result;
use barnabas_testcontainers::parity::Story;

use crate::support::*;

/// A session timeout that is short enough to wait for, and long enough for a member to send a request before it ends.
const SHORT_MS: i32 = 1000;
/// The same for a rebalance timeout.
const IMPATIENT_MS: i32 = 1500;

/// The life of one member in every version of JoinGroup, and in the same version of the other requests as far as it
/// exists.
pub async fn lives(story: Story) -> Result<()> {
    for version in 0..=9 {
        let id = format!("life-{version}");
        let first = story
            .ask("joining without an id", version, join(&id, version, "", None))
            .await?;
        let mut member = first;
        if member.error_code != 0 {
            story
                .ask("before the member comes back", 5, describe(&[&id]))
                .await?;
            let again = join(&id, version, &member.member_id, None);
            member = story.ask("joining with the id", version, again).await?;
        }
        let (name, generation) = (member.member_id.to_string(), member.generation_id);
        let early = commit(&id, 5, &name, generation, &[("t", 0, 1, None)]);
        story.ask("a commit before the assignment", 5, early).await?;
        let again = join(&id, version, &name, None);
        story
            .ask("joining again before the assignment", version, again)
            .await?;
        story.ask("in between", 5, describe(&[&id])).await?;
        let assignment =
            sync(&id, version.min(5), &name, generation).with_assignments(assign(&[&name, "stranger"]));
        story.ask("assigning", version.min(5), assignment).await?;
        story
            .ask(
                "asking again",
                version.min(5),
                sync(&id, version.min(5), &name, generation),
            )
            .await?;
        story
            .ask("a heartbeat", version.min(4), heartbeat(&id, &name, generation))
            .await?;
        let offsets = commit(
            &id,
            version.max(1),
            &name,
            generation,
            &[("t", 0, 10, Some("note"))],
        );
        story.ask("a commit", version.max(1), offsets).await?;
        story
            .ask("with its assignment", version.min(5), describe(&[&id]))
            .await?;
        let going = match version.min(5) {
            old @ ..3 => (old, leave(&id, &name)),
            new => (new, leave_all(&id, &[(&name, None)])),
        };
        story.ask("leaving", going.0, going.1).await?;
        story
            .ask("without members", version.min(5), describe(&[&id]))
            .await?;
        story
            .ask(
                "a late heartbeat",
                version.min(4),
                heartbeat(&id, &name, generation),
            )
            .await?;
    }
    Ok(())
}

/// Member ids that the coordinator has given out and no member has used yet.
pub async fn pending(story: Story) -> Result<()> {
    let id = "pending";
    let given = story
        .ask("asking for an id", 4, join(id, 4, "", None))
        .await?
        .member_id
        .to_string();
    story
        .ask("a heartbeat of a pending member", 1, heartbeat(id, &given, 0))
        .await?;
    story
        .ask("a sync of a pending member", 1, sync(id, 1, &given, 0))
        .await?;
    story
        .ask(
            "a commit of a pending member",
            5,
            commit(id, 5, &given, 0, &[("t", 0, 1, None)]),
        )
        .await?;
    story
        .ask("coming back as an instance", 5, join(id, 5, &given, Some("i")))
        .await?;
    story
        .ask(
            "coming back with another type",
            5,
            join(id, 5, &given, None).with_protocol_type(text("")),
        )
        .await?;
    story.ask("a pending member leaves", 1, leave(id, &given)).await?;
    story
        .ask(
            "a pending member that left comes back",
            4,
            join(id, 4, &given, None),
        )
        .await?;
    let short = join(id, 4, "", None).with_session_timeout_ms(SHORT_MS);
    let given = story
        .ask("asking for a short-lived id", 4, short)
        .await?
        .member_id
        .to_string();
    tokio::time::sleep(Duration::from_millis(2 * SHORT_MS as u64)).await;
    story
        .ask("coming back too late", 4, join(id, 4, &given, None))
        .await?;
    // A rebalance waits for a member whose id is pending.
    let grown = Grown::stable(&story, "awaited").await?;
    let given = story
        .ask("asking for an id", 5, join("awaited", 5, "", None))
        .await?
        .member_id
        .to_string();
    let leading = story.client("first").begin(
        "the leader joins again",
        3,
        join("awaited", 3, &grown.leader, None),
    );
    until(&story, "awaited", "PreparingRebalance", 2).await?;
    let back = join("awaited", 5, &grown.follower, Some(INSTANCE));
    let mut following = story.client("second").begin("the follower joins again", 5, back);
    let there = following.within(SOON).await;
    story.observe(
        "the others wait for a pending member",
        format!("{there} {}", leading.is_waiting()),
    );
    story
        .ask("the pending member leaves", 1, leave("awaited", &given))
        .await?;
    leading.answer().await?;
    following.answer().await?;
    Ok(())
}

/// Groups that reach `group.max.size`, which is four.
pub async fn crowds(story: Story) -> Result<()> {
    let id = "crowd";
    let clients = ["1", "2", "3", "4"].map(|client| story.client(client));
    let mut joining = Vec::new();
    for (count, client) in clients.iter().enumerate() {
        joining.push(client.begin("one joins", 3, join(id, 3, "", None)));
        until(&story, id, "PreparingRebalance", count + 1).await?;
    }
    story
        .client("5")
        .ask("one too many while joining", 3, join(id, 3, "", None))
        .await?;
    story
        .client("5")
        .ask("an id too many while joining", 4, join(id, 4, "", None))
        .await?;
    let mut members = Vec::new();
    for one in joining {
        members.push(one.answer().await?.member_id.to_string());
    }
    for version in [0, 4, 9] {
        let request = join(id, version, "", None);
        story.client("5").ask("one too many", version, request).await?;
        let request = join(id, version, "stranger", None);
        story
            .client("5")
            .ask("a stranger too many", version, request)
            .await?;
    }
    story
        .client("5")
        .ask("an instance too many", 5, join(id, 5, "", Some("i")))
        .await?;
    let ids: Vec<_> = members.iter().map(String::as_str).collect();
    let assignment = sync(id, 3, &members[0], 1).with_assignments(assign(&ids));
    story.ask("the leader assigns", 3, assignment).await?;
    story
        .client("5")
        .ask("one too many in a stable group", 5, join(id, 5, "", None))
        .await?;
    story.ask("the crowd", 5, describe(&[id])).await?;
    Ok(())
}

/// A follower sends SyncGroup first; then the leader assigns, or does not.
pub async fn waits(story: Story) -> Result<()> {
    let id = "waits";
    let grown = Grown::joined(&story, id).await?;
    let asking =
        sync(id, 3, &grown.follower, grown.generation).with_group_instance_id(optional(Some(INSTANCE)));
    let mut waiting = story.client("second").begin("the follower asks first", 3, asking);
    let there = waiting.within(SOON).await;
    story.observe("the follower waits for the leader", there.to_string());
    let assignments = assign(&[&grown.follower]);
    let request = sync(id, 3, &grown.leader, grown.generation).with_assignments(assignments);
    story
        .ask("the leader assigns nothing to itself", 3, request)
        .await?;
    waiting.answer().await?;
    story.ask("assigned", 5, describe(&[id])).await?;

    let id = "leader-joins-instead";
    let grown = Grown::joined(&story, id).await?;
    let asking = sync(id, 3, &grown.follower, grown.generation);
    let mut waiting = story.client("second").begin("the follower asks first", 3, asking);
    waiting.within(SOON).await;
    let changed = join(id, 3, &grown.leader, None).with_protocols(protocols(&["range"]));
    let leading = story
        .client("first")
        .begin("the leader joins with less", 3, changed);
    waiting.answer().await?;
    let back = join(id, 5, &grown.follower, Some(INSTANCE));
    story
        .client("second")
        .ask("the follower joins again", 5, back)
        .await?;
    leading.answer().await?;

    let id = "leader-leaves";
    let grown = Grown::joined(&story, id).await?;
    let asking = sync(id, 3, &grown.follower, grown.generation);
    let mut waiting = story.client("second").begin("the follower asks first", 3, asking);
    waiting.within(SOON).await;
    story
        .ask("the leader leaves", 1, leave(id, &grown.leader))
        .await?;
    waiting.answer().await?;
    let back = join(id, 5, &grown.follower, Some(INSTANCE));
    story.client("second").ask("the follower leads", 5, back).await?;
    Ok(())
}

/// Members of a stable group join again.
pub async fn rejoins(story: Story) -> Result<()> {
    let id = "rejoins";
    let grown = Grown::stable(&story, id).await?;
    for version in 5..=9 {
        let again = join(id, version, &grown.follower, Some(INSTANCE));
        story
            .client("second")
            .ask("the follower joins with nothing new", version, again)
            .await?;
    }
    for version in 0..=4 {
        let again = join(id, version, &grown.follower, None);
        story
            .client("second")
            .ask("the follower without its instance", version, again)
            .await?;
    }
    let changed =
        join(id, 5, &grown.follower, Some(INSTANCE)).with_protocols(protocols(&["roundrobin", "range"]));
    let mut following = story
        .client("second")
        .begin("the follower prefers another", 5, changed);
    until(&story, id, "PreparingRebalance", 2).await?;
    let there = following.within(SOON).await;
    story.observe("the follower waits for the leader", there.to_string());
    story
        .ask(
            "the leader is told",
            4,
            heartbeat(id, &grown.leader, grown.generation),
        )
        .await?;
    // Kafka never answers a JoinGroup request if its member sends another one.
    drop(following);
    let twice = join(id, 5, &grown.follower, Some(INSTANCE)).with_protocols(protocols(&["roundrobin"]));
    let twice = story
        .client("third")
        .begin("the follower wants nothing else", 5, twice);
    until(&story, id, "PreparingRebalance", 2).await?;
    tokio::time::sleep(SOON).await;
    story
        .client("first")
        .ask("the leader joins", 3, join(id, 3, &grown.leader, None))
        .await?;
    twice.answer().await?;
    Ok(())
}

/// Members whose sessions expire, in every state.
pub async fn sessions(story: Story) -> Result<()> {
    let short = |id: &str, member: &str| join(id, 3, member, None).with_session_timeout_ms(SHORT_MS);
    // Stable.
    let id = "silent";
    let member = story.ask("joining", 3, short(id, "")).await?;
    let request = sync(id, 3, &member.member_id, 1).with_assignments(assign(&[&member.member_id]));
    story.ask("assigning", 3, request).await?;
    story
        .ask(
            "a commit",
            2,
            commit(id, 2, &member.member_id, 1, &[("t", 0, 1, None)]),
        )
        .await?;
    until(&story, id, "Empty", 0).await?;
    story
        .ask("a heartbeat of the dead", 1, heartbeat(id, &member.member_id, 1))
        .await?;
    story.ask("after its session", 5, describe(&[id])).await?;

    // The leader never assigns, while a follower waits.
    let id = "silent-leader";
    let leading = story.client("first").begin("the leader joins", 3, short(id, ""));
    until(&story, id, "PreparingRebalance", 1).await?;
    let following = story
        .client("second")
        .begin("a follower joins", 3, join(id, 3, "", None));
    let (leader, follower) = (leading.answer().await?, following.answer().await?);
    let request = sync(id, 3, &follower.member_id, follower.generation_id);
    story
        .client("second")
        .ask("the follower asks", 3, request)
        .await?;
    let again = join(id, 3, &follower.member_id, None);
    story.client("second").ask("the follower leads", 3, again).await?;
    story
        .ask("the silent leader comes back", 3, short(id, &leader.member_id))
        .await?;

    // A follower does not join again before the rebalance timeout of the leader.
    let id = "impatient";
    let impatient = |member: &str| join(id, 3, member, None).with_rebalance_timeout_ms(IMPATIENT_MS);
    let leading = story.client("first").begin("the leader joins", 3, impatient(""));
    until(&story, id, "PreparingRebalance", 1).await?;
    let following = story.client("second").begin("a follower joins", 3, impatient(""));
    let (leader, follower) = (leading.answer().await?, following.answer().await?);
    story
        .client("first")
        .ask(
            "the leader joins with less",
            3,
            impatient(&leader.member_id).with_protocols(protocols(&["range"])),
        )
        .await?;
    story
        .ask("the late follower", 1, heartbeat(id, &follower.member_id, 2))
        .await?;
    // The leader sends no assignment, and the follower never asks for one.
    let request = sync(id, 3, &leader.member_id, 2).with_assignments(vec![]);
    story.ask("the leader assigns nothing", 3, request).await?;
    Ok(())
}

/// The coordinator removes a follower that has joined but never asks for its assignment.
pub async fn missing_sync(story: Story) -> Result<()> {
    let id = "missing-sync";
    let impatient = |member: &str| join(id, 3, member, None).with_rebalance_timeout_ms(IMPATIENT_MS);
    let leading = story.client("first").begin("the leader joins", 3, impatient(""));
    until(&story, id, "PreparingRebalance", 1).await?;
    let following = story.client("second").begin("a follower joins", 3, impatient(""));
    let (leader, follower) = (leading.answer().await?, following.answer().await?);
    let request = sync(id, 3, &leader.member_id, 1).with_assignments(assign(&[&leader.member_id]));
    story.ask("the leader assigns", 3, request).await?;
    until(&story, id, "PreparingRebalance", 1).await?;
    story
        .ask(
            "the follower's heartbeat",
            1,
            heartbeat(id, &follower.member_id, 1),
        )
        .await?;
    story
        .ask("the leader's heartbeat", 1, heartbeat(id, &leader.member_id, 1))
        .await?;
    story
        .ask("the leader joins again", 3, impatient(&leader.member_id))
        .await?;
    Ok(())
}

/// Connections that close while their requests wait: the members stay in the group until their sessions expire.
pub async fn hang_ups(story: Story) -> Result<()> {
    let id = "hang-up";
    let grown = Grown::stable(&story, id).await?;
    let gone = story
        .client("third")
        .begin("one joins and hangs up", 3, join(id, 3, "", None));
    until(&story, id, "PreparingRebalance", 3).await?;
    drop(gone);
    story
        .ask(
            "one that hung up is there",
            1,
            heartbeat(id, &grown.leader, grown.generation),
        )
        .await?;
    let leading = story
        .client("first")
        .begin("the leader joins again", 3, join(id, 3, &grown.leader, None));
    let back = join(id, 5, &grown.follower, Some(INSTANCE));
    story
        .client("second")
        .ask("the follower joins again", 5, back)
        .await?;
    leading.answer().await?;
    story.ask("the three", 1, describe(&[id])).await?;

    let id = "hang-up-in-sync";
    let grown = Grown::joined(&story, id).await?;
    let asking = sync(id, 3, &grown.follower, grown.generation);
    let mut gone = story
        .client("third")
        .begin("the follower asks and hangs up", 3, asking);
    gone.within(SOON).await;
    drop(gone);
    let request = sync(id, 3, &grown.leader, grown.generation)
        .with_assignments(assign(&[&grown.leader, &grown.follower]));
    story.ask("the leader assigns", 3, request).await?;
    let again = sync(id, 3, &grown.follower, grown.generation);
    story.ask("the follower asks again", 3, again).await?;
    Ok(())
}

/// Each member that joins within the initial delay prolongs it.
pub async fn initial_delay(story: Story) -> Result<()> {
    let id = "delay";
    let first = story
        .client("first")
        .begin("the first joins", 0, join(id, 0, "", None));
    until(&story, id, "PreparingRebalance", 1).await?;
    let second = story
        .client("second")
        .begin("the second joins", 1, join(id, 1, "", None));
    first.answer().await?;
    second.answer().await?;
    Ok(())
}

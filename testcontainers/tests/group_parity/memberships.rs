//! Stories about static members, about members that leave, and about the protocols that members must have in common.

use std::time::Duration;

use anyhow::Result;
use barnabas_testcontainers::parity::Story;
use bytes::Bytes;

use crate::support::*;

/// Static members that return with new member ids.
pub async fn instances(story: Story) -> Result<()> {
    for version in 5..=9 {
        let id = format!("instances-{version}");
        let grown = Grown::stable(&story, &id).await?;
        let back = story
            .client("third")
            .ask(
                "the follower restarts",
                version,
                join(&id, version, "", Some(INSTANCE)),
            )
            .await?;
        let late = heartbeat(&id, &grown.follower, grown.generation)
            .with_group_instance_id(optional(Some(INSTANCE)));
        story.ask("its old self", 3, late).await?;
        story
            .ask("its old id", 3, heartbeat(&id, &grown.follower, grown.generation))
            .await?;
        story
            .ask(
                "its assignment",
                3,
                sync(&id, 3, &back.member_id, grown.generation),
            )
            .await?;
        story.ask("its group", 5, describe(&[&id])).await?;
        let other = join(&id, version, "", Some(INSTANCE)).with_protocols(protocols(&["roundrobin"]));
        let mut changed = story
            .client("third")
            .begin("it restarts with other protocols", version, other);
        until(&story, &id, "PreparingRebalance", 2).await?;
        let there = changed.within(SOON).await;
        story.observe("it waits for the leader", there.to_string());
        let again = story.client("third").begin(
            "it restarts while it waits",
            version,
            join(&id, version, "", Some(INSTANCE)),
        );
        changed.answer().await?;
        story
            .client("first")
            .ask("the leader joins", 3, join(&id, 3, &grown.leader, None))
            .await?;
        let last = again.answer().await?;
        // CompletingRebalance: the leader may be computing an assignment for the old id.
        let request = sync(&id, 3, &last.member_id, last.generation_id);
        let mut asking = story
            .client("fourth")
            .begin("it asks for its assignment", 3, request);
        asking.within(SOON).await;
        let again = story.client("fifth").begin(
            "it restarts before the assignment",
            version,
            join(&id, version, "", Some(INSTANCE)),
        );
        asking.answer().await?;
        story
            .client("first")
            .ask("the leader joins once more", 3, join(&id, 3, &grown.leader, None))
            .await?;
        again.answer().await?;
    }
    Ok(())
}

/// A static leader that returns.
pub async fn static_leaders(story: Story) -> Result<()> {
    for version in 5..=9 {
        let id = format!("static-leader-{version}");
        let member = story
            .ask(
                "a static member joins",
                version,
                join(&id, version, "", Some("lead")),
            )
            .await?;
        let request = sync(&id, 3, &member.member_id, 1).with_assignments(assign(&[&member.member_id]));
        story.ask("it assigns", 3, request).await?;
        let back = story
            .client("second")
            .ask("it restarts", version, join(&id, version, "", Some("lead")))
            .await?;
        let old = join(&id, version, &member.member_id, Some("lead"));
        story.ask("its old self joins", version, old).await?;
        let request = sync(&id, 3, &back.member_id, 1).with_assignments(assign(&["nobody"]));
        story.ask("it assigns again, in vain", 3, request).await?;
        let gone = leave_all(&id, &[("", Some("lead")), ("", Some("lead"))]);
        story.ask("an administrator removes it, twice", 3, gone).await?;
        story.ask("its group", 5, describe(&[&id])).await?;
    }
    Ok(())
}

/// Leaving in every version, also of several members at once, and while other members wait.
pub async fn departures(story: Story) -> Result<()> {
    for version in 3..=5 {
        let id = format!("departures-{version}");
        let grown = Grown::stable(&story, &id).await?;
        let gone = leave_all(
            &id,
            &[
                ("stranger", None),
                (&grown.leader, Some(INSTANCE)),
                (&grown.leader, None),
                (&grown.leader, None),
                ("stranger", Some(INSTANCE)),
            ],
        );
        story.ask("the leader among strangers", version, gone).await?;
        until(&story, &id, "PreparingRebalance", 1).await?;
        let back = join(&id, 5, &grown.follower, Some(INSTANCE));
        let back = story.client("second").ask("the follower leads", 5, back).await?;
        story
            .ask(
                "it leaves by its instance",
                version,
                leave_all(&id, &[("", Some(INSTANCE))]),
            )
            .await?;
        let late = heartbeat(&id, &back.member_id, back.generation_id);
        story.ask("its heartbeat", 3, late).await?;
        story.ask("the empty group", version, describe(&[&id])).await?;
    }
    let id = "leaves-while-joining";
    let grown = Grown::preparing(&story, id).await?;
    story
        .ask("one that waits leaves", 1, leave(id, &grown.leader))
        .await?;
    if let Some(waiting) = grown.waiting {
        waiting.answer().await?;
    }
    let back = join(id, 5, &grown.follower, Some(INSTANCE));
    story
        .client("second")
        .ask("the follower is alone", 5, back)
        .await?;
    let id = "leaves-during-the-delay";
    let mut first = story
        .client("first")
        .begin("the first joins", 3, join(id, 3, "", None));
    until(&story, id, "PreparingRebalance", 1).await?;
    let described = story.peek(1, describe(&[id])).await?;
    let member = described.groups[0].members[0].member_id.to_string();
    story.observe(
        "the first waits",
        first.within(Duration::from_millis(10)).await.to_string(),
    );
    story
        .ask("it leaves during the delay", 1, leave(id, &member))
        .await?;
    first.answer().await?;
    until(&story, id, "Empty", 0).await?;
    story.ask("nobody is left", 5, describe(&[id])).await?;
    Ok(())
}

/// Protocols: votes, and protocol types other than consumer.
pub async fn votes(story: Story) -> Result<()> {
    let id = "votes";
    let mut joining = Vec::new();
    for (count, names) in [["a", "b", "c"], ["b", "c", "a"], ["b", "a", "d"]]
        .iter()
        .enumerate()
    {
        let request = join(id, 3, "", None).with_protocols(protocols(names));
        joining.push(
            story
                .client(["1", "2", "3"][count])
                .begin("one votes", 3, request),
        );
        until(&story, id, "PreparingRebalance", count + 1).await?;
    }
    for one in joining {
        one.answer().await?;
    }
    let other = join(id, 3, "", None).with_protocols(protocols(&["c", "d"]));
    story
        .client("late")
        .ask("one that does not go with the others", 3, other)
        .await?;

    let id = "connect";
    let request = join(id, 7, "", None)
        .with_protocol_type(text("connect"))
        .with_protocols(protocols(&["v1"]));
    let given = story
        .ask("a worker asks for an id", 7, request.clone())
        .await?
        .member_id
        .to_string();
    let worker = story
        .ask("a worker joins", 7, request.with_member_id(text(&given)))
        .await?;
    let request = sync(id, 5, &worker.member_id, 1)
        .with_protocol_type(optional(Some("connect")))
        .with_protocol_name(optional(Some("v1")))
        .with_assignments(assign(&[&worker.member_id]));
    story.ask("it assigns", 5, request).await?;
    story.ask("the workers", 5, describe(&[id])).await?;

    // The coordinator stores metadata that is not a subscription as well.
    let id = "opaque";
    let mut protocol = protocols(&["range"]);
    protocol[0].metadata = Bytes::from_static(b"\0");
    let request = join(id, 3, "", None).with_protocols(protocol);
    let member = story.ask("one with opaque metadata", 3, request).await?;
    let request = sync(id, 3, &member.member_id, 1).with_assignments(assign(&[&member.member_id]));
    story.ask("it assigns", 3, request).await?;
    story
        .ask(
            "an offset of anything",
            2,
            commit(
                id,
                2,
                &member.member_id,
                1,
                &[("t", 0, 1, None), ("u", 0, 1, None)],
            ),
        )
        .await?;
    let request = crate::offsets::offset_delete(id, &[("t", 0), ("u", 0)]);
    story
        .ask(
            "deleting offsets of a group that may be subscribed to anything",
            0,
            request,
        )
        .await?;
    Ok(())
}

//! Stories that bring a group to each state and send it all requests, from members and from strangers.

use anyhow::Result;
use barnabas_testcontainers::parity::messages::leave_group_request::MemberIdentity;
use barnabas_testcontainers::parity::{Story, messages::*};

use crate::support::*;

/// The sender of a request: a name for the step, member id, instance id, generation.
struct Asker<'a> {
    who: String,
    member: &'a str,
    instance: Option<&'a str>,
    generation: i32,
}

/// Members and strangers of every kind whose requests cannot change the group.
fn askers(grown: &Grown) -> Vec<Asker<'_>> {
    let right = grown.generation;
    let (leader, follower) = (grown.leader.as_str(), grown.follower.as_str());
    let members: [(&str, &str, Option<&str>); 9] = [
        ("nobody", "", None),
        ("a stranger", "stranger", None),
        ("the leader", leader, None),
        ("the follower without instance", follower, None),
        ("the follower", follower, Some(INSTANCE)),
        ("a fenced follower", "fenced", Some(INSTANCE)),
        ("an instance without id", "", Some(INSTANCE)),
        ("an unknown instance", follower, Some("unknown")),
        ("an empty instance", leader, Some("")),
    ];
    let generations = [
        ("right", right),
        ("no", -1),
        ("an old", right - 1),
        ("a future", right + 1),
    ];
    let mut askers = Vec::new();
    for (who, member, instance) in members {
        for (which, generation) in generations {
            let who = format!("{who} of {which} generation");
            askers.push(Asker {
                who,
                member,
                instance,
                generation,
            });
        }
    }
    askers
}

/// Sends all requests. The group is in the same state afterwards.
async fn everything(story: &Story, grown: &Grown) -> Result<()> {
    for asker in askers(grown) {
        heartbeats(story, grown, &asker).await?;
        commits(story, grown, &asker).await?;
        // The leader's SyncGroup would change the group's state.
        if grown.leader != asker.member || grown.generation != asker.generation || asker.instance.is_some() {
            syncs(story, grown, &asker).await?;
        }
    }
    joins(story, grown).await?;
    leaves(story, grown).await?;
    for version in 0..=9 {
        let some: &[(&str, &[i32])] = &[("t", &[0, 1, 7]), ("nowhere", &[0])];
        story
            .ask("offsets of some", version, fetch(&grown.id, version, Some(some)))
            .await?;
        if version >= 2 {
            story
                .ask("offsets of all", version, fetch(&grown.id, version, None))
                .await?;
        }
    }
    for version in 0..=5 {
        let request = describe(&[&grown.id]).with_include_authorized_operations(version >= 3);
        story.ask("describing it", version, request).await?;
    }
    Ok(())
}

async fn heartbeats(story: &Story, grown: &Grown, asker: &Asker<'_>) -> Result<()> {
    for version in 0..=4 {
        if asker.instance.is_none() || version >= 3 {
            let request = heartbeat(&grown.id, asker.member, asker.generation)
                .with_group_instance_id(optional(asker.instance));
            story.ask(&asker.who, version, request).await?;
        }
    }
    Ok(())
}

async fn commits(story: &Story, grown: &Grown, asker: &Asker<'_>) -> Result<()> {
    for version in 1..=9 {
        if asker.instance.is_none() || version >= 7 {
            let offsets = [
                ("t", 0, i64::from(version), Some("note")),
                ("t", 7, 1, None),
                ("nowhere", 0, 1, None),
            ];
            let request = commit(&grown.id, version, asker.member, asker.generation, &offsets)
                .with_group_instance_id(optional(asker.instance));
            story.ask(&asker.who, version, request).await?;
        }
    }
    Ok(())
}

async fn syncs(story: &Story, grown: &Grown, asker: &Asker<'_>) -> Result<()> {
    let is_member = asker.generation == grown.generation && asker.member == grown.follower;
    let is_right = is_member && asker.instance.is_none_or(|instance| instance == INSTANCE);
    for version in 0..=5 {
        // In CompletingRebalance the follower's request would wait.
        let waits = is_right && state(story, &grown.id).await? == "CompletingRebalance";
        if (asker.instance.is_none() || version >= 3) && !waits {
            let request = sync(&grown.id, version, asker.member, asker.generation)
                .with_group_instance_id(optional(asker.instance));
            story.ask(&asker.who, version, request).await?;
        }
    }
    for (named, protocol_type, protocol_name) in [
        ("another type", Some("connect"), Some("range")),
        ("another protocol", Some("consumer"), Some("sticky")),
        ("no type", None, Some("range")),
        ("no protocol", Some("consumer"), None),
        ("nothing", None, None),
    ] {
        let request = sync(&grown.id, 5, asker.member, asker.generation)
            .with_group_instance_id(optional(asker.instance))
            .with_protocol_type(optional(protocol_type))
            .with_protocol_name(optional(protocol_name));
        story
            .ask(&format!("{} naming {named}", asker.who), 5, request)
            .await?;
    }
    Ok(())
}

async fn joins(story: &Story, grown: &Grown) -> Result<()> {
    let id = grown.id.as_str();
    for version in 0..=9 {
        story
            .ask("a stranger joins", version, join(id, version, "stranger", None))
            .await?;
        for (which, session_ms) in [("short", 299), ("long", 30_001), ("negative", -1)] {
            let request = join(id, version, &grown.leader, None).with_session_timeout_ms(session_ms);
            story
                .ask(&format!("joining with a {which} session"), version, request)
                .await?;
        }
        let other_type = join(id, version, &grown.leader, None).with_protocol_type(text("connect"));
        story
            .ask("joining with another type", version, other_type)
            .await?;
        let no_type = join(id, version, &grown.leader, None).with_protocol_type(text(""));
        story.ask("joining with no type", version, no_type).await?;
        let other = join(id, version, &grown.leader, None).with_protocols(protocols(&["sticky"]));
        story.ask("joining with another protocol", version, other).await?;
        let none = join(id, version, &grown.leader, None).with_protocols(vec![]);
        story.ask("joining without protocols", version, none).await?;
        if version >= 5 {
            let fenced = join(id, version, "fenced", Some(INSTANCE));
            story.ask("a fenced instance joins", version, fenced).await?;
            let unknown = join(id, version, "stranger", Some("unknown"));
            story
                .ask("an unknown instance joins with an id", version, unknown)
                .await?;
        }
    }
    Ok(())
}

async fn leaves(story: &Story, grown: &Grown) -> Result<()> {
    for version in 0..=5 {
        if version < 3 {
            for member in ["", "stranger"] {
                let request = LeaveGroupRequest::default()
                    .with_group_id(group(&grown.id))
                    .with_member_id(text(member));
                story.ask("a stranger leaves", version, request).await?;
            }
            continue;
        }
        let member = |id: &str, instance: Option<&str>| {
            let member = MemberIdentity::default()
                .with_member_id(text(id))
                .with_group_instance_id(optional(instance));
            if version == 5 {
                member.with_reason(Some(text("why not")))
            } else {
                member
            }
        };
        let members = vec![
            member("", None),
            member("stranger", None),
            member("fenced", Some(INSTANCE)),
            member("", Some("unknown")),
            member(&grown.follower, Some("unknown")),
        ];
        let request = LeaveGroupRequest::default()
            .with_group_id(group(&grown.id))
            .with_members(members);
        story.ask("strangers leave", version, request).await?;
        let request = LeaveGroupRequest::default().with_group_id(group(&grown.id));
        story.ask("nobody leaves", version, request).await?;
    }
    Ok(())
}

/// A group that never existed, with the requests of supposed members.
pub async fn unknown(story: Story) -> Result<()> {
    let nobody = |id: &str| Grown {
        id: id.to_owned(),
        leader: "leader".into(),
        follower: "follower".into(),
        generation: 3,
        waiting: None,
    };
    everything(&story, &nobody("unknown")).await?;
    everything(&story, &nobody("")).await?;
    story
        .ask("what has become of it", 5, describe(&["unknown", ""]))
        .await?;
    Ok(())
}

pub async fn simple(story: Story) -> Result<()> {
    story
        .ask("an offset", 2, commit("simple", 2, "", -1, &[("u", 0, 5, None)]))
        .await?;
    let grown = Grown {
        id: "simple".into(),
        leader: "leader".into(),
        follower: "follower".into(),
        generation: 0,
        waiting: None,
    };
    everything(&story, &grown).await
}

pub async fn empty(story: Story) -> Result<()> {
    let grown = Grown::left(&story, "empty").await?;
    everything(&story, &grown).await
}

pub async fn preparing(story: Story) -> Result<()> {
    let mut grown = Grown::preparing(&story, "preparing").await?;
    everything(&story, &grown).await?;
    let back = join("preparing", 5, &grown.follower, Some(INSTANCE));
    story.ask("the follower joins again", 5, back).await?;
    let waiting = grown.waiting.take();
    waiting.expect("the leader joins again").answer().await?;
    Ok(())
}

pub async fn completing(story: Story) -> Result<()> {
    let grown = Grown::joined(&story, "completing").await?;
    everything(&story, &grown).await
}

pub async fn stable(story: Story) -> Result<()> {
    let grown = Grown::stable(&story, "stable").await?;
    everything(&story, &grown).await
}

pub async fn dead(story: Story) -> Result<()> {
    let grown = Grown::left(&story, "dead").await?;
    for version in 0..=2 {
        story
            .ask("deleting it", version, delete(&["dead", "dead", "never"]))
            .await?;
    }
    everything(&story, &grown).await
}

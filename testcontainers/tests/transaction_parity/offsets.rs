//! Stories about offsets that a transaction commits for a group: who may commit them, and when readers see them.

use anyhow::Result;
use barnabas_testcontainers::parity::messages::join_group_request::JoinGroupRequestProtocol;
use barnabas_testcontainers::parity::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use barnabas_testcontainers::parity::{Story, messages::*};
use bytes::Bytes;

use crate::support::*;

const OFFSETS: &[(&str, i32, i64, &str)] = &[("t", 0, 5, "note"), ("t", 9, 5, ""), ("nowhere", 0, 5, "")];

/// Fetches a group's offsets, once with and once without stable offsets required.
async fn fetch(story: &Story, step: &str, group: &str) -> Result<()> {
    for require_stable in [false, true] {
        let topics = OffsetFetchRequestTopics::default()
            .with_name(topic("t"))
            .with_partition_indexes(vec![0, 1, 2]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![topics]));
        let request = OffsetFetchRequest::default()
            .with_groups(vec![group])
            .with_require_stable(require_stable);
        let step = format!("{step}: stable {require_stable}");
        story.ask(&step, 8, request).await?;
    }
    Ok(())
}

/// A group without members: the commit creates the group.
pub async fn simple(story: Story) -> Result<()> {
    let id = "offsets";
    let producer = bring(&story, id, "Empty").await?;
    for version in 0..=4 {
        let askers = [
            ("too early", id, producer),
            ("as nobody", "nobody", producer),
            ("without id", "", producer),
            ("as a stranger", id, Producer::new(STRANGER, 0)),
            ("of an old epoch", id, producer.later(-1)),
            ("of a future epoch", id, producer.later(1)),
        ];
        for (name, id, producer) in askers {
            let request = commit_offsets(id, producer, "simple", OFFSETS);
            story.ask(&format!("committing {name}"), version, request).await?;
        }
        for group in ["", "simple"] {
            let request = commit_offsets(id, producer, group, &[("nowhere", 0, 1, "")]);
            story
                .ask("committing for what is not there", version, request)
                .await?;
        }
    }
    story
        .ask("a group", 3, add_offsets(id, producer, "simple"))
        .await?;
    for version in 0..=4 {
        let request = commit_offsets(id, producer, "simple", OFFSETS);
        story.ask("committing", version, request).await?;
        let other = commit_offsets(id, producer, "another of another partition", OFFSETS);
        story.ask("for a group that is not in it", version, other).await?;
        let long = "x".repeat(101);
        let offsets = [("t", 1, 7, "x"), ("t", 2, 7, long.as_str())];
        let request = commit_offsets(id, producer, "simple", &offsets);
        story.ask("with too long a note", version, request).await?;
        let request = commit_offsets(id, producer.later(-1), "simple", OFFSETS);
        story.ask("as a zombie", version, request).await?;
        for offset in [-1, i64::MIN, i64::MAX] {
            let request = commit_offsets(id, producer, "simple", &[("t", 2, offset, "")]);
            story.ask(&format!("offset {offset}"), version, request).await?;
        }
        if version >= 3 {
            for (name, member, instance, generation) in [
                ("of a generation", "", None, 0),
                ("as a member", "member", None, -1),
                ("as a member of a generation", "member", None, 3),
                ("as an instance", "", Some("instance"), -1),
            ] {
                let request = commit_offsets(id, producer, "simple", OFFSETS)
                    .with_member_id(text(member))
                    .with_generation_id(generation)
                    .with_group_instance_id(instance.map(text));
                story.ask(&format!("committing {name}"), version, request).await?;
            }
        }
    }
    fetch(&story, "open", "simple").await?;
    story.ask("commits", 3, end(id, producer, true)).await?;
    until(&story, id, "CompleteCommit").await?;
    fetch(&story, "committed", "simple").await?;
    for version in 0..=4 {
        let request = commit_offsets(id, producer, "simple", OFFSETS);
        story.ask("too late", version, request).await?;
    }
    story
        .ask("once more", 3, add_offsets(id, producer, "simple"))
        .await?;
    let request = commit_offsets(id, producer, "simple", &[("t", 0, 99, ""), ("t", 1, 98, "")]);
    story.ask("which is aborted", 3, request).await?;
    story.ask("aborts", 3, end(id, producer, false)).await?;
    until(&story, id, "CompleteAbort").await?;
    fetch(&story, "aborted", "simple").await
}

/// A group with a member.
pub async fn members(story: Story) -> Result<()> {
    let (id, group) = ("members", "grown");
    let producer = bring(&story, id, "Empty").await?;
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]));
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_group_instance_id(Some(text("instance")))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let joined = story.ask("a member joins", 5, join).await?;
    let right = (
        joined.member_id.to_string(),
        Some("instance"),
        joined.generation_id,
    );
    story
        .ask("with its group", 3, add_offsets(id, producer, group))
        .await?;
    let ask = async |state: &str| -> Result<()> {
        let (member, instance, generation) = (right.0.as_str(), right.1, right.2);
        for (name, member, instance, generation) in [
            ("itself", member, instance, generation),
            ("itself without instance", member, None, generation),
            ("a stranger", "stranger", None, generation),
            ("a fenced one", "stranger", instance, generation),
            ("an unknown instance", member, Some("unknown"), generation),
            ("an older generation", member, instance, generation - 1),
            ("a future generation", member, instance, generation + 1),
            ("no generation", member, instance, -1),
            ("nobody", "", None, -1),
            ("nobody of a generation", "", None, generation),
        ] {
            for version in 0..=4 {
                let request = commit_offsets(id, producer, group, OFFSETS);
                let request = match version {
                    ..3 if name != "nobody" => continue,
                    ..3 => request,
                    _ => request
                        .with_member_id(text(member))
                        .with_generation_id(generation)
                        .with_group_instance_id(instance.map(text)),
                };
                let step = format!("{name} commits in {state}");
                story.ask(&step, version, request).await?;
            }
        }
        Ok(())
    };
    ask("CompletingRebalance").await?;
    let sync = SyncGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(joined.member_id.clone())
        .with_group_instance_id(Some(text("instance")))
        .with_generation_id(joined.generation_id);
    story.ask("the member is assigned to", 3, sync).await?;
    ask("Stable").await?;
    fetch(&story, "open", group).await?;
    story.ask("commits", 3, end(id, producer, true)).await?;
    until(&story, id, "CompleteCommit").await?;
    fetch(&story, "committed", group).await
}

//! Stories about offsets: committed, fetched, deleted, and stored in ZooKeeper; and about listing and deleting groups.

use anyhow::Result;
use barnabas_testcontainers::parity::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use barnabas_testcontainers::parity::{Story, messages::*};
use barnabas_testcontainers::tools::zk_tree;
use barnabas_testcontainers::wait::wait_for;

use crate::support::*;

pub fn offset_delete(group_id: &str, partitions: &[(&str, i32)]) -> OffsetDeleteRequest {
    let one = |&(name, index): &(&str, i32)| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(index);
        OffsetDeleteRequestTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![partition])
    };
    OffsetDeleteRequest::default()
        .with_group_id(group(group_id))
        .with_topics(partitions.iter().map(one).collect())
}

/// Partitions: some exist, some occur twice, some do not exist.
const SOME: &[(&str, &[i32])] = &[("t", &[0, 1, 0, 5]), ("u", &[0]), ("t", &[1]), ("nowhere", &[0])];

/// Every version of OffsetCommit, read back in every version of OffsetFetch.
pub async fn commits(story: Story) -> Result<()> {
    for version in 0..=9 {
        let id = format!("commits-{version}");
        let offset = i64::from(version);
        let offsets = [
            ("t", 0, offset, Some("note")),
            ("u", 0, offset, None),
            ("t", 1, offset, Some("")),
        ];
        let mut request = commit(&id, version, "", -1, &offsets);
        match version {
            1 => request.topics[0].partitions[0].commit_timestamp = 1_700_000_000_000,
            2..=4 => request.retention_time_ms = 86_400_000,
            6.. => request.topics[0].partitions[0].committed_leader_epoch = 5,
            _ => {}
        }
        story.ask("offsets", version, request).await?;
        doubtful(&story, &id, version).await?;
        for fetched in 0..=9 {
            story
                .ask(
                    &format!("what version {version} has committed"),
                    fetched,
                    fetch(&id, fetched, Some(SOME)),
                )
                .await?;
            story
                .ask(
                    &format!("nothing of version {version}"),
                    fetched,
                    fetch(&id, fetched, Some(&[])),
                )
                .await?;
            if fetched >= 2 {
                story
                    .ask(
                        &format!("all that version {version} has committed"),
                        fetched,
                        fetch(&id, fetched, None),
                    )
                    .await?;
            }
        }
    }
    Ok(())
}

/// The group with the empty name, also in requests with other groups. Several stories commit to it, so this story runs
/// after them.
pub async fn nameless(story: Story) -> Result<()> {
    story
        .ask(
            "an offset of no group",
            2,
            commit("", 2, "", -1, &[("t", 0, 5, None)]),
        )
        .await?;
    let many = vec![
        fetch_of("commits-3", None),
        fetch_of("commits-4", Some(SOME)),
        fetch_of("never", Some(SOME)),
        fetch_of("never", None),
        fetch_of("commits-3", None),
        fetch_of("", Some(SOME)),
    ];
    for version in 8..=9 {
        let request = OffsetFetchRequest::default()
            .with_groups(many.clone())
            .with_require_stable(true);
        story.ask("many groups", version, request).await?;
        // The story sends no request with an empty list of groups: Kafka never answers it.
    }
    let member = fetch_of("commits-3", None)
        .with_member_id(optional(Some("stranger")))
        .with_member_epoch(5);
    story
        .ask(
            "as a member of the new kind",
            9,
            OffsetFetchRequest::default().with_groups(vec![member]),
        )
        .await?;
    story
        .ask(
            "deleting an offset of no group",
            0,
            offset_delete("", &[("t", 0)]),
        )
        .await?;
    for version in 0..=2 {
        story
            .ask("deleting no group", version, delete(&["", "never", ""]))
            .await?;
    }
    Ok(())
}

/// Commits for partitions that do not exist, for one partition twice, and with metadata that is too long.
async fn doubtful(story: &Story, id: &str, version: i16) -> Result<()> {
    let twice = [
        ("t", 0, 20, None),
        ("t", 0, 21, None),
        ("t", 9, 1, None),
        ("t", 9, 1, None),
        ("u", 0, -7, None),
    ];
    story
        .ask(
            "partitions named twice",
            version,
            commit(id, version, "", -1, &twice),
        )
        .await?;
    let long = "x".repeat(101);
    let wide = "\u{1F600}".repeat(50);
    let wider = format!("{wide}x");
    let notes = [
        ("t", 0, 30, Some(long.as_str())),
        ("u", 0, 30, Some(&wide)),
        ("t", 1, 30, Some(&wider)),
    ];
    story
        .ask(
            "notes that are too long",
            version,
            commit(id, version, "", -1, &notes),
        )
        .await?;
    let long_only = [
        ("t", 0, 30, Some(long.as_str())),
        ("nowhere", 0, 1, Some(long.as_str())),
    ];
    story
        .ask(
            "only notes that are too long",
            version,
            commit(id, version, "", -1, &long_only),
        )
        .await?;
    story
        .ask("nothing", version, commit(id, version, "", -1, &[]))
        .await?;
    story
        .ask(
            "only what is not there",
            version,
            commit(id, version, "", -1, &[("t", 9, 1, None), ("t", -1, 1, None)]),
        )
        .await?;
    let internal = [("__consumer_offsets", 0, 5, None)];
    story
        .ask(
            "of an internal topic",
            version,
            commit(id, version, "", -1, &internal),
        )
        .await?;
    Ok(())
}

/// Commits and fetches of version 0, which stores offsets in znodes.
pub async fn in_zookeeper(story: Story) -> Result<()> {
    for id in ["zk", "zk/with/slashes", "", "..", "with space", "\u{e9}"] {
        let offsets = [
            ("t", 0, 5, None),
            ("t", 0, 6, None),
            ("u", 0, -1, None),
            ("t", 1, i64::MAX, None),
        ];
        story
            .ask(&format!("offsets of {id:?}"), 0, commit(id, 0, "", -1, &offsets))
            .await?;
        story
            .ask(
                &format!("offsets of {id:?} again"),
                0,
                commit(id, 0, "", -1, &[("t", 0, 7, None)]),
            )
            .await?;
        let some: &[(&str, &[i32])] = &[("t", &[0, 1]), ("u", &[0, 1]), ("nowhere", &[0])];
        story
            .ask(&format!("reading {id:?}"), 0, fetch(id, 0, Some(some)))
            .await?;
        story
            .ask(&format!("not reading {id:?}"), 1, fetch(id, 1, Some(some)))
            .await?;
    }
    Ok(())
}

/// Everything that version 0 has written to ZooKeeper.
pub async fn znodes(story: Story) -> Result<()> {
    for (path, data, ephemeral) in zk_tree(&story.cluster().zookeeper_connect()).await? {
        if path.starts_with("/consumers") {
            story.observe(&path, format!("{} {ephemeral}", data.escape_ascii()));
        }
    }
    Ok(())
}

pub async fn deletions(story: Story) -> Result<()> {
    let id = "deletions";
    story
        .ask("of a group that is not there", 0, offset_delete(id, &[("t", 0)]))
        .await?;
    story
        .ask("nothing of a group that is not there", 0, offset_delete(id, &[]))
        .await?;
    let offsets = [("t", 0, 5, None), ("t", 1, 5, None), ("u", 0, 5, None)];
    story.ask("offsets", 2, commit(id, 2, "", -1, &offsets)).await?;
    story
        .ask(
            "what is not there",
            0,
            offset_delete(id, &[("t", 9), ("nowhere", 0), ("t", 9)]),
        )
        .await?;
    story
        .ask("some", 0, offset_delete(id, &[("t", 0), ("t", 0), ("t", 9)]))
        .await?;
    story.ask("what is left", 5, fetch(id, 5, None)).await?;
    story
        .ask("the rest", 0, offset_delete(id, &[("t", 1), ("u", 0)]))
        .await?;
    story.ask("a group without offsets", 5, describe(&[id])).await?;

    let id = "deletions-of-members";
    let grown = Grown::stable(&story, id).await?;
    let request = commit(id, 5, &grown.leader, grown.generation, &offsets);
    story.ask("offsets of members", 5, request).await?;
    story
        .ask(
            "subscribed or not",
            0,
            offset_delete(id, &[("t", 0), ("u", 0), ("nowhere", 0)]),
        )
        .await?;
    story.ask("nothing", 0, offset_delete(id, &[])).await?;
    for version in 0..=2 {
        story.ask("groups", version, delete(&[id, "never", id])).await?;
        story.ask("no groups", version, delete(&[])).await?;
    }
    story.ask("what is left", 5, fetch(id, 5, None)).await?;

    let id = "deletions-of-workers";
    let request = join(id, 3, "", None).with_protocol_type(text("connect"));
    let worker = story.ask("a worker joins", 3, request).await?;
    let request = sync(id, 3, &worker.member_id, 1).with_assignments(assign(&[&worker.member_id]));
    story.ask("it assigns", 3, request).await?;
    story
        .ask(
            "offsets of a group of another type",
            0,
            offset_delete(id, &[("t", 0)]),
        )
        .await?;
    story
        .ask("only what is not there", 0, offset_delete(id, &[("t", 9)]))
        .await?;

    for version in 0..=2 {
        let id = format!("deleted-{version}");
        story.ask("offsets", 2, commit(&id, 2, "", -1, &offsets)).await?;
        story.ask("a group with offsets", version, delete(&[&id])).await?;
        story.ask("again", version, delete(&[&id])).await?;
        story.ask("what is left", 5, fetch(&id, 5, None)).await?;
        let grown = Grown::left(&story, &id).await?;
        story
            .ask("a group that had members", version, delete(&[&id]))
            .await?;
        story
            .ask(
                "a heartbeat after all",
                3,
                heartbeat(&id, &grown.leader, grown.generation),
            )
            .await?;
    }
    Ok(())
}

/// Lists of groups. The story runs while no other story changes groups.
pub async fn lists(story: Story) -> Result<()> {
    for version in 0..=5 {
        story
            .ask("all groups", version, ListGroupsRequest::default())
            .await?;
    }
    let filters: [&[&str]; 8] = [
        &["Stable"],
        &["stable", "EMPTY"],
        &["PreparingRebalance"],
        &["completingrebalance"],
        &["Dead"],
        &["nonsense"],
        &[""],
        &["Stable", "nonsense"],
    ];
    for states in filters {
        let states = states.iter().map(|state| text(state)).collect();
        let request = ListGroupsRequest::default().with_states_filter(states);
        for version in 4..=5 {
            story.ask("groups of states", version, request.clone()).await?;
        }
    }
    let filters: [&[&str]; 6] = [
        &["classic"],
        &["CLASSIC"],
        &["consumer"],
        &["nonsense"],
        &[""],
        &["consumer", "classic"],
    ];
    for types in filters {
        let types = types.iter().map(|one| text(one)).collect();
        story
            .ask(
                "groups of types",
                5,
                ListGroupsRequest::default().with_types_filter(types),
            )
            .await?;
    }
    Ok(())
}

pub async fn coordinators(story: Story) -> Result<()> {
    for version in 0..=6 {
        for key_type in [0, 1, 2, 3, -1] {
            if version == 0 && key_type != 0 {
                continue;
            }
            let mut request = FindCoordinatorRequest::default();
            if version > 0 {
                request.key_type = key_type;
            }
            request = match version {
                ..4 => request.with_key(text("g")),
                _ => request.with_coordinator_keys(vec![text("a"), text(""), text("a")]),
            };
            story
                .ask(&format!("coordinators of kind {key_type}"), version, request)
                .await?;
        }
        if version >= 4 {
            story
                .ask("of nothing", version, FindCoordinatorRequest::default())
                .await?;
        }
    }
    Ok(())
}

/// When a topic is deleted, its offsets are removed, and so are groups without other offsets.
pub async fn deleted_topics(story: Story) -> Result<()> {
    story.cluster().create_topic("gone", 1, 1, &[]).await?;
    let (gone, kept) = (("gone", 0, 5, None), ("t", 0, 5, None));
    story
        .ask("of both", 2, commit("gone-and-more", 2, "", -1, &[gone, kept]))
        .await?;
    story
        .ask("of the one", 2, commit("gone", 2, "", -1, &[gone]))
        .await?;
    let delete = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic("gone")])
        .with_timeout_ms(20_000);
    story.ask("the topic goes", 1, delete).await?;
    until(&story, "gone", "Dead", 0).await?;
    wait_for("the offset to go", LIMIT, || async {
        let answer = story.peek(5, fetch("gone-and-more", 5, None)).await.ok()?;
        (answer.topics.len() == 1).then_some(())
    })
    .await?;
    story
        .ask("what is left", 5, fetch("gone-and-more", 5, None))
        .await?;
    story
        .ask(
            "what is left of it",
            5,
            fetch("gone-and-more", 5, Some(&[("gone", &[0])])),
        )
        .await?;
    story
        .ask(
            "another commit",
            2,
            commit("gone-and-more", 2, "", -1, &[gone, kept]),
        )
        .await?;
    Ok(())
}

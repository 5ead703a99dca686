//! What the stories share: short constructors for requests of any version, and groups in a given state.

use std::time::Duration;

use anyhow::Result;
use barnabas_testcontainers::Broker;
use barnabas_testcontainers::parity::messages::join_group_request::JoinGroupRequestProtocol;
use barnabas_testcontainers::parity::messages::leave_group_request::MemberIdentity;
use barnabas_testcontainers::parity::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use barnabas_testcontainers::parity::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use barnabas_testcontainers::parity::messages::sync_group_request::SyncGroupRequestAssignment;
use barnabas_testcontainers::parity::{Pending, Story, messages::*};
use barnabas_testcontainers::wait::wait_for;
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

pub const LIMIT: Duration = Duration::from_secs(20);
/// A time in milliseconds that is longer than any story takes.
pub const LONG_MS: i32 = 25_000;

/// Long enough for an answer that does not have to wait for anything.
pub const SOON: Duration = Duration::from_millis(300);

/// Short timeouts, so that the stories wait only for a short time. But the initial delay of a new group is long enough
/// for a second member to join, even if the machine pauses for a moment.
pub fn configure(broker: Broker) -> Broker {
    broker
        .with("group.initial.rebalance.delay.ms", 1000)
        .with("group.min.session.timeout.ms", 300)
        .with("group.max.session.timeout.ms", 30_000)
        .with("group.max.size", 4)
        .with("offset.metadata.max.bytes", 100)
        .with("offsets.topic.num.partitions", 3)
        .with("offsets.retention.check.interval.ms", 3_600_000)
        .with("transaction.state.log.num.partitions", 3)
}

pub fn text(text: &str) -> StrBytes {
    text.to_owned().into()
}

pub fn optional(value: Option<&str>) -> Option<StrBytes> {
    value.map(text)
}

pub fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A `ConsumerProtocolSubscription`, version 0.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

/// The JoinGroup request of a consumer of topic `t`. Fields that a version does not have must keep their defaults.
pub fn join(group_id: &str, version: i16, member_id: &str, instance: Option<&str>) -> JoinGroupRequest {
    let request = JoinGroupRequest::default()
        .with_group_id(group(group_id))
        .with_session_timeout_ms(LONG_MS)
        .with_member_id(text(member_id))
        .with_group_instance_id(optional(instance))
        .with_protocol_type(text("consumer"))
        .with_protocols(protocols(&["range", "roundrobin"]));
    match version {
        0 => request,
        _ => request.with_rebalance_timeout_ms(LONG_MS),
    }
}

pub fn protocols(names: &[&str]) -> Vec<JoinGroupRequestProtocol> {
    let protocol = |name: &&str| {
        JoinGroupRequestProtocol::default()
            .with_name(text(name))
            .with_metadata(subscription(&["t"]))
    };
    names.iter().map(protocol).collect()
}

pub fn sync(group_id: &str, version: i16, member_id: &str, generation: i32) -> SyncGroupRequest {
    let named = |name| (version >= 5).then(|| text(name));
    SyncGroupRequest::default()
        .with_group_id(group(group_id))
        .with_member_id(text(member_id))
        .with_generation_id(generation)
        .with_protocol_type(named("consumer"))
        .with_protocol_name(named("range"))
}

pub fn assign(members: &[&str]) -> Vec<SyncGroupRequestAssignment> {
    let assignment = |(index, id): (usize, &&str)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(id))
            .with_assignment(Bytes::from(format!("assignment {index}")))
    };
    members.iter().enumerate().map(assignment).collect()
}

pub fn heartbeat(group_id: &str, member_id: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group(group_id))
        .with_member_id(text(member_id))
        .with_generation_id(generation)
}

pub fn leave(group_id: &str, member_id: &str) -> LeaveGroupRequest {
    LeaveGroupRequest::default()
        .with_group_id(group(group_id))
        .with_member_id(text(member_id))
}

pub fn leave_all(group_id: &str, members: &[(&str, Option<&str>)]) -> LeaveGroupRequest {
    let member = |&(id, instance): &(&str, Option<&str>)| {
        MemberIdentity::default()
            .with_member_id(text(id))
            .with_group_instance_id(optional(instance))
    };
    LeaveGroupRequest::default()
        .with_group_id(group(group_id))
        .with_members(members.iter().map(member).collect())
}

/// Topic, partition, offset, metadata.
pub type Committed<'a> = (&'a str, i32, i64, Option<&'a str>);

pub fn commit(
    group_id: &str,
    version: i16,
    member_id: &str,
    generation: i32,
    offsets: &[Committed],
) -> OffsetCommitRequest {
    let topics = offsets.iter().map(|&(name, partition, offset, note)| {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(optional(note));
        OffsetCommitRequestTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![partition])
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(group(group_id))
        .with_topics(topics.collect());
    match version {
        0 => request,
        _ => request
            .with_member_id(text(member_id))
            .with_generation_id_or_member_epoch(generation),
    }
}

/// The request for a group's committed offsets of these partitions, or of all.
pub fn fetch(group_id: &str, version: i16, topics: Option<&[(&str, &[i32])]>) -> OffsetFetchRequest {
    match version {
        ..8 => {
            let topics = topics.map(|topics| {
                let one = |(name, indexes): &(&str, &[i32])| {
                    OffsetFetchRequestTopic::default()
                        .with_name(topic(name))
                        .with_partition_indexes(indexes.to_vec())
                };
                topics.iter().map(one).collect()
            });
            OffsetFetchRequest::default()
                .with_group_id(group(group_id))
                .with_topics(topics)
        }
        _ => OffsetFetchRequest::default().with_groups(vec![fetch_of(group_id, topics)]),
    }
}

pub fn fetch_of(group_id: &str, topics: Option<&[(&str, &[i32])]>) -> OffsetFetchRequestGroup {
    let topics = topics.map(|topics| {
        let one = |(name, indexes): &(&str, &[i32])| {
            OffsetFetchRequestTopics::default()
                .with_name(topic(name))
                .with_partition_indexes(indexes.to_vec())
        };
        topics.iter().map(one).collect()
    });
    OffsetFetchRequestGroup::default()
        .with_group_id(group(group_id))
        .with_topics(topics)
}

pub fn describe(groups: &[&str]) -> DescribeGroupsRequest {
    DescribeGroupsRequest::default().with_groups(groups.iter().map(|id| group(id)).collect())
}

pub fn delete(groups: &[&str]) -> DeleteGroupsRequest {
    DeleteGroupsRequest::default().with_groups_names(groups.iter().map(|id| group(id)).collect())
}

/// The state of a group.
pub async fn state(story: &Story, group_id: &str) -> Result<String> {
    let answer = story.peek(1, describe(&[group_id])).await?;
    Ok(answer.groups[0].group_state.to_string())
}

/// Waits until a group has this state and this number of members.
pub async fn until(story: &Story, group_id: &str, state: &str, members: usize) -> Result<()> {
    wait_for(
        &format!("{group_id} to be {state} with {members} members"),
        LIMIT,
        || async {
            let answer = story.peek(1, describe(&[group_id])).await.ok()?;
            let described = &answer.groups[0];
            (&*described.group_state == state && described.members.len() == members).then_some(())
        },
    )
    .await
}

/// Creates topics to commit offsets of.
pub async fn topics(story: Story) -> Result<()> {
    story.cluster().create_topic("t", 2, 1, &[]).await?;
    story.cluster().create_topic("u", 1, 1, &[]).await
}

/// Lets the brokers create the internal topics.
pub async fn prepare(story: Story) -> Result<()> {
    for key_type in [0, 1] {
        wait_for("coordinators", LIMIT, || async {
            let ask = FindCoordinatorRequest::default()
                .with_key(text("g"))
                .with_key_type(key_type);
            let answer = story.peek(1, ask).await.ok()?;
            (answer.error_code == 0).then_some(())
        })
        .await?;
    }
    loaded(&story).await
}

/// Waits until every partition of the internal topic is loaded. A broker loads each of them separately.
pub async fn loaded(story: &Story) -> Result<()> {
    for id in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        wait_for("a loaded coordinator", LIMIT, || async {
            let answer = story.peek(0, describe(&[id])).await.ok()?;
            (answer.groups[0].error_code == 0).then_some(())
        })
        .await?;
    }
    Ok(())
}

/// A group with a dynamic leader and a static follower.
pub struct Grown {
    pub id: String,
    pub leader: String,
    pub follower: String,
    pub generation: i32,
    /// The leader's JoinGroup request, while it waits for the follower.
    pub waiting: Option<Pending<JoinGroupResponse>>,
}

/// The follower's `group.instance.id`.
pub const INSTANCE: &str = "instance";

impl Grown {
    /// A group whose members have joined: CompletingRebalance. The follower waits until the leader joins once more, so
    /// neither has to join within the initial delay.
    pub async fn joined(story: &Story, id: &str) -> Result<Self> {
        let (first, second) = (story.client("first"), story.client("second"));
        let alone = first.ask("the leader joins", 3, join(id, 3, "", None)).await?;
        let following = second.begin("a static member joins", 5, join(id, 5, "", Some(INSTANCE)));
        until(story, id, "PreparingRebalance", 2).await?;
        let request = join(id, 3, &alone.member_id, None);
        let leader = first.ask("the leader joins with it", 3, request).await?;
        let follower = following.answer().await?;
        Ok(Self {
            id: id.to_owned(),
            leader: leader.member_id.to_string(),
            follower: follower.member_id.to_string(),
            generation: leader.generation_id,
            waiting: None,
        })
    }

    /// A group whose members have assignments: Stable.
    pub async fn stable(story: &Story, id: &str) -> Result<Self> {
        let grown = Self::joined(story, id).await?;
        let assignments = assign(&[&grown.leader, &grown.follower]);
        let request = sync(id, 3, &grown.leader, grown.generation).with_assignments(assignments);
        story.ask("the leader assigns", 3, request).await?;
        let request = sync(id, 3, &grown.follower, grown.generation);
        story.ask("the follower is assigned to", 3, request).await?;
        Ok(grown)
    }

    /// A group whose leader has joined again, but not its follower: PreparingRebalance.
    pub async fn preparing(story: &Story, id: &str) -> Result<Self> {
        let mut grown = Self::stable(story, id).await?;
        let again =
            story
                .client("first")
                .begin("the leader joins again", 3, join(id, 3, &grown.leader, None));
        grown.waiting = Some(again);
        until(story, id, "PreparingRebalance", 2).await?;
        Ok(grown)
    }

    /// A group that all members have left: Empty.
    pub async fn left(story: &Story, id: &str) -> Result<Self> {
        let grown = Self::stable(story, id).await?;
        for member in [&grown.leader, &grown.follower] {
            let leave = LeaveGroupRequest::default()
                .with_group_id(group(id))
                .with_member_id(text(member));
            story.ask("a member leaves", 1, leave).await?;
        }
        until(story, id, "Empty", 0).await?;
        Ok(grown)
    }
}

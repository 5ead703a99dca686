//! Stories about CreateTopics, CreatePartitions and DeleteTopics.
//!
//! The stories leave out two faults of Kafka: it fails on a partition with a negative number, and it creates a
//! partition without replicas. barnabas answers both with INVALID_REPLICA_ASSIGNMENT.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use barnabas::parts::TopicId;
use barnabas_testcontainers::parity::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use barnabas_testcontainers::parity::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use barnabas_testcontainers::parity::messages::delete_topics_request::DeleteTopicState;
use barnabas_testcontainers::parity::messages::metadata_request::MetadataRequestTopic;
use barnabas_testcontainers::parity::{Story, messages::*};
use barnabas_testcontainers::wait::wait_for;

use crate::support::*;

type Assignments<'a> = &'a [(i32, &'a [i32])];

/// One partition on the only broker.
fn new_topic(name: &str) -> CreatableTopic {
    sized(name, 1, 1)
}

fn sized(name: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(factor)
}

fn assigned(mut topic: CreatableTopic, assignments: Assignments) -> CreatableTopic {
    let one = |&(partition, brokers): &(i32, &[i32])| {
        CreatableReplicaAssignment::default()
            .with_partition_index(partition)
            .with_broker_ids(ids(brokers))
    };
    topic.assignments = assignments.iter().map(one).collect();
    topic
}

fn configured(mut topic: CreatableTopic, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let one = |&(name, value): &(&str, Option<&str>)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(value.map(text))
    };
    topic.configs = configs.iter().map(one).collect();
    topic
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(10_000)
}

fn create_on_no_broker(name: &str) -> CreatableTopic {
    assigned(sized(name, -1, -1), &[(0, &[7])])
}

/// Topics that cannot be created. Kafka creates some of them in the end, so the stories use each name once: `name`
/// returns a new one.
fn refused_topics(name: &mut impl FnMut() -> String) -> Vec<(&'static str, Vec<CreatableTopic>)> {
    let long = "x".repeat(250);
    vec![
        ("one that is there", vec![new_topic("t")]),
        ("an empty name", vec![new_topic("")]),
        ("a dot", vec![new_topic(".")]),
        ("two dots", vec![new_topic("..")]),
        ("a long name", vec![new_topic(&long)]),
        ("a name with a space", vec![new_topic("a b")]),
        ("a name with an accent", vec![new_topic("caf\u{e9}")]),
        ("Kafka's own log", vec![new_topic("__cluster_metadata")]),
        ("a colliding name", vec![new_topic("some.topic")]),
        ("one twice", vec![new_topic("twice"), new_topic("twice")]),
        (
            "one twice and others",
            vec![
                new_topic("twice"),
                new_topic("t"),
                new_topic("twice"),
                new_topic(".."),
            ],
        ),
        ("no partitions", vec![sized(&name(), 0, 1)]),
        ("fewer than no partitions", vec![sized(&name(), -2, 1)]),
        ("no replicas", vec![sized(&name(), 1, 0)]),
        ("fewer than no replicas", vec![sized(&name(), 1, -2)]),
        ("more replicas than brokers", vec![sized(&name(), 1, 2)]),
        ("very many replicas", vec![sized(&name(), 1, i16::MAX)]),
        ("both wrong", vec![sized(&name(), 0, 9)]),
        (
            "a number and assignments",
            vec![assigned(sized(&name(), 1, -1), &[(0, &[0])])],
        ),
        (
            "a factor and assignments",
            vec![assigned(sized(&name(), -1, 1), &[(0, &[0])])],
        ),
        (
            "a gap",
            vec![assigned(sized(&name(), -1, -1), &[(0, &[0]), (2, &[0])])],
        ),
        (
            "no partition 0",
            vec![assigned(sized(&name(), -1, -1), &[(1, &[0])])],
        ),
        (
            "a broker twice",
            vec![assigned(sized(&name(), -1, -1), &[(0, &[0, 0])])],
        ),
        (
            "some without brokers",
            vec![assigned(sized(&name(), -1, -1), &[(0, &[0]), (1, &[])])],
        ),
        (
            "unequal partitions",
            vec![assigned(sized(&name(), -1, -1), &[(0, &[0]), (1, &[0, 1])])],
        ),
    ]
}

/// Settings that no topic can have.
const REFUSED_CONFIGS: &[&[(&str, Option<&str>)]] = &[
    &[("no.such.key", Some("1"))],
    &[("", Some("1"))],
    &[("retention.ms", None)],
    &[("retention.ms", None), ("segment.bytes", None)],
    &[("no.such.key", None)],
    &[("retention.ms", Some("soon"))],
    &[("retention.ms", Some(""))],
    &[("retention.ms", Some("-2"))],
    &[("segment.bytes", Some("13"))],
    &[("segment.bytes", Some("3000000000"))],
    &[("min.insync.replicas", Some("0"))],
    &[("cleanup.policy", Some("shrink"))],
    &[("cleanup.policy", Some("compact,shrink"))],
    &[("cleanup.policy", Some(""))],
    &[("compression.type", Some("brotli"))],
    &[("compression.gzip.level", Some("10"))],
    &[("message.timestamp.type", Some("Now"))],
    &[("message.format.version", Some("9"))],
    &[("min.cleanable.dirty.ratio", Some("1.5"))],
    &[("unclean.leader.election.enable", Some("perhaps"))],
    &[("preallocate", Some("1"))],
    &[("leader.replication.throttled.replicas", Some("x"))],
    &[("follower.replication.throttled.replicas", Some("0:0,1"))],
    &[("max.compaction.lag.ms", Some("0"))],
    &[
        ("max.compaction.lag.ms", Some("5")),
        ("min.compaction.lag.ms", Some("6")),
    ],
    &[("remote.storage.enable", Some("true"))],
    &[("remote.log.copy.disable", Some("true"))],
    &[("local.retention.ms", Some("10")), ("retention.ms", Some("5"))],
    &[
        ("local.retention.bytes", Some("10")),
        ("retention.bytes", Some("5")),
    ],
    &[("index.interval.bytes", Some("-1"))],
    &[("max.message.bytes", Some("-1"))],
];

pub async fn creating(story: Story) -> Result<()> {
    for version in 0..=7 {
        let mut numbers = 0..;
        let mut new_name = || format!("refused-{version}-{}", numbers.next().unwrap_or(0));
        for (what, topics) in refused_topics(&mut new_name) {
            story.ask(what, version, create(topics)).await?;
        }
        let name = |what: &str| format!("{what}-{version}");
        // -1 leaves the choice to the broker. Versions before 4 do not support this.
        for (partitions, factor) in [(-1, 1), (1, -1), (-1, -1)] {
            let step = format!("{partitions} partitions, {factor} replicas");
            let wanted = sized(&name(&format!("default{partitions}{factor}")), partitions, factor);
            story.ask(&step, version, create(vec![wanted])).await?;
        }
        let assigned_topic = assigned(sized(&name("assigned"), -1, -1), &[(1, &[0]), (0, &[0])]);
        story
            .ask("assigned", version, create(vec![assigned_topic]))
            .await?;
        if version > 0 {
            for wanted in [sized("unmade", 3, 1), sized("un.made", -1, -1), sized("t", 3, 1)] {
                let validation = create(vec![wanted.clone()]).with_validate_only(true);
                let step = format!("only a look at {}", &**wanted.name);
                story.ask(&step, version, validation).await?;
            }
        }
        let at_once = create(vec![new_topic(&name("at-once"))]).with_timeout_ms(0);
        story.ask("no time", version, at_once).await?;
        let before = create(vec![new_topic(&name("before"))]).with_timeout_ms(-1);
        story.ask("less than no time", version, before).await?;
        story.ask("nothing", version, create(vec![])).await?;
    }
    for (number, configs) in REFUSED_CONFIGS.iter().enumerate() {
        let step = format!("configured with {configs:?}");
        let topic = configured(new_topic(&format!("configured-{number}")), configs);
        story.ask(&step, 7, create(vec![topic])).await?;
    }
    being_deleted(&story).await
}

/// No controller can delete a topic with a replica on a missing broker, so the topic stays.
async fn being_deleted(story: &Story) -> Result<()> {
    let name = "stays";
    let nowhere = create(vec![create_on_no_broker(name)]).with_timeout_ms(300);
    story.ask("on no broker", 7, nowhere).await?;
    let deletion = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic(name)])
        .with_timeout_ms(300);
    story.ask("what cannot be deleted", 5, deletion.clone()).await?;
    let named = MetadataRequestTopic::default().with_name(Some(topic(name)));
    wait_for("the topic to be forgotten", Duration::from_secs(20), || async {
        let request = MetadataRequest::default().with_topics(Some(vec![named.clone()]));
        let metadata = story.peek(9, request).await.ok()?;
        (metadata.topics[0].error_code == 3).then_some(())
    })
    .await?;
    for version in [0, 1, 5, 7] {
        let again = create(vec![new_topic(name)]);
        story.ask("what is being deleted", version, again).await?;
    }
    story.ask("what is being deleted already", 5, deletion).await?;
    for version in 0..=3 {
        let more = more_partitions(vec![more(name, 2, None)]);
        story
            .ask("partitions for what is being deleted", version, more)
            .await?;
    }
    Ok(())
}

fn more(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let one = |brokers: &&[i32]| CreatePartitionsAssignment::default().with_broker_ids(ids(brokers));
    CreatePartitionsTopic::default()
        .with_name(topic(name))
        .with_count(count)
        .with_assignments(assignments.map(|all| all.iter().map(one).collect()))
}

fn more_partitions(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(10_000)
}

pub async fn adding_partitions(story: Story) -> Result<()> {
    let cases: Vec<(&str, Vec<CreatePartitionsTopic>)> = vec![
        ("nowhere", vec![more("nowhere", 3, None)]),
        ("an invalid name", vec![more("a b", 3, None)]),
        ("an empty name", vec![more("", 3, None)]),
        ("as many as there are", vec![more("t", 2, None)]),
        ("fewer", vec![more("t", 1, None)]),
        ("none", vec![more("t", 0, None)]),
        ("fewer than none", vec![more("t", -1, None)]),
        ("twice", vec![more("t", 3, None), more("t", 4, None)]),
        ("no assignment", vec![more("t", 3, Some(&[]))]),
        ("too many assignments", vec![more("t", 3, Some(&[&[0], &[0]]))]),
        ("too few assignments", vec![more("t", 5, Some(&[&[0]]))]),
        ("assignments, but no more", vec![more("t", 2, Some(&[&[0]]))]),
        ("an unknown broker", vec![more("t", 3, Some(&[&[7]]))]),
        ("unknown brokers", vec![more("t", 4, Some(&[&[7], &[9]]))]),
        ("a broker twice", vec![more("t", 3, Some(&[&[0, 0]]))]),
        ("no broker", vec![more("t", 3, Some(&[&[]]))]),
        ("more brokers", vec![more("t", 3, Some(&[&[0, 7]]))]),
        ("unequal ones", vec![more("t", 4, Some(&[&[0], &[0, 7]]))]),
        ("good and bad", vec![more("nowhere", 3, None), more("t", 1, None)]),
    ];
    for version in 0..=3 {
        for (what, topics) in &cases {
            story.ask(what, version, more_partitions(topics.clone())).await?;
            let validation = more_partitions(topics.clone()).with_validate_only(true);
            let step = format!("only a look at {what}");
            story.ask(&step, version, validation).await?;
        }
        let good = more_partitions(vec![more("t", 3, Some(&[&[0]]))]).with_validate_only(true);
        story.ask("only a look", version, good).await?;
    }
    Ok(())
}

pub async fn deleting(story: Story) -> Result<()> {
    for version in 0..=5 {
        for names in [
            &["nowhere"] as &[&str],
            &["a b"],
            &[""],
            &["nowhere", "nowhere"],
            &["nowhere", "elsewhere"],
            &[],
        ] {
            let request = DeleteTopicsRequest::default()
                .with_topic_names(names.iter().map(|name| topic(name)).collect())
                .with_timeout_ms(1_000);
            story.ask(&format!("{names:?}"), version, request).await?;
        }
    }
    let unknown = TopicId::from_u128(7);
    let named = |name: &str| DeleteTopicState::default().with_name(Some(topic(name)));
    let by_id = |id| DeleteTopicState::default().with_topic_id(id);
    let cases = BTreeMap::from([
        ("by name", vec![named("nowhere")]),
        ("by an invalid name", vec![named("a b")]),
        ("by an unknown id", vec![by_id(unknown)]),
        ("by an unknown id twice", vec![by_id(unknown), by_id(unknown)]),
        ("by nothing", vec![DeleteTopicState::default()]),
        (
            "by nothing twice",
            vec![DeleteTopicState::default(), DeleteTopicState::default()],
        ),
        ("by both", vec![named("t").with_topic_id(unknown)]),
        ("by name twice", vec![named("nowhere"), named("nowhere")]),
        ("by name and id", vec![named("nowhere"), by_id(unknown)]),
    ]);
    for (what, topics) in cases {
        let request = DeleteTopicsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(1_000);
        story.ask(what, 6, request).await?;
    }
    Ok(())
}

pub async fn deleting_is_forbidden(story: Story) -> Result<()> {
    for version in 0..=5 {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic("t"), topic("nowhere")])
            .with_timeout_ms(1_000);
        story.ask("deleting is forbidden", version, request).await?;
    }
    let topics = vec![DeleteTopicState::default().with_name(Some(topic("t")))];
    let request = DeleteTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(1_000);
    story.ask("deleting is forbidden", 6, request).await?;
    Ok(())
}

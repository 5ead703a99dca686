//! Stories about requests that concern the whole cluster: elections, reassignments, features, coordinators, access.

use anyhow::Result;
use barnabas_testcontainers::parity::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use barnabas_testcontainers::parity::messages::create_acls_request::AclCreation;
use barnabas_testcontainers::parity::messages::delete_acls_request::DeleteAclsFilter;
use barnabas_testcontainers::parity::messages::describe_producers_request::TopicRequest;
use barnabas_testcontainers::parity::messages::elect_leaders_request::TopicPartitions;
use barnabas_testcontainers::parity::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use barnabas_testcontainers::parity::messages::update_features_request::FeatureUpdateKey;
use barnabas_testcontainers::parity::{Story, messages::*};

use crate::support::*;

/// Topics and some of their partitions.
type Partitions<'a> = &'a [(&'a str, &'a [i32])];

fn elect(partitions: Option<Partitions>) -> ElectLeadersRequest {
    let one = |&(name, partitions): &(&str, &[i32])| {
        TopicPartitions::default()
            .with_topic(topic(name))
            .with_partitions(partitions.to_vec())
    };
    ElectLeadersRequest::default()
        .with_topic_partitions(partitions.map(|all| all.iter().map(one).collect()))
        .with_timeout_ms(5_000)
}

pub async fn elections_and_reassignments(story: Story) -> Result<()> {
    let partitions: &[Option<Partitions>] = &[
        Some(&[("t", &[0, 1])]),
        Some(&[("t", &[0]), ("nowhere", &[0]), ("t", &[9])]),
        Some(&[("a b", &[0])]),
        Some(&[("", &[-1])]),
        Some(&[]),
        None,
    ];
    for &partitions in partitions {
        story
            .ask(&format!("electing {partitions:?}"), 0, elect(partitions))
            .await?;
        for version in 1..=2 {
            for election_type in [0, 1, 2, -1] {
                let request = elect(partitions).with_election_type(election_type);
                let step = format!("electing {partitions:?}, type {election_type}");
                story.ask(&step, version, request).await?;
            }
        }
    }
    let cases: &[(&str, i32, Option<&[i32]>)] = &[
        ("nowhere", 0, Some(&[0])),
        ("a b", 0, Some(&[0])),
        ("moved", 9, Some(&[0])),
        ("moved", -1, Some(&[0])),
        ("moved", 0, None),
        ("nowhere", 0, None),
        ("moved", 0, Some(&[])),
        ("moved", 0, Some(&[0, 0])),
        ("moved", 0, Some(&[7])),
        ("moved", 0, Some(&[0, 7])),
        ("moved", 0, Some(&[-1])),
        ("moved", 0, Some(&[0, -1])),
        ("moved", 0, Some(&[0])),
    ];
    for &(name, partition, replicas) in cases {
        let wanted = ReassignablePartition::default()
            .with_partition_index(partition)
            .with_replicas(replicas.map(ids));
        let wanted = ReassignableTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![wanted]);
        let request = AlterPartitionReassignmentsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(5_000);
        story
            .ask(&format!("moving {name}-{partition} to {replicas:?}"), 0, request)
            .await?;
    }
    for topics in [Some(vec![("moved", 0), ("nowhere", 0)]), Some(vec![]), None] {
        let one = |(name, partition)| {
            ListPartitionReassignmentsTopics::default()
                .with_name(topic(name))
                .with_partition_indexes(vec![partition])
        };
        let step = format!("what is moved of {topics:?}");
        let request = ListPartitionReassignmentsRequest::default()
            .with_topics(topics.map(|topics| topics.into_iter().map(one).collect()));
        story.ask(&step, 0, request).await?;
    }
    Ok(())
}

pub async fn of_the_cluster(story: Story) -> Result<()> {
    story
        .ask("the cluster", 0, DescribeClusterRequest::default())
        .await?;
    for endpoint_type in [0, 1, 2, 3, -1] {
        let request = DescribeClusterRequest::default().with_endpoint_type(endpoint_type);
        story
            .ask(&format!("endpoints of type {endpoint_type}"), 1, request)
            .await?;
    }
    let update = |feature: &str, level| {
        FeatureUpdateKey::default()
            .with_feature(text(feature))
            .with_max_version_level(level)
    };
    for (feature, level) in [("metadata.version", 1), ("x", 1), ("x", 0), ("x", -1), ("", 1)] {
        for downgrade in [false, true] {
            let update = update(feature, level).with_allow_downgrade(downgrade);
            let request = UpdateFeaturesRequest::default().with_feature_updates(vec![update]);
            let step = format!("feature '{feature}' to {level}, down: {downgrade}");
            story.ask(&step, 0, request).await?;
        }
        for upgrade_type in [0, 1, 2, 3, 4, -1] {
            let update = update(feature, level).with_upgrade_type(upgrade_type);
            for validate_only in [false, true] {
                let request = UpdateFeaturesRequest::default()
                    .with_feature_updates(vec![update.clone()])
                    .with_validate_only(validate_only);
                let step = format!("feature '{feature}' to {level} by {upgrade_type}, {validate_only}");
                story.ask(&step, 1, request).await?;
            }
        }
    }
    for version in 0..=1 {
        let nothing = UpdateFeaturesRequest::default();
        story.ask("no feature", version, nothing).await?;
        let twice =
            UpdateFeaturesRequest::default().with_feature_updates(vec![update("x", 1), update("x", 2)]);
        story.ask("a feature twice", version, twice).await?;
    }
    let producers = [("t", 0), ("t", 9), ("t", -1), ("nowhere", 0), ("a b", 0), ("", 0)];
    for (name, partition) in producers {
        let of = TopicRequest::default()
            .with_name(topic(name))
            .with_partition_indexes(vec![partition]);
        let request = DescribeProducersRequest::default().with_topics(vec![of]);
        story
            .ask(&format!("producers of '{name}' {partition}"), 0, request)
            .await?;
    }
    Ok(())
}

pub async fn coordinators(story: Story) -> Result<()> {
    let find = |key: &str| FindCoordinatorRequest::default().with_key(text(key));
    for key in ["g", "", "a b"] {
        story.ask(&format!("of '{key}'"), 0, find(key)).await?;
        for key_type in [0, 1, 2, 3, -1] {
            for version in 1..=3 {
                let request = find(key).with_key_type(key_type);
                let step = format!("of '{key}', type {key_type}");
                story.ask(&step, version, request).await?;
            }
            for version in 4..=6 {
                for keys in [vec![], vec![key], vec![key, "other", key]] {
                    let step = format!("of {keys:?}, type {key_type}");
                    let request = FindCoordinatorRequest::default()
                        .with_key_type(key_type)
                        .with_coordinator_keys(keys.into_iter().map(text).collect());
                    story.ask(&step, version, request).await?;
                }
            }
        }
    }
    Ok(())
}

pub async fn access(story: Story) -> Result<()> {
    for version in 0..=3 {
        for resource_type in [0, 1, 2, 9, -1] {
            let filter = DescribeAclsRequest::default()
                .with_resource_type_filter(resource_type)
                .with_operation(1)
                .with_permission_type(1);
            story
                .ask(&format!("accesses to {resource_type}"), version, filter)
                .await?;
            let filter = DeleteAclsFilter::default()
                .with_resource_type_filter(resource_type)
                .with_operation(1)
                .with_permission_type(1);
            let request = DeleteAclsRequest::default().with_filters(vec![filter]);
            story
                .ask(&format!("no accesses to {resource_type}"), version, request)
                .await?;
            let creation = AclCreation::default()
                .with_resource_type(resource_type)
                .with_resource_name(text("t"))
                .with_principal(text("User:x"))
                .with_host(text("*"))
                .with_operation(3)
                .with_permission_type(3);
            let request = CreateAclsRequest::default().with_creations(vec![creation]);
            story
                .ask(&format!("an access to {resource_type}"), version, request)
                .await?;
        }
    }
    Ok(())
}

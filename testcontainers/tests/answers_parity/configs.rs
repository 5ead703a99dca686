//! Stories about DescribeConfigs, AlterConfigs and IncrementalAlterConfigs.
//!
//! The stories leave out the cases in which Kafka has no useful answer (UNKNOWN_SERVER_ERROR without a message): a
//! resource twice in AlterConfigs, operations that do not exist, values appended to a key that does not exist.

use anyhow::Result;
use barnabas_testcontainers::parity::messages::alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use barnabas_testcontainers::parity::messages::describe_configs_request::DescribeConfigsResource;
use barnabas_testcontainers::parity::messages::incremental_alter_configs_request as incremental;
use barnabas_testcontainers::parity::{Story, messages::*};

use crate::support::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

fn described(resource_type: i8, name: &str, keys: &[&str]) -> DescribeConfigsResource {
    DescribeConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(keys.iter().map(|key| text(key)).collect()))
}

pub async fn describing(story: Story) -> Result<()> {
    let resources: &[(i8, &str)] = &[
        (TOPIC, "t"),
        (TOPIC, "nowhere"),
        (TOPIC, "a b"),
        (TOPIC, ""),
        (BROKER, "0"),
        (BROKER, "1"),
        (BROKER, "-1"),
        (BROKER, "one"),
        (BROKER, ""),
        (BROKER_LOGGER, "1"),
        (BROKER_LOGGER, "one"),
        (BROKER_LOGGER, ""),
        (CLIENT_METRICS, "m"),
        (CLIENT_METRICS, ""),
        (GROUP, "g"),
        (0, "t"),
        (1, "t"),
        (3, "t"),
        (5, "t"),
        (64, "t"),
        (-1, "t"),
    ];
    for version in 0..=4 {
        for &(resource_type, name) in resources {
            for keys in [
                &["retention.ms", "log.retention.ms"] as &[&str],
                &["no.such.key"],
                &[],
            ] {
                if resource_type == BROKER && keys.is_empty() && name == "0" {
                    // All keys of broker 0 include addresses and paths, which differ. Another test compares the
                    // configurations.
                    continue;
                }
                let request = DescribeConfigsRequest::default().with_resources(vec![described(
                    resource_type,
                    name,
                    keys,
                )]);
                let step = format!("{keys:?} of {resource_type} '{name}'");
                story.ask(&step, version, request).await?;
            }
        }
        let several = [(TOPIC, "t"), (TOPIC, "nowhere"), (TOPIC, "t")];
        let several = several.map(|(kind, name)| described(kind, name, &["retention.ms"]));
        let request = DescribeConfigsRequest::default().with_resources(several.into());
        story.ask("several", version, request).await?;
        if version >= 1 {
            let request = DescribeConfigsRequest::default()
                .with_resources(vec![described(
                    TOPIC,
                    "t",
                    &["retention.ms", "min.insync.replicas"],
                )])
                .with_include_synonyms(true);
            story.ask("with synonyms", version, request).await?;
        }
    }
    Ok(())
}

type Operations<'a> = &'a [(&'a str, i8, Option<&'a str>)];
type Configs<'a> = &'a [(&'a str, Option<&'a str>)];

/// Resources and changes to them; the broker refuses all of them.
const REFUSED: &[(i8, &str, Configs)] = &[
    (TOPIC, "nowhere", &[("retention.ms", Some("5"))]),
    (TOPIC, "a b", &[("retention.ms", Some("5"))]),
    (TOPIC, "", &[("retention.ms", Some("5"))]),
    (TOPIC, "t", &[("no.such.key", Some("5"))]),
    (TOPIC, "t", &[("", Some("5"))]),
    (TOPIC, "t", &[("retention.ms", None)]),
    (TOPIC, "t", &[("retention.ms", None), ("segment.bytes", None)]),
    (TOPIC, "t", &[("retention.ms", Some("soon"))]),
    (TOPIC, "t", &[("retention.ms", Some("-2"))]),
    (TOPIC, "t", &[("segment.bytes", Some("0"))]),
    (TOPIC, "t", &[("cleanup.policy", Some("shrink"))]),
    (TOPIC, "t", &[("compression.type", Some("brotli"))]),
    (
        TOPIC,
        "t",
        &[("leader.replication.throttled.replicas", Some("x"))],
    ),
    (
        TOPIC,
        "t",
        &[("retention.ms", Some("5")), ("retention.ms", Some("6"))],
    ),
    (BROKER, "0", &[("no.such.key", None)]),
    (BROKER, "0", &[("log.retention.ms", None)]),
    (BROKER, "0", &[("log.retention.ms", Some("soon"))]),
    (BROKER, "0", &[("log.cleaner.threads", Some("0"))]),
    (BROKER, "0", &[("log.cleaner.threads", Some("50"))]),
    (BROKER, "0", &[("num.io.threads", Some("900"))]),
    (BROKER, "0", &[("num.io.threads", Some("3"))]),
    (BROKER, "0", &[("broker.id", Some("5"))]),
    (BROKER, "0", &[("log.dirs", Some("/tmp"))]),
    (
        BROKER,
        "0",
        &[("zookeeper.connect", Some("x:1")), ("log.dirs", Some("/tmp"))],
    ),
    (BROKER, "0", &[("min.insync.replicas", Some("0"))]),
    (BROKER, "1", &[("log.retention.ms", Some("5"))]),
    (BROKER, "one", &[("log.retention.ms", Some("5"))]),
    (BROKER, "", &[("advertised.listeners", Some("PLAINTEXT://x:1"))]),
    (BROKER, "", &[("log.retention.ms", Some("soon"))]),
    (BROKER, "", &[("leader.replication.throttled.rate", Some("5"))]),
    (BROKER, "0", &[("leader.replication.throttled.rate", Some("-5"))]),
    (BROKER_LOGGER, "1", &[("kafka", Some("INFO"))]),
    (BROKER_LOGGER, "one", &[("kafka", Some("INFO"))]),
    (BROKER_LOGGER, "", &[("kafka", Some("INFO"))]),
    (CLIENT_METRICS, "m", &[("interval.ms", Some("5"))]),
    (GROUP, "g", &[("x", Some("5"))]),
    (0, "t", &[("x", Some("5"))]),
    (1, "t", &[("x", Some("5"))]),
    (3, "t", &[("x", Some("5"))]),
    (-1, "t", &[("x", Some("5"))]),
];

/// The same with one operation each: 0 sets, 1 deletes, 2 appends, 3 subtracts.
const REFUSED_OPERATIONS: &[(i8, &str, Operations)] = &[
    (TOPIC, "t", &[("retention.ms", 0, None)]),
    (TOPIC, "t", &[("retention.ms", 2, Some("5"))]),
    (TOPIC, "t", &[("retention.ms", 3, Some("5"))]),
    (TOPIC, "t", &[("retention.ms", 2, None)]),
    (TOPIC, "t", &[("retention.ms", 1, Some("5"))]),
    (TOPIC, "t", &[("no.such.key", 1, None)]),
    (TOPIC, "t", &[("cleanup.policy", 2, Some("shrink"))]),
    (TOPIC, "t", &[("cleanup.policy", 3, Some("delete"))]),
    (
        TOPIC,
        "t",
        &[("retention.ms", 0, Some("5")), ("retention.ms", 1, None)],
    ),
    (
        TOPIC,
        "t",
        &[
            ("retention.ms", 0, None),
            ("segment.bytes", 0, None),
            ("no.such.key", 2, None),
        ],
    ),
    (BROKER, "0", &[("log.retention.ms", 2, Some("5"))]),
    (BROKER, "0", &[("broker.id", 1, None)]),
    (BROKER_LOGGER, "0", &[("kafka", 2, Some("INFO"))]),
    (BROKER_LOGGER, "0", &[("kafka", 3, Some("INFO"))]),
    (BROKER_LOGGER, "0", &[("no.such.logger", 0, Some("INFO"))]),
    (BROKER_LOGGER, "0", &[("kafka.server.KafkaApis", 0, Some("LOUD"))]),
    (
        BROKER_LOGGER,
        "0",
        &[("kafka", 0, Some("INFO")), ("kafka", 1, None)],
    ),
    (BROKER_LOGGER, "0", &[("root", 1, None)]),
];

fn alter(resources: Vec<AlterConfigsResource>) -> AlterConfigsRequest {
    // Values that are allowed after all do not change anything.
    AlterConfigsRequest::default()
        .with_resources(resources)
        .with_validate_only(true)
}

fn altered(resource_type: i8, name: &str, configs: Configs) -> AlterConfigsResource {
    let one = |&(name, value): &(&str, Option<&str>)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_value(value.map(text))
    };
    AlterConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(name))
        .with_configs(configs.iter().map(one).collect())
}

fn altered_by(resource_type: i8, name: &str, operations: Operations) -> incremental::AlterConfigsResource {
    let one = |&(name, operation, value): &(&str, i8, Option<&str>)| {
        incremental::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(value.map(text))
    };
    incremental::AlterConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(name))
        .with_configs(operations.iter().map(one).collect())
}

pub async fn altering(story: Story) -> Result<()> {
    for version in 0..=2 {
        for &(resource_type, name, configs) in REFUSED {
            let request = alter(vec![altered(resource_type, name, configs)]);
            let step = format!("{configs:?} of {resource_type} '{name}'");
            story.ask(&step, version, request).await?;
        }
        let brokers = alter(vec![altered(BROKER, "0", &[]), altered(BROKER, "1", &[])]);
        story.ask("two brokers", version, brokers).await?;
    }
    for version in 0..=1 {
        for &(resource_type, name, configs) in REFUSED {
            let set: Vec<_> = configs.iter().map(|&(key, value)| (key, 0, value)).collect();
            let step = format!("setting {configs:?} of {resource_type} '{name}'");
            let resource = altered_by(resource_type, name, &set);
            story.ask(&step, version, incrementally(vec![resource])).await?;
        }
        for &(resource_type, name, operations) in REFUSED_OPERATIONS {
            let step = format!("{operations:?} of {resource_type} '{name}'");
            let resource = altered_by(resource_type, name, operations);
            story.ask(&step, version, incrementally(vec![resource])).await?;
        }
        let topic = || altered_by(TOPIC, "t", &[("retention.ms", 1, None)]);
        story
            .ask("a topic twice", version, incrementally(vec![topic(), topic()]))
            .await?;
    }
    Ok(())
}

fn incrementally(resources: Vec<incremental::AlterConfigsResource>) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest::default()
        .with_resources(resources)
        .with_validate_only(true)
}

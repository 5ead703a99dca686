//! Tests loggers, and keys that only a plugin knows: neither is in a table of keys.

use super::configs::{entry, incremental, replacing};
use super::*;

#[tokio::test]
async fn loggers_are_described_and_altered_by_level() {
    use AlterOperation::{Append, Delete, Set, Subtract};
    let world = World::new().await;
    let loggers = ConfigResource::BrokerLogger;
    let level = async |name: &str| {
        let entries = world.admin.describe_configs(&loggers).await.unwrap();
        assert_eq!(entries[0].name, "root");
        entry(&entries, name).value
    };
    let set = incremental(&[("kafka.log", Set, Some("DEBUG")), ("root", Set, Some("WARN"))]);
    world.admin.alter_configs(&loggers, &set, true).await.unwrap();
    assert_eq!(
        level("kafka.log").await.as_deref(),
        Some("INFO"),
        "only validated"
    );
    world.admin.alter_configs(&loggers, &set, false).await.unwrap();
    assert_eq!(level("kafka.log.LogManager").await.as_deref(), Some("DEBUG"));
    assert_eq!(level("state.change.logger").await.as_deref(), Some("WARN"));
    let delete = incremental(&[("kafka.log", Delete, None)]);
    world.admin.alter_configs(&loggers, &delete, false).await.unwrap();
    assert_eq!(level("kafka.log.LogManager").await.as_deref(), Some("WARN"));
    for (alteration, code, message) in [
        (
            incremental(&[("no.such", Set, Some("INFO"))]),
            ErrorCode::InvalidConfig,
            "Logger no.such does not exist!",
        ),
        (
            incremental(&[("no.such", Delete, None)]),
            ErrorCode::InvalidConfig,
            "Logger no.such does not exist!",
        ),
        (
            incremental(&[("kafka", Set, Some("info"))]),
            ErrorCode::InvalidConfig,
            "Cannot set the log level of kafka to info as it is not a supported log level. Valid log levels are DEBUG, ERROR, \
             FATAL, INFO, TRACE, WARN",
        ),
        (
            incremental(&[("root", Delete, None)]),
            ErrorCode::InvalidRequest,
            "Removing the log level of the root logger is not allowed",
        ),
        (
            incremental(&[("kafka", Append, Some("INFO"))]),
            ErrorCode::InvalidRequest,
            "APPEND operation is not allowed for the BROKER_LOGGER resource",
        ),
        (
            incremental(&[("kafka", Subtract, Some("INFO"))]),
            ErrorCode::InvalidRequest,
            "SUBTRACT operation is not allowed for the BROKER_LOGGER resource",
        ),
        (
            replacing(&[("kafka", Some("INFO"))]),
            ErrorCode::InvalidRequest,
            "Unknown resource type 8",
        ),
    ] {
        let error = world
            .admin
            .alter_configs(&loggers, &alteration, false)
            .await
            .unwrap_err();
        assert_eq!((error.code, error.message.as_deref()), (code, Some(message)));
    }
}

/// As in Kafka, where plugins define keys of their own.
#[tokio::test]
async fn keys_that_kafka_does_not_know_can_be_set_for_brokers() {
    let world = World::new().await;
    for (resource, name) in [
        (ConfigResource::Broker, "1"),
        (ConfigResource::BrokerDefault, "<default>"),
    ] {
        let set = incremental(&[("my.own.key", AlterOperation::Set, Some("perhaps secret"))]);
        world.admin.alter_configs(&resource, &set, false).await.unwrap();
        assert_eq!(
            world.znode(&format!("/config/brokers/{name}")).unwrap(),
            r#"{"version":1,"config":{"my.own.key":"perhaps secret"}}"#
        );
        world
            .configs
            .set_broker(name, strings(&[("my.own.key", "perhaps secret")]));
        let described = entry(
            &world.admin.describe_configs(&resource).await.unwrap(),
            "my.own.key",
        );
        let expected_source = match resource {
            ConfigResource::Broker => ConfigSource::DynamicBrokerConfig,
            _ => ConfigSource::DynamicDefaultBrokerConfig,
        };
        assert_eq!(
            (described.source, described.value, described.kind),
            (expected_source, None, None)
        );
        assert!(described.sensitive && described.read_only);
        let append = incremental(&[("my.own.key", AlterOperation::Append, Some("x"))]);
        let error = world
            .admin
            .alter_configs(&resource, &append, false)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidConfig);
    }
}

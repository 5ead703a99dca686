//! Tests how configurations are described and altered.

use serde_json::Value as Json;

use super::*;
use crate::zk::memory::Fault;

fn recorded(lines: &str) -> Vec<Json> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn source_name(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::TopicConfig => "TOPIC",
        ConfigSource::DynamicBrokerConfig => "DYNAMIC_BROKER",
        ConfigSource::DynamicDefaultBrokerConfig => "DYNAMIC_DEFAULT_BROKER",
        ConfigSource::StaticBrokerConfig => "STATIC_BROKER",
        ConfigSource::DefaultConfig => "DEFAULT",
        ConfigSource::DynamicBrokerLoggerConfig => "DYNAMIC_BROKER_LOGGER",
    }
}

/// An entry in the format of the recorded responses.
fn as_json(entry: &ConfigEntry) -> Json {
    let synonyms: Vec<Json> = entry
        .synonyms
        .iter()
        .map(|s| serde_json::json!([s.name, s.value, source_name(s.source)]))
        .collect();
    serde_json::json!({
        "name": entry.name,
        "type": format!("{:?}", entry.kind.unwrap()).to_uppercase(),
        "value": entry.value,
        "source": source_name(entry.source),
        "read_only": entry.read_only,
        "sensitive": entry.sensitive,
        "synonyms": synonyms,
    })
}

fn assert_same(ours: &[ConfigEntry], recorded: &[Json]) {
    let mut ours: Vec<&ConfigEntry> = ours.iter().collect();
    ours.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(ours.len(), recorded.len());
    for (ours, recorded) in ours.iter().zip(recorded) {
        assert_eq!(&as_json(ours), recorded);
    }
}

#[tokio::test]
async fn a_broker_describes_itself_as_a_real_one_does() {
    let recorded = recorded(include_str!(
        "../../config/definition/fixtures/describe-configs-broker.jsonl"
    ));
    let value = |name: &str| {
        let entry = recorded.iter().find(|e| e["name"] == name).unwrap();
        entry["value"].as_str().unwrap().to_string()
    };
    let given = ["broker.id", "listeners", "log.dirs", "zookeeper.connect"];
    let given: Vec<(&str, String)> = given.iter().map(|name| (*name, value(name))).collect();
    let given: Vec<(&str, &str)> = given
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let world = World::with_properties(&given).await;
    let entries = world
        .admin
        .describe_configs(&ConfigResource::Broker)
        .await
        .unwrap();
    assert_same(&entries, &recorded);
}

#[tokio::test]
async fn a_topic_is_described_as_by_a_real_broker() {
    let recorded = recorded(include_str!(
        "../../config/definition/fixtures/describe-configs-topic.jsonl"
    ));
    let world = World::new().await;
    world.topic_exists("t").await;
    let entries = world
        .admin
        .describe_configs(&ConfigResource::Topic("t".into()))
        .await
        .unwrap();
    assert_same(&entries, &recorded);
}

pub(super) fn entry(entries: &[ConfigEntry], name: &str) -> ConfigEntry {
    entries
        .iter()
        .find(|e| e.name == name)
        .unwrap_or_else(|| panic!("{name}"))
        .clone()
}

fn synonyms(entry: &ConfigEntry) -> Vec<String> {
    let show = |s: &describe_configs::ConfigSynonym| {
        format!(
            "{}={} {}",
            s.name,
            s.value.as_deref().unwrap_or("?"),
            source_name(s.source)
        )
    };
    entry.synonyms.iter().map(show).collect()
}

#[tokio::test]
async fn the_nearest_layer_wins_and_all_are_shown() {
    let world = World::with_properties(&[("log.retention.hours", "2"), ("log.segment.bytes", "3000")]).await;
    world.topic_exists("t").await;
    world
        .configs
        .set_broker("<default>", strings(&[("log.segment.bytes", "4000")]));
    world.configs.set_broker(
        "1",
        strings(&[("log.segment.bytes", "5000"), ("log.retention.ms", "77")]),
    );
    world
        .configs
        .set_broker("2", strings(&[("log.segment.bytes", "6000")]));
    let alteration = ConfigAlteration::Replace(vec![("segment.bytes".into(), Some(" 7000 ".into()))]);
    let topic = ConfigResource::Topic("t".into());
    world
        .admin
        .alter_configs(&topic, &alteration, false)
        .await
        .unwrap();

    let entries = world.admin.describe_configs(&topic).await.unwrap();
    let segment = entry(&entries, "segment.bytes");
    assert_eq!(
        (segment.value.as_deref(), segment.source),
        (Some("7000"), ConfigSource::TopicConfig)
    );
    assert_eq!(
        synonyms(&segment),
        [
            "segment.bytes=7000 TOPIC",
            "log.segment.bytes=5000 DYNAMIC_BROKER",
            "log.segment.bytes=4000 DYNAMIC_DEFAULT_BROKER",
            "log.segment.bytes=3000 STATIC_BROKER",
            "log.segment.bytes=1073741824 DEFAULT",
        ]
    );
    let retention = entry(&entries, "retention.ms");
    assert_eq!(
        (retention.value.as_deref(), retention.source),
        (Some("77"), ConfigSource::DynamicBrokerConfig)
    );

    let entries = world
        .admin
        .describe_configs(&ConfigResource::Broker)
        .await
        .unwrap();
    let retention = entry(&entries, "log.retention.hours");
    // A dynamic setting disables its synonyms.
    assert_eq!(retention.value.as_deref(), Some("168"));
    assert_eq!(
        synonyms(&retention),
        [
            "log.retention.hours=2 STATIC_BROKER",
            "log.retention.hours=168 DEFAULT"
        ]
    );
    let defaults = world
        .admin
        .describe_configs(&ConfigResource::BrokerDefault)
        .await
        .unwrap();
    assert_eq!(defaults.len(), 1);
    assert_eq!(
        synonyms(&defaults[0]),
        ["log.segment.bytes=4000 DYNAMIC_DEFAULT_BROKER"]
    );
}

#[tokio::test]
async fn secrets_and_unknown_keys_are_not_shown() {
    let world =
        World::with_properties(&[("ssl.key.password", "secret"), ("my.own.key", "perhaps secret")]).await;
    let entries = world
        .admin
        .describe_configs(&ConfigResource::Broker)
        .await
        .unwrap();
    for (name, kind) in [
        (
            "ssl.key.password",
            Some(crate::config::definition::ConfigType::Password),
        ),
        ("my.own.key", None),
    ] {
        let entry = entry(&entries, name);
        assert!(entry.sensitive && entry.value.is_none(), "{name}");
        assert!(entry.synonyms.iter().all(|s| s.value.is_none()), "{name}");
        assert_eq!(
            (entry.source, entry.kind),
            (ConfigSource::StaticBrokerConfig, kind),
            "{name}"
        );
    }
}

#[test]
fn resources_are_recognized() {
    for parse in [ConfigResource::to_describe, ConfigResource::to_alter] {
        let topic = ConfigResource::Topic("t".into());
        assert_eq!(parse(2, "t", 1).unwrap(), topic);
        assert_eq!(parse(4, "1", 1).unwrap(), ConfigResource::Broker);
        assert_eq!(parse(4, "", 1).unwrap(), ConfigResource::BrokerDefault);
        assert_eq!(parse(8, "1", 1).unwrap(), ConfigResource::BrokerLogger);
        for (kind, name) in [
            (4, "2"),
            (4, "one"),
            (8, "2"),
            (8, ""),
            (8, "one"),
            (16, "m"),
            (0, ""),
            (99, ""),
        ] {
            let error = parse(kind, name, 1).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_cannot_be_described() {
    let world = World::new().await;
    for (topic, code) in [
        ("none", ErrorCode::UnknownTopicOrPartition),
        ("a b", ErrorCode::InvalidTopicException),
    ] {
        let resource = ConfigResource::Topic(topic.into());
        assert_eq!(
            world.admin.describe_configs(&resource).await.unwrap_err().code,
            code
        );
    }
}

pub(super) fn incremental(changes: &[(&str, AlterOperation, Option<&str>)]) -> ConfigAlteration {
    let change = |(key, operation, value): &(&str, AlterOperation, Option<&str>)| {
        (key.to_string(), *operation, value.map(str::to_string))
    };
    ConfigAlteration::Incremental(changes.iter().map(change).collect())
}

pub(super) fn replacing(settings: &[(&str, Option<&str>)]) -> ConfigAlteration {
    let setting = |(key, value): &(&str, Option<&str>)| (key.to_string(), value.map(str::to_string));
    ConfigAlteration::Replace(settings.iter().map(setting).collect())
}

#[tokio::test]
async fn a_topics_settings_are_replaced_or_changed_key_by_key() {
    use AlterOperation::{Append, Delete, Set, Subtract};
    let world = World::new().await;
    world.topic_exists("t").await;
    let steps: &[(ConfigAlteration, &[(&str, &str)])] = &[
        (
            replacing(&[("retention.ms", Some("5")), ("segment.bytes", Some("100"))]),
            &[("retention.ms", "5"), ("segment.bytes", "100")],
        ),
        (
            incremental(&[("retention.ms", Set, Some("6")), ("segment.bytes", Delete, None)]),
            &[("retention.ms", "6")],
        ),
        (
            incremental(&[("no.such.key", Delete, None)]),
            &[("retention.ms", "6")],
        ),
        (
            incremental(&[("cleanup.policy", Append, Some("compact"))]),
            &[("cleanup.policy", "delete,compact"), ("retention.ms", "6")],
        ),
        (
            incremental(&[("cleanup.policy", Append, Some("compact,delete"))]),
            &[("cleanup.policy", "delete,compact"), ("retention.ms", "6")],
        ),
        (
            incremental(&[("cleanup.policy", Subtract, Some("delete"))]),
            &[("cleanup.policy", "compact"), ("retention.ms", "6")],
        ),
        (
            incremental(&[("leader.replication.throttled.replicas", Append, Some("0:1,0:2"))]),
            &[
                ("cleanup.policy", "compact"),
                ("leader.replication.throttled.replicas", "0:1,0:2"),
                ("retention.ms", "6"),
            ],
        ),
        (replacing(&[]), &[]),
    ];
    let topic = ConfigResource::Topic("t".into());
    for (number, (alteration, expected)) in steps.iter().enumerate() {
        world.admin.alter_configs(&topic, alteration, true).await.unwrap();
        assert_eq!(
            world.notifications().len(),
            number,
            "a validation changes nothing"
        );
        world
            .admin
            .alter_configs(&topic, alteration, false)
            .await
            .unwrap();
        let stored: Json = serde_json::from_str(&world.znode("/config/topics/t").unwrap()).unwrap();
        let expected = serde_json::json!({"version": 1, "config": strings(expected)});
        assert_eq!(stored, expected, "{alteration:?}");
        let notifications = world.notifications();
        assert_eq!(notifications.len(), number + 1);
        assert_eq!(notifications[number], r#"{"version":2,"entity_path":"topics/t"}"#);
    }
}

#[tokio::test]
async fn topic_settings_that_will_not_do_are_refused() {
    use AlterOperation::{Append, Set, Subtract};
    let world = World::new().await;
    world.topic_exists("t").await;
    let cases = [
        (
            "t",
            replacing(&[("retention.ms", Some("soon"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            "t",
            replacing(&[("log.retention.ms", Some("1"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            "t",
            replacing(&[("retention.ms", None)]),
            ErrorCode::InvalidRequest,
        ),
        (
            "t",
            replacing(&[("retention.ms", Some("1")), ("retention.ms", Some("2"))]),
            ErrorCode::InvalidRequest,
        ),
        (
            "t",
            incremental(&[("retention.ms", Set, None)]),
            ErrorCode::InvalidRequest,
        ),
        (
            "t",
            incremental(&[("retention.ms", Append, Some("1"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            "t",
            incremental(&[("no.such.key", Subtract, Some("1"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            "t",
            incremental(&[("cleanup.policy", Append, Some("shrink"))]),
            ErrorCode::InvalidConfig,
        ),
        ("none", replacing(&[]), ErrorCode::UnknownTopicOrPartition),
        ("", replacing(&[]), ErrorCode::InvalidRequest),
        ("a b", replacing(&[]), ErrorCode::UnknownTopicOrPartition),
    ];
    let before = world.zookeeper.snapshot();
    for (topic, alteration, expected) in cases {
        let resource = ConfigResource::Topic(topic.into());
        let error = world
            .admin
            .alter_configs(&resource, &alteration, false)
            .await
            .unwrap_err();
        assert_eq!(error.code, expected, "{alteration:?}: {error}");
    }
    assert_eq!(world.zookeeper.snapshot(), before);
}

#[tokio::test]
async fn a_brokers_settings_change_where_they_can() {
    use AlterOperation::Set;
    let world = World::new().await;
    let set = |key, value| incremental(&[(key, Set, Some(value))]);
    let (own, all) = (ConfigResource::Broker, ConfigResource::BrokerDefault);
    world
        .admin
        .alter_configs(&own, &set("log.retention.ms", "5"), false)
        .await
        .unwrap();
    world
        .admin
        .alter_configs(&all, &set("message.max.bytes", "6"), false)
        .await
        .unwrap();
    assert_eq!(
        world.znode("/config/brokers/1").unwrap(),
        r#"{"version":1,"config":{"log.retention.ms":"5"}}"#
    );
    assert_eq!(
        world.znode("/config/brokers/<default>").unwrap(),
        r#"{"version":1,"config":{"message.max.bytes":"6"}}"#
    );
    assert_eq!(
        world.notifications(),
        [
            r#"{"version":2,"entity_path":"brokers/1"}"#,
            r#"{"version":2,"entity_path":"brokers/<default>"}"#
        ]
    );
    let refused = [
        (&own, set("zookeeper.connect", "z")),
        (&own, set("metric.reporters", "a.Class")),
        (&own, set("num.io.threads", "many")),
        (&own, set("listener.name.plaintext.max.connections", "4")),
        (&all, set("ssl.keystore.location", "/x")),
        (&own, set("log.segment.bytes", "1")),
        (
            &own,
            replacing(&[
                ("log.cleaner.min.compaction.lag.ms", Some("2")),
                ("log.cleaner.max.compaction.lag.ms", Some("1")),
            ]),
        ),
        (&all, replacing(&[("log.retention.ms", None)])),
    ];
    let before = world.zookeeper.snapshot();
    for (resource, alteration) in refused {
        let error = world
            .admin
            .alter_configs(resource, &alteration, false)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{alteration:?}: {error}");
    }
    assert_eq!(world.zookeeper.snapshot(), before);
}

#[tokio::test]
async fn what_other_brokers_honour_is_left_alone_but_can_be_taken_away() {
    use AlterOperation::{Delete, Set};
    let world = World::new().await;
    let own = ConfigResource::Broker;
    let stored = crate::zk::znode::ConfigEntity {
        config: strings(&[("metric.reporters", "a.Class"), ("log.retention.ms", "5")]),
    };
    let created = world
        .session
        .create("/config/brokers/1", stored.encode(), CreateMode::Persistent);
    created.await.unwrap();
    let set = incremental(&[("log.retention.ms", Set, Some("7"))]);
    world.admin.alter_configs(&own, &set, false).await.unwrap();
    assert_eq!(
        world.znode("/config/brokers/1").unwrap(),
        r#"{"version":1,"config":{"log.retention.ms":"7","metric.reporters":"a.Class"}}"#
    );
    let delete = incremental(&[("metric.reporters", Delete, None)]);
    world.admin.alter_configs(&own, &delete, false).await.unwrap();
    assert_eq!(
        world.znode("/config/brokers/1").unwrap(),
        r#"{"version":1,"config":{"log.retention.ms":"7"}}"#
    );
}

#[tokio::test]
async fn a_change_survives_lost_answers_and_is_refused_when_the_controller_moves() {
    let world = World::new().await;
    world.topic_exists("t").await;
    let topic = ConfigResource::Topic("t".into());
    world.session.inject("/config/topics/t", Fault::AnswerLost);
    let alteration = replacing(&[("retention.ms", Some("5"))]);
    world
        .admin
        .alter_configs(&topic, &alteration, false)
        .await
        .unwrap();
    assert!(world.znode("/config/topics/t").unwrap().contains("retention.ms"));

    let moved = crate::zk::ZkError::BadVersion(paths::CONTROLLER.into());
    world.session.inject(paths::CONTROLLER, Fault::Refused(moved));
    let error = world
        .admin
        .alter_configs(&topic, &replacing(&[]), false)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::StaleControllerEpoch);
    assert!(world.znode("/config/topics/t").unwrap().contains("retention.ms"));
}

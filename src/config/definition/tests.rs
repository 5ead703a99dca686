//! Tests the tables of keys against Kafka's own, and the rules for values.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::*;

/// The DescribeConfigs response of a real Apache Kafka 3.9.1, one JSON object per line.
fn recorded(lines: &str) -> BTreeMap<String, Json> {
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    objects
        .map(|o| (o["name"].as_str().unwrap().to_string(), o))
        .collect()
}

fn assert_like_recorded(key: &ConfigKey, recorded: &Json) {
    let name = key.name;
    let kind = format!("{:?}", key.kind).to_uppercase();
    assert_eq!(kind, recorded["type"].as_str().unwrap(), "{name}");
    assert_eq!(
        key.is_sensitive(),
        recorded["sensitive"].as_bool().unwrap(),
        "{name}"
    );
    let read_only = key.update == UpdateMode::ReadOnly;
    assert_eq!(read_only, recorded["read_only"].as_bool().unwrap(), "{name}");
    if recorded["source"] == "DEFAULT" {
        assert_eq!(key.default, recorded["value"].as_str(), "{name}");
    }
}

#[test]
fn broker_keys_are_kafkas() {
    let recorded = recorded(include_str!("fixtures/describe-configs-broker.jsonl"));
    let shown: BTreeMap<_, _> = broker_keys()
        .filter(|key| !key.is_internal())
        .map(|key| (key.name.to_string(), key))
        .collect();
    assert_eq!(recorded.len(), 314);
    assert!(shown.keys().eq(recorded.keys()));
    for (name, key) in shown {
        assert_like_recorded(key, &recorded[&name]);
    }
    assert_eq!(broker_keys().filter(|key| !key.is_own()).count(), 328);
}

#[test]
fn topic_keys_are_kafkas() {
    let recorded = recorded(include_str!("fixtures/describe-configs-topic.jsonl"));
    assert_eq!(recorded.len(), 36);
    assert!(
        topic_keys()
            .iter()
            .map(|k| k.name)
            .eq(recorded.keys().map(String::as_str))
    );
    for key in topic_keys() {
        assert_like_recorded(key, &recorded[key.name]);
        for name in key.inherits {
            assert!(broker_key(name).is_some(), "{name}");
        }
    }
}

#[test]
fn every_default_obeys_its_own_rule_and_prints_as_it_stands() {
    for key in broker_keys().chain(topic_keys()) {
        if let Some(default) = key.default {
            assert_eq!(key.parse(default).unwrap().to_string(), default, "{}", key.name);
        }
    }
}

#[test]
fn values_are_held_against_type_and_rule() {
    let cases = [
        ("num.io.threads", " 8 ", None),
        ("num.io.threads", "0", Some("at least 1")),
        ("num.io.threads", "eight", Some("type INT")),
        ("num.io.threads", "2147483648", Some("type INT")),
        ("offsets.topic.replication.factor", "40000", Some("type SHORT")),
        ("log.retention.bytes", "9223372036854775807", None),
        ("auto.create.topics.enable", "TRUE", None),
        ("auto.create.topics.enable", "yes", Some("either true or false")),
        ("compression.type", "lz5", Some("one of: uncompressed, zstd")),
        ("compression.gzip.level", "-1", None),
        (
            "compression.gzip.level",
            "0",
            Some("between 1 and 9 or equal to -1"),
        ),
        ("compression.zstd.level", "23", Some("no more than 22")),
        ("log.cleaner.min.cleanable.ratio", "1.5", Some("no more than 1")),
        ("log.cleaner.min.cleanable.ratio", "NaN", Some("at least 0")),
        ("log.cleanup.policy", "compact, delete", None),
        ("log.cleanup.policy", "compact,shrink", Some("policy=shrink")),
        ("inter.broker.protocol.version", "3.9-IV0", None),
        ("inter.broker.protocol.version", "3.9.1", None),
        ("inter.broker.protocol.version", "0.10.2.1", None),
        (
            "inter.broker.protocol.version",
            "0.9.0-IV0",
            Some("is not a valid version"),
        ),
        (
            "inter.broker.protocol.version",
            "3.9-IV1",
            Some("is not a valid version"),
        ),
        (
            "inter.broker.protocol.version",
            "5.0",
            Some("is not a valid version"),
        ),
        ("group.consumer.migration.policy", "Upgrade", None),
        (
            "inter.broker.protocol.version",
            "4.0",
            Some("is not a valid version"),
        ),
        ("inter.broker.protocol.version", "4.0-IV1", None),
        ("log.cleaner.io.buffer.load.factor", "1d", None),
        ("log.cleaner.io.buffer.load.factor", "-Infinity", None),
        ("log.cleaner.io.buffer.load.factor", "inf", Some("a number")),
        ("log.cleaner.io.buffer.load.factor", "+-1", Some("a number")),
        ("num.io.threads", "\u{a0}5", Some("type INT")),
        ("ssl.engine.factory.class", " ", Some("name a class")),
    ];
    for (name, text, expected) in cases {
        let result = broker_key(name).unwrap().parse(text);
        match (&result, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) if error.to_string().contains(part) => {}
            _ => panic!("{name}={text}: {result:?}, expected {expected:?}"),
        }
    }
    let throttled = topic_key("leader.replication.throttled.replicas").unwrap();
    for (text, valid) in [
        ("", true),
        ("*", true),
        ("0:1,1:2", true),
        ("0:1,*", false),
        ("0", false),
        ("0:", false),
    ] {
        assert_eq!(throttled.parse(text).is_ok(), valid, "{text}");
    }
}

#[test]
fn a_password_is_not_repeated_in_errors() {
    let error = broker_key("ssl.key.password")
        .unwrap()
        .refuse("secret", "too short".into());
    assert_eq!(error.to_string(), "ssl.key.password: too short");
}

#[test]
fn doubles_print_as_java_prints_them() {
    let cases = [
        (0.5, "0.5"),
        (1.0, "1.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (f64::MAX, "1.7976931348623157E308"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
    ];
    for (value, text) in cases {
        assert_eq!(Value::Double(value).to_string(), text);
    }
}

#[test]
fn synonyms_lead_from_the_finest_unit_to_the_coarsest() {
    assert_eq!(
        broker_synonyms("log.retention.hours"),
        ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]
    );
    assert_eq!(broker_synonyms("num.io.threads"), ["num.io.threads"]);
    assert_eq!(
        broker_synonyms("listener.name.internal.plain.sasl.jaas.config"),
        [
            "listener.name.internal.plain.sasl.jaas.config",
            "sasl.jaas.config"
        ]
    );
}

//! Tests how settings are read, checked and refused.

use std::collections::BTreeMap;

use super::error::Warning;
use super::*;

mod values;

const MINIMAL: &str = "broker.id=1\nlog.dirs=/tmp/l\nzookeeper.connect=zk:2181/chroot\n";

fn load(more: &str) -> Result<(BrokerConfig, Vec<Warning>), ConfigError> {
    let properties = Properties::parse(format!("{MINIMAL}{more}").as_bytes(), "server.properties")?;
    BrokerConfig::from_properties(&properties)
}

fn loaded(more: &str) -> BrokerConfig {
    load(more).unwrap_or_else(|e| panic!("{more}: {e}")).0
}

fn assert_refused(more: &str, expected: &str) {
    match load(more) {
        Err(error) => assert!(
            error.to_string().contains(expected),
            "{more}: '{error}', not '{expected}'"
        ),
        Ok(_) => panic!("{more}: accepted, expected '{expected}'"),
    }
}

#[test]
fn defaults_are_kafkas() {
    let (config, warnings) = load("").unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.log_defaults, LogConfig::default());
    assert_eq!(config.zookeeper_connect, "zk:2181/chroot");
    assert_eq!(config.zookeeper_connection_timeout_ms, 18_000);
    assert_eq!(config.listeners[0].port, 9092);
    assert_eq!(config.listeners[0].host, "");
    assert_eq!(config.advertised_listeners[0].port, 9092);
    assert_eq!(
        config.advertised_listeners[0].host, "",
        "the broker looks its name up"
    );
    assert_eq!(config.inter_broker_listener_name, "PLAINTEXT");
    assert_eq!(config.num_io_threads, 8);
    assert_eq!(config.replica_lag_time_max_ms, 30_000);
    assert_eq!(config.offsets_topic_num_partitions, 50);
    assert_eq!(config.max_connections, i32::MAX as usize);
    assert_eq!(config.originals.get("node.id"), Some("1"));
}

#[test]
fn the_finer_unit_wins() {
    const HOUR: i64 = 3_600_000;
    let cases = [
        ("log.retention.hours=1", HOUR),
        ("log.retention.hours=1\nlog.retention.minutes=2", 120_000),
        (
            "log.retention.hours=1\nlog.retention.minutes=2\nlog.retention.ms=3",
            3,
        ),
        ("log.retention.ms=-1\nlog.retention.hours=1", -1),
        ("log.retention.hours=-1", -1),
        ("log.retention.minutes=-7", -1),
    ];
    for (text, expected) in cases {
        assert_eq!(loaded(text).log_defaults.retention_ms, expected, "{text}");
    }
    assert_eq!(loaded("log.roll.hours=2").log_defaults.segment_ms, 2 * HOUR);
    assert_eq!(
        loaded("log.roll.hours=2\nlog.roll.ms=5").log_defaults.segment_ms,
        5
    );
    assert_eq!(
        loaded("log.roll.jitter.hours=1").log_defaults.segment_jitter_ms,
        HOUR
    );
    assert_eq!(
        loaded("log.flush.scheduler.interval.ms=9").log_defaults.flush_ms,
        9
    );
    assert_refused("log.retention.ms=0", "at least 1 ms");
}

#[test]
fn log_dir_stands_in_for_log_dirs() {
    let properties = Properties::from([("log.dir", "/a, /b"), ("zookeeper.connect", "z")]);
    let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
    assert_eq!(
        config.log_dirs,
        [std::path::Path::new("/a"), std::path::Path::new("/b")]
    );
    assert_eq!(config.broker_id, -1);
    assert_eq!(
        loaded("log.dir=/ignored").log_dirs,
        [std::path::Path::new("/tmp/l")]
    );
    assert_refused("log.dirs=,", "at least one directory");
}

#[test]
fn listeners_are_read_as_kafka_reads_them() {
    let config = loaded(
        "listeners=internal://[::1]:9092, EXTERNAL://:9093\nadvertised.listeners=INTERNAL://a.example:1,external://b-c:1\n\
         listener.security.protocol.map=Internal:plaintext,EXTERNAL:PLAINTEXT\ninter.broker.listener.name=internal",
    );
    let endpoint = |listener: &str, host: &str, port| Endpoint {
        listener: listener.into(),
        security_protocol: SecurityProtocol::Plaintext,
        host: host.into(),
        port,
    };
    assert_eq!(
        config.listeners,
        [endpoint("INTERNAL", "::1", 9092), endpoint("EXTERNAL", "", 9093)]
    );
    assert_eq!(
        config.advertised_listeners,
        [
            endpoint("INTERNAL", "a.example", 1),
            endpoint("EXTERNAL", "b-c", 1)
        ]
    );
    assert_eq!(config.inter_broker_listener_name, "INTERNAL");
}

#[test]
fn listeners_that_cannot_work_are_refused() {
    let map = "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,S:SASL_PLAINTEXT\n";
    let unparsable = |listeners: &str| {
        format!(
            "Error creating broker listeners from '{listeners}': Unable to parse {listeners} to a broker endpoint"
        )
    };
    for listeners in [
        "PLAINTEXT:9092",
        "PLAINTEXT://h:port",
        "PLAINTEXT://h:70000",
        "PLAINTEXT://h/x:1",
        "PLAINTEXT://127.0.0.1",
    ] {
        assert_refused(&format!("{map}listeners={listeners}"), &unparsable(listeners));
    }
    let two = "requirement failed: If you have two listeners on the same port then one needs to be IPv4 and the other IPv6";
    let nonroutable = "requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a \
                       routable IP address.";
    let inter_broker = "requirement failed: inter.broker.listener.name must be a listener name defined in \
                        advertised.listeners. The valid options based on currently configured listeners are A";
    // The texts are Kafka's.
    let cases = [
        (
            "listeners=",
            "requirement failed: There must be at least one broker advertised listener.",
        ),
        (
            "listeners=C://h:1",
            "Error creating broker listeners from 'C://h:1': No security protocol defined for listener C",
        ),
        (
            "listeners=PLAINTEXT://h:1,plaintext://h:2",
            "requirement failed: Each listener must have a different name, listeners: PLAINTEXT://h:1,plaintext://h:2",
        ),
        (
            "listeners=PLAINTEXT://h:1,A://h:1",
            &format!("{two}, listeners: PLAINTEXT://h:1,A://h:1, port: 1"),
        ),
        (
            "listeners=PLAINTEXT://127.0.0.1:1,A://127.0.0.2:1",
            &format!("{two}, listeners: PLAINTEXT://127.0.0.1:1,A://127.0.0.2:1, port: 1"),
        ),
        (
            "listeners=PLAINTEXT://127.0.0.1:1,A://[::1]:1,B://:1",
            "Each listener must have a different port unless exactly one listener has an IPv4 address and the other IPv6 \
             address, listeners: PLAINTEXT://127.0.0.1:1,A://[::1]:1,B://:1, port: 1",
        ),
        ("listeners=PLAINTEXT://0.0.0.0:1", nonroutable),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:1", nonroutable),
        (
            "advertised.listeners=PLAINTEXT://h:1,A://h:2",
            "requirement failed: advertised.listeners listener names must be equal to or a subset of the ones defined in \
             listeners. Found PLAINTEXT,A. The valid options based on the current configuration are PLAINTEXT",
        ),
        ("listeners=A://h:1", inter_broker),
        (
            "listeners=A://h:1\nsecurity.inter.broker.protocol=SSL",
            inter_broker,
        ),
        (
            "inter.broker.listener.name=X",
            "Listener with name X defined in inter.broker.listener.name not found in listener.security.protocol.map.",
        ),
        (
            "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set.",
        ),
        (
            "security.inter.broker.protocol=TLS",
            "String must be one of: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
        ),
        (
            "control.plane.listener.name=A",
            "requirement failed: control.plane.listener.name must be a listener name defined in advertised.listeners.",
        ),
        (
            "control.plane.listener.name=CONTROL",
            "Listener with CONTROL defined in control.plane.listener.name not found in listener.security.protocol.map.",
        ),
        (
            "control.plane.listener.name=PLAINTEXT",
            "requirement failed: control.plane.listener.name, when defined, should have a different value from the inter \
             broker listener name. Currently they both have the value ListenerName(PLAINTEXT)",
        ),
        (
            "early.start.listeners=foo",
            "early.start.listeners contains listener FOO, but this is not contained in listeners or \
             controller.listener.names",
        ),
        (
            "listeners=S://h:1\ninter.broker.listener.name=S\nsasl.enabled.mechanisms=PLAIN",
            "requirement failed: sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL \
             is used for inter-broker communication",
        ),
        (
            "connection.failed.authentication.delay.ms=5000\nconnections.max.idle.ms=4000",
            "requirement failed: connection.failed.authentication.delay.ms=5000 should always be less than \
             connections.max.idle.ms=4000 to prevent failed authentication responses from timing out",
        ),
        (
            "max.connections.per.ip=0",
            "requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property \
             is set.",
        ),
        (
            "ssl.client.auth=REQUIRED",
            "String must be one of: required, requested, none",
        ),
        ("ssl.engine.factory.class=a.B", "cannot load"),
        ("security.providers=a.B", "cannot load"),
        ("listener.name.a.ssl.provider=B", "cannot load"),
        (
            "listener.name.a.ssl.client.auth=maybe",
            "String must be one of: required, requested, none",
        ),
    ];
    for (text, expected) in cases {
        assert_refused(&format!("{map}{text}"), expected);
    }
    assert_refused(
        "listener.security.protocol.map=A:FOO",
        "Invalid security protocol `FOO` defined in listener.security.protocol.map",
    );
    assert_refused(
        "listener.security.protocol.map=A",
        "Error parsing configuration property 'listener.security.protocol.map': ",
    );
    loaded(&format!("{map}listeners=PLAINTEXT://127.0.0.1:1,A://[::1]:1"));
    loaded(&format!("{map}listeners=PLAINTEXT://h:0,A://h:0"));
    loaded(&format!(
        "{map}listeners=PLAINTEXT://h:1,A://h:2\nadvertised.listeners=PLAINTEXT://x:9,A://x:9"
    ));
}

#[test]
fn bad_values_are_refused_with_key_value_and_place() {
    let error = load("\n# a comment\nnum.io.threads = 0\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "server.properties:6: num.io.threads=0: Value must be at least 1"
    );
    let mut properties = Properties::parse(MINIMAL.as_bytes(), "f").unwrap();
    properties.override_with("num.partitions=-5").unwrap();
    assert_eq!(
        BrokerConfig::from_properties(&properties)
            .unwrap_err()
            .to_string(),
        "--override: num.partitions=-5: Value must be at least 1"
    );
    let missing = Properties::from([("broker.id", "1")]);
    assert_eq!(
        BrokerConfig::from_properties(&missing).unwrap_err().to_string(),
        "zookeeper.connect: is required and has no default"
    );
}

#[test]
fn values_that_do_not_fit_together_are_refused() {
    let cases = [
        ("broker.id=1001", "between -1 and reserved.broker.max.id (1000)"),
        ("broker.id=-2", "between -1 and"),
        ("broker.id=-1\nbroker.id.generation.enable=false", "at least 0"),
        (
            "replica.fetch.wait.max.ms=30001",
            "must not be above replica.socket.timeout.ms",
        ),
        (
            "replica.lag.time.max.ms=400",
            "must not be above replica.lag.time.max.ms",
        ),
        ("queued.max.request.bytes=1", "socket.request.max.bytes"),
        ("max.connections.per.ip=0", "max.connections.per.ip.overrides"),
        (
            "connections.max.idle.ms=100",
            "always be less than connections.max.idle.ms=100",
        ),
        ("log.cleaner.threads=128", "1 MiB"),
        ("log.cleaner.threads=0", "log.cleaner.enable"),
        (
            "group.consumer.session.timeout.ms=70000",
            "must not be above group.consumer.max.session.timeout.ms",
        ),
        (
            "group.share.max.heartbeat.interval.ms=4000",
            "group.share.min.heartbeat.interval.ms must not be above",
        ),
        ("offsets.topic.compression.codec=5", "between 0 and 4"),
        (
            "offsets.commit.required.acks=4",
            "between -1 and offsets.topic.replication.factor (3)",
        ),
        (
            "log.cleaner.min.compaction.lag.ms=2\nlog.cleaner.max.compaction.lag.ms=1",
            "min.compaction.lag.ms (2) > max.compaction.lag.ms (1)",
        ),
    ];
    for (text, expected) in cases {
        assert_refused(text, expected);
    }
    loaded("broker.id=5000\nbroker.id.generation.enable=false");
    assert_eq!(
        loaded("connections.max.idle.ms=-1").connections_max_idle_ms,
        u64::MAX
    );
}

#[test]
fn kraft_is_refused_with_a_reason() {
    let kraft = "belongs to KRaft, but barnabas is a broker for clusters coordinated by ZooKeeper";
    let cases = [
        ("process.roles=broker,controller", kraft),
        ("controller.quorum.voters=1@h:1", kraft),
        ("controller.quorum.bootstrap.servers=h:1", kraft),
        ("controller.listener.names=CONTROLLER", kraft),
        (
            "zookeeper.metadata.migration.enable=true",
            "migration to KRaft is not supported",
        ),
        ("node.id=2", "must be the same as broker.id (1)"),
        (
            "group.coordinator.rebalance.protocols=classic,consumer",
            "only the classic protocol",
        ),
        (
            "authorizer.class.name=kafka.security.authorizer.AclAuthorizer",
            "has not this protection",
        ),
        ("zookeeper.ssl.crl.enable=true", "has not this protection"),
        ("zookeeper.ssl.ocsp.enable=true", "has not this protection"),
        (
            "create.topic.policy.class.name=a.Policy",
            "has not this protection",
        ),
        (
            "alter.config.policy.class.name=a.Policy",
            "has not this protection",
        ),
        (
            "client.quota.callback.class=a.Callback",
            "has not this protection",
        ),
        ("principal.builder.class=a.Builder", "has not this protection"),
        (
            "listener.name.plaintext.principal.builder.class=a.Builder",
            "has not this protection",
        ),
        ("inter.broker.protocol.version=3.4", "upgrade them to 3.9 first"),
    ];
    for (text, expected) in cases {
        assert_refused(text, expected);
    }
    let principal = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder";
    loaded(&format!("principal.builder.class={principal}"));
    let without_broker_id = Properties::from([("node.id", "7"), ("zookeeper.connect", "z")]);
    let (config, _) = BrokerConfig::from_properties(&without_broker_id).unwrap();
    assert_eq!(
        (config.broker_id, config.originals.get("broker.id")),
        (7, Some("7"))
    );
    loaded("node.id=1\nprocess.roles=\nzookeeper.metadata.migration.enable=false");
}

#[test]
fn what_has_no_effect_is_warned_about() {
    let cases = [
        ("no.such.key=1", Some("Kafka 3.9 has no such key")),
        ("ssl.client.auth=required", None),
        ("listener.name.plaintext.ssl.client.auth=none", None),
        (
            "listener.name.plaintext.max.connection.creation.rate=1",
            Some("single listener"),
        ),
        ("metadata.log.segment.bytes=1000", Some("no effect")),
        ("inter.broker.protocol.version=3.9", None),
        ("num.io.threads=4", Some("no effect")),
        ("metrics.num.samples=4", Some("not honoured yet")),
        ("metrics.num.samples=2", None),
        ("authorizer.class.name=", None),
    ];
    for (text, expected) in cases {
        let (_, warnings) = load(text).unwrap();
        let reasons: Vec<String> = warnings.iter().map(Warning::to_string).collect();
        match expected {
            Some(part) => assert!(
                reasons.len() == 1 && reasons[0].contains(part),
                "{text}: {reasons:?}"
            ),
            None => assert!(reasons.is_empty(), "{text}: {reasons:?}"),
        }
    }
    let (_, warnings) = load("no.such.key=1").unwrap();
    assert_eq!(
        warnings[0].to_string(),
        "server.properties:4: no.such.key: Kafka 3.9 has no such key"
    );
}

fn overrides(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect()
}

#[test]
fn a_topic_overrides_its_broker() {
    let defaults = loaded("log.retention.hours=1\ncompression.type=zstd").log_defaults;
    let config = LogConfig::from_overrides(
        &defaults,
        &overrides(&[("cleanup.policy", "compact,delete"), ("segment.bytes", "1048576")]),
    )
    .unwrap();
    assert!(config.cleanup_policy.compact && config.cleanup_policy.delete);
    assert_eq!((config.segment_bytes, config.retention_ms), (1 << 20, 3_600_000));
    assert_eq!(config.compression_type, CompressionType::Zstd);
}

#[test]
fn every_topic_key_that_is_honoured_changes_the_configuration() {
    let other = |key: &definition::ConfigKey| match (key.name, key.kind) {
        ("compression.gzip.level", _) => "5",
        ("compression.type", _) => "lz4",
        ("cleanup.policy", _) => "compact",
        ("message.timestamp.type", _) => "LogAppendTime",
        ("min.cleanable.dirty.ratio", _) => "0.25",
        (_, definition::ConfigType::Boolean) if key.default == Some("true") => "false",
        (_, definition::ConfigType::Boolean) => "true",
        (_, definition::ConfigType::List) => "0:1",
        _ => "15",
    };
    for key in definition::topic_keys() {
        let (config, errors) =
            LogConfig::from_stored(&LogConfig::default(), &overrides(&[(key.name, other(key))]));
        if key.support == definition::Support::Honoured {
            assert_eq!(errors, [], "{}", key.name);
            assert_ne!(config, LogConfig::default(), "{}", key.name);
        }
    }
}

/// Every broker key that is honoured has a field where the rest of the program can read it.
#[test]
fn every_broker_key_that_is_honoured_has_a_field() {
    // These keys are read into fields of other names.
    const INTO_OTHERS: &[&str] = &[
        "inter.broker.protocol.version",
        "listener.security.protocol.map",
        "log.dir",
        "node.id",
        "security.inter.broker.protocol",
    ];
    let source = include_str!("broker.rs");
    let fields: Vec<String> = source
        .lines()
        .filter_map(|line| {
            Some(
                line.strip_prefix("    pub ")?
                    .split_once(':')?
                    .0
                    .replace('_', "."),
            )
        })
        .collect();
    let inherited: Vec<&str> = definition::topic_keys()
        .iter()
        .flat_map(|key| key.inherits)
        .copied()
        .collect();
    for key in definition::broker_keys().filter(|key| key.support == definition::Support::Honoured) {
        let kept = fields.iter().any(|f| f == key.name) || inherited.contains(&key.name);
        // These are the fields of `ZooKeeperTlsConfig`.
        let of_zookeeper = key.name.starts_with("zookeeper.ssl.") || key.name == "zookeeper.clientCnxnSocket";
        let of_listeners = include_str!("listener_settings.rs").contains(&format!("\"{}\"", key.name));
        let elsewhere = of_zookeeper || of_listeners || INTO_OTHERS.contains(&key.name);
        assert!(kept || elsewhere, "{}", key.name);
    }
}

#[test]
fn a_topics_configuration_is_validated() {
    let defaults = LogConfig::default();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("no.such", "1")], "Unknown topic config name: no.such"),
        (
            &[("log.retention.ms", "1")],
            "Unknown topic config name: log.retention.ms",
        ),
        (
            &[("retention.ms", "-2")],
            "retention.ms=-2: Value must be at least -1",
        ),
        (&[("segment.bytes", "13")], "at least 14"),
        (&[("min.insync.replicas", "0")], "at least 1"),
        (&[("cleanup.policy", "shrink")], "compact, delete"),
        (
            &[("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")],
            "min.compaction.lag.ms (2) > max.compaction.lag.ms (1)",
        ),
        (
            &[("remote.storage.enable", "true")],
            "Tiered Storage functionality is disabled",
        ),
        (&[("remote.log.copy.disable", "true")], "Zookeeper's mode"),
    ];
    for (entries, expected) in cases {
        let error = LogConfig::from_overrides(&defaults, &overrides(entries)).unwrap_err();
        assert!(error.to_string().contains(expected), "{entries:?}: {error}");
    }
}

#[test]
fn the_timestamp_difference_stands_in_for_unlimited_bounds() {
    let defaults = loaded("log.message.timestamp.difference.max.ms=7").log_defaults;
    assert_eq!(defaults.message_timestamp_before_max_ms, 7);
    let config = LogConfig::from_overrides(
        &LogConfig::default(),
        &overrides(&[
            ("message.timestamp.difference.max.ms", "5"),
            ("message.timestamp.after.max.ms", "3"),
        ]),
    )
    .unwrap();
    assert_eq!(
        (
            config.message_timestamp_before_max_ms,
            config.message_timestamp_after_max_ms
        ),
        (5, 3)
    );
}

#[test]
fn what_cannot_be_used_of_a_stored_configuration_is_left_out() {
    let stored = overrides(&[
        ("retention.ms", "soon"),
        ("segment.bytes", "1000"),
        ("from.the.future", "1"),
    ]);
    let (config, errors) = LogConfig::from_stored(&LogConfig::default(), &stored);
    assert_eq!(config.segment_bytes, 1000);
    assert_eq!(config.retention_ms, LogConfig::default().retention_ms);
    assert_eq!(errors.len(), 2);
}

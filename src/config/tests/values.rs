//! Tests unusual values: empty ones, negative ones, and values that are given in another place.

use super::*;

/// An empty value is a value: a key that is set to it is not treated as unset.
#[test]
fn empty_values_are_not_taken_for_none() {
    for (text, expected) in [
        ("log.dirs=", "at least one directory"),
        ("log.dirs=\nlog.dir=/x", "at least one directory"),
        ("log.dirs=,", "at least one directory"),
        ("advertised.listeners=", "at least one broker advertised listener"),
        ("listeners=", "at least one broker advertised listener"),
        (
            "inter.broker.listener.name=",
            "not found in listener.security.protocol.map",
        ),
        (
            "control.plane.listener.name=",
            "not found in listener.security.protocol.map",
        ),
        (
            "listener.security.protocol.map=",
            "No security protocol defined for listener PLAINTEXT",
        ),
        ("replica.selector.class=", "must be one of"),
        ("barnabas.metrics.listener=", "must be host:port"),
        ("log.retention.ms=", "type LONG"),
    ] {
        assert_refused(text, expected);
    }
    let without_log_dirs =
        Properties::from([("broker.id", "1"), ("zookeeper.connect", "z"), ("log.dir", "")]);
    assert!(BrokerConfig::from_properties(&without_log_dirs).is_err());
    assert_eq!(loaded("broker.rack=").broker_rack.as_deref(), Some(""));
    assert!(
        loaded("max.connections.per.ip.overrides=")
            .max_connections_per_ip_overrides
            .is_empty()
    );
}

/// Kafka accepts negative numbers for these keys; they have the same meaning as 0.
#[test]
fn negative_times_and_counts_are_none() {
    assert_eq!(
        loaded("group.initial.rebalance.delay.ms=-1").group_initial_rebalance_delay_ms,
        0
    );
    assert_eq!(
        loaded("controlled.shutdown.max.retries=-1").controlled_shutdown_max_retries,
        0
    );
    assert_eq!(
        loaded("num.replica.alter.log.dirs.threads=-1").num_replica_alter_log_dirs_threads,
        Some(0)
    );
    assert_eq!(loaded("log.retention.ms=-5").log_defaults.retention_ms, -1);
}

#[test]
fn hosts_may_have_limits_of_their_own() {
    let of = |text: &str| loaded(text).max_connections_per_ip_overrides;
    assert_eq!(
        of("max.connections.per.ip.overrides=localhost:3, ::1 : 4 ,h:5,h:6,"),
        [
            ("::1".to_owned(), 4),
            ("h".to_owned(), 6),
            ("localhost".to_owned(), 3)
        ]
        .into()
    );
    loaded("max.connections.per.ip=0\nmax.connections.per.ip.overrides=h:1");
    for (value, expected) in [
        ("h", "'h' is not host:count"),
        ("h:x", "'h:x' is not host:count"),
        ("h:1,,g:1", "'' is not host:count"),
        ("h/8:1", "'h/8' is no host"),
    ] {
        assert_refused(&format!("max.connections.per.ip.overrides={value}"), expected);
    }
}

#[test]
fn values_from_providers_are_typed_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values");
    std::fs::write(&file, "threads=5\nnone=${file:x:y}\n").unwrap();
    let provider = "config.providers=file\nconfig.providers.file.class=\
        org.apache.kafka.common.config.provider.FileConfigProvider\n";
    let variable = |key: &str| format!("{provider}num.partitions=${{file:{}:{key}}}", file.display());
    let (config, warnings) = load(&variable("threads")).unwrap();
    assert_eq!(
        (config.num_partitions, config.originals.get("num.partitions")),
        (5, Some("5"))
    );
    assert_eq!(warnings, []);
    assert_refused(&variable("nothing"), "Not a number of type INT");
    assert_refused(&variable("none"), "Not a number of type INT");
    assert_refused("num.partitions=${file:x:y}", "Not a number of type INT");
}

//! Tests every setting that can change at run time: sets it the way an administrator's tool does, and checks that the
//! broker's parts have the new value.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::admin::tests::World;
use crate::admin::{AlterOperation, ConfigAlteration, ConfigChangeListener, ConfigResource};
use crate::common::ids::TopicPartition;
use crate::config::CurrentConfig;
use crate::config::definition::{broker_key, broker_keys, dynamic_broker_key, topic_keys};
use crate::log::UnifiedLog;
use crate::metrics::Registry;
use crate::network::{ChannelBuilder, ListenerSecurities, SocketServer};

/// The parts of a broker that use dynamic settings.
struct Parts {
    world: World,
    log_manager: Arc<LogManager>,
    replicas: Arc<ReplicaManager>,
    limits: Arc<ConnectionLimits>,
    controller: ControllerHandle,
    /// The configuration that the controller reads.
    controller_config: CurrentConfig,
    reconfiguring: Arc<Mutex<()>>,
    changes: ConfigChangeListener,
    /// The log of a topic without its own settings.
    log: Arc<UnifiedLog>,
    _folder: tempfile::TempDir,
}

impl Parts {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display().to_string();
        let world = World::with_properties(&[("log.dirs", dir.as_str())]).await;
        let (config, configs, clock) = (
            world.configs.current(),
            world.configs.clone(),
            world.clock.clone(),
        );
        let metrics = Registry::default();
        let of_topic = |topic: &str| configs.topic_config(topic);
        let log_manager = LogManager::open(&config, &of_topic, clock.clone(), &metrics).unwrap();
        let topic_configs = configs.clone();
        let replicas = ReplicaManager::new(
            config.clone(),
            &ChannelBuilder::plaintext(),
            log_manager.clone(),
            world.metadata.clone(),
            clock.clone(),
            Arc::new(move |topic: &str| topic_configs.topic_config(topic)),
            Arc::new(|| 1),
            &metrics,
        );
        let limits = SocketServer::bind(
            &config,
            &ListenerSecurities::plaintext(&config),
            &metrics,
            &(clock.clone() as _),
        )
        .await
        .unwrap()
        .limits();
        let controller = ControllerHandle::idle(1);
        let reconfiguring = Arc::default();
        let hooks = ConfigHooks {
            log_manager: log_manager.clone(),
            configs: configs.clone(),
            replicas: replicas.clone(),
            controller: controller.clone(),
            connection_limits: limits.clone(),
            securities: ListenerSecurities::plaintext(&config),
            channels: ChannelBuilder::plaintext(),
            reconfiguring: Arc::clone(&reconfiguring),
        };
        let changes = ConfigChangeListener::new(
            world.session.clone(),
            configs.clone(),
            clock,
            vec![Arc::new(hooks)],
        );
        let name = TopicPartition::new("t", 0);
        let log = log_manager
            .get_or_create_log(&name, None, true, configs.topic_config("t"))
            .unwrap();
        Self {
            controller_config: configs.shared(),
            world,
            log_manager,
            replicas,
            limits,
            controller,
            reconfiguring,
            changes,
            log,
            _folder: folder,
        }
    }

    /// Changes a setting like an administrator, and lets the broker apply the change. `None` removes the setting.
    async fn set(&mut self, resource: &ConfigResource, key: &str, value: Option<&str>) {
        let operation = match value {
            Some(_) => AlterOperation::Set,
            None => AlterOperation::Delete,
        };
        let change = (key.to_owned(), operation, value.map(str::to_owned));
        let alteration = ConfigAlteration::Incremental(vec![change]);
        let altered = self.world.admin.alter_configs(resource, &alteration, false).await;
        altered.unwrap_or_else(|error| panic!("{key}={value:?}: {error}"));
        self.changes.process_notifications().await.unwrap();
    }

    /// Checks the value that a part has of a setting, after the slow parts of the change are applied.
    async fn reaches(&self, key: &str, of: fn(&Self) -> String, expected: &str) {
        loop {
            // This task may run before the task that applies the change, so it checks repeatedly.
            let reconfiguring = self.reconfiguring.clone();
            tokio::task::spawn_blocking(move || drop(reconfiguring.lock()))
                .await
                .unwrap();
            let found = of(self);
            if found == expected {
                return;
            }
            eprintln!("{key} is {found} and shall become {expected}");
            tokio::task::yield_now().await;
        }
    }
}

macro_rules! of_log {
    ($field:ident) => {
        |parts: &Parts| format!("{:?}", parts.log.config().$field)
    };
}

macro_rules! of_cleaner {
    ($field:ident) => {
        |parts: &Parts| format!("{:?}", parts.log_manager.cleaner().config().$field)
    };
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

type Row = (&'static str, &'static str, &'static str, fn(&Parts) -> String);

/// The key, a new value, the value as the part that uses it shows it, and where the part has it.
const SETTINGS: &[Row] = &[
    (
        "compression.gzip.level",
        "5",
        "5",
        of_log!(compression_gzip_level),
    ),
    ("compression.type", "lz4", "Lz4", of_log!(compression_type)),
    (
        "compression.zstd.level",
        "7",
        "7",
        of_log!(compression_zstd_level),
    ),
    ("follower.replication.throttled.rate", "11", "11", |p| {
        p.replicas.replication_limits()[1].to_string()
    }),
    ("leader.replication.throttled.rate", "12", "12", |p| {
        p.replicas.replication_limits()[0].to_string()
    }),
    ("log.cleaner.backoff.ms", "13", "13", of_cleaner!(backoff_ms)),
    (
        "log.cleaner.dedupe.buffer.size",
        "14000000",
        "14000000",
        of_cleaner!(dedupe_buffer_bytes),
    ),
    (
        "log.cleaner.delete.retention.ms",
        "15",
        "15",
        of_log!(delete_retention_ms),
    ),
    (
        "log.cleaner.io.buffer.load.factor",
        "0.7",
        "0.7",
        of_cleaner!(load_factor),
    ),
    (
        "log.cleaner.io.buffer.size",
        "16000",
        "16000",
        of_cleaner!(io_buffer_bytes),
    ),
    (
        "log.cleaner.io.max.bytes.per.second",
        "17.5",
        "17.5",
        of_cleaner!(io_max_bytes_per_second),
    ),
    (
        "log.cleaner.max.compaction.lag.ms",
        "18",
        "18",
        of_log!(max_compaction_lag_ms),
    ),
    (
        "log.cleaner.min.cleanable.ratio",
        "0.25",
        "0.25",
        of_log!(min_cleanable_dirty_ratio),
    ),
    (
        "log.cleaner.min.compaction.lag.ms",
        "19",
        "19",
        of_log!(min_compaction_lag_ms),
    ),
    ("log.cleaner.threads", "2", "2", of_cleaner!(threads)),
    (
        "log.cleanup.policy",
        "compact",
        "CleanupPolicy { delete: false, compact: true }",
        of_log!(cleanup_policy),
    ),
    ("log.flush.interval.messages", "20", "20", of_log!(flush_messages)),
    ("log.flush.interval.ms", "21", "21", of_log!(flush_ms)),
    (
        "log.index.interval.bytes",
        "22",
        "22",
        of_log!(index_interval_bytes),
    ),
    (
        "log.index.size.max.bytes",
        "23",
        "23",
        of_log!(segment_index_bytes),
    ),
    (
        "log.message.downconversion.enable",
        "false",
        "false",
        of_log!(message_downconversion_enable),
    ),
    (
        "log.message.timestamp.after.max.ms",
        "24",
        "24",
        of_log!(message_timestamp_after_max_ms),
    ),
    (
        "log.message.timestamp.before.max.ms",
        "25",
        "25",
        of_log!(message_timestamp_before_max_ms),
    ),
    (
        "log.message.timestamp.difference.max.ms",
        "26",
        "26",
        of_log!(message_timestamp_before_max_ms),
    ),
    (
        "log.message.timestamp.type",
        "LogAppendTime",
        "LogAppendTime",
        of_log!(message_timestamp_type),
    ),
    ("log.preallocate", "true", "true", of_log!(preallocate)),
    ("log.retention.bytes", "27", "27", of_log!(retention_bytes)),
    ("log.retention.ms", "28", "28", of_log!(retention_ms)),
    ("log.roll.jitter.ms", "29", "29", of_log!(segment_jitter_ms)),
    ("log.roll.ms", "30", "30", of_log!(segment_ms)),
    (
        "log.segment.bytes",
        "31000000",
        "31000000",
        of_log!(segment_bytes),
    ),
    (
        "log.segment.delete.delay.ms",
        "32",
        "32",
        of_log!(file_delete_delay_ms),
    ),
    ("max.connections", "33", "33", |p| {
        p.limits.maxima(HERE).0.to_string()
    }),
    ("max.connections.per.ip", "34", "34", |p| {
        p.limits.maxima(HERE).1.to_string()
    }),
    ("max.connections.per.ip.overrides", "127.0.0.1:35", "35", |p| {
        p.limits.maxima(HERE).1.to_string()
    }),
    ("message.max.bytes", "36000", "36000", of_log!(max_message_bytes)),
    (
        "message.max.bytes",
        "36000",
        "36000",
        of_cleaner!(max_message_bytes),
    ),
    ("min.insync.replicas", "37", "37", of_log!(min_insync_replicas)),
    ("num.recovery.threads.per.data.dir", "2", "2", |p| {
        p.log_manager.threads_per_dir().to_string()
    }),
    ("num.replica.fetchers", "2", "2", |p| {
        p.replicas.fetchers_per_leader().to_string()
    }),
    ("producer.id.expiration.ms", "38", "38", |p| {
        p.log_manager.producer_id_expiration_ms().to_string()
    }),
    (
        "replica.alter.log.dirs.io.max.bytes.per.second",
        "39",
        "39",
        |p| p.replicas.replication_limits()[2].to_string(),
    ),
    (
        "transaction.partition.verification.enable",
        "false",
        "false",
        |p| p.replicas.verification().is_enabled().to_string(),
    ),
    (
        "unclean.leader.election.enable",
        "true",
        "true",
        of_log!(unclean_leader_election_enable),
    ),
    ("unclean.leader.election.enable", "true", "true", |p| {
        p.controller_config
            .load()
            .unclean_leader_election_enable
            .to_string()
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_dynamic_setting_reaches_those_who_act_on_it() {
    let mut parts = Parts::new().await;
    for (key, value, shown, of) in SETTINGS {
        let before = of(&parts);
        assert_ne!(before, *shown, "{key}");
        let (own, all) = (ConfigResource::Broker, ConfigResource::BrokerDefault);
        for resource in [&own, &all] {
            parts.set(resource, key, Some(value)).await;
            parts.reaches(key, *of, shown).await;
            parts.set(resource, key, None).await;
            parts.reaches(key, *of, &before).await;
        }
        // A broker's own setting has priority over the cluster-wide default.
        parts.set(&all, key, Some(value)).await;
        parts.reaches(key, *of, shown).await;
        if let Some(default) = dynamic_broker_key(key)
            .and_then(|key| key.default)
            .filter(|d| !d.is_empty())
        {
            parts.set(&own, key, Some(default)).await;
            parts.reaches(key, *of, &before).await;
            parts.set(&own, key, None).await;
        }
        parts.set(&all, key, None).await;
        parts.reaches(key, *of, &before).await;
    }
    parts.replicas.shutdown().await;
}

/// The table above has every dynamic setting that has an effect.
#[test]
fn every_dynamic_setting_is_in_the_table() {
    let quotas = [
        "follower.replication.throttled.rate",
        "leader.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    ];
    let keys = broker_keys().chain(quotas.iter().filter_map(|name| dynamic_broker_key(name)));
    let missing: Vec<&str> = keys
        .filter(|key| key.is_reconfigurable() && key.support != crate::config::definition::Support::NoEffect)
        .map(|key| key.name)
        .filter(|name| !SETTINGS.iter().any(|(key, ..)| key == name))
        .collect();
    assert_eq!(missing, [""; 0]);
    for topic_key in topic_keys() {
        for name in topic_key.inherits {
            let broker_key = broker_key(name).unwrap();
            assert_eq!(topic_key.support, broker_key.support, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_is_told_when_unclean_elections_begin_to_be_allowed() {
    let mut parts = Parts::new().await;
    let key = "unclean.leader.election.enable";
    let (own, all) = (ConfigResource::Broker, ConfigResource::BrokerDefault);
    let steps = [
        (&all, Some("false"), false),
        (&all, Some("true"), true),
        (&own, Some("true"), false),
        (&all, None, false),
        (&own, Some("false"), false),
        (&all, Some("true"), false),
        (&own, None, true),
    ];
    for (step, (resource, value, told)) in steps.into_iter().enumerate() {
        parts.set(resource, key, value).await;
        let events = parts.controller.take_events().await;
        assert_eq!(
            events == ["UncleanElectionEnabled"],
            told,
            "step {step}: {events:?}"
        );
    }
    parts.replicas.shutdown().await;
}

/// A dynamic broker setting visits each log once, and a topic's own settings stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_setting_is_put_in_force_for_many_logs() {
    let mut parts = Parts::new().await;
    let logs: Vec<_> = (0..200)
        .map(|number| {
            let name = TopicPartition::new(format!("topic-{number}"), 0);
            let config = parts.world.configs.topic_config(&name.topic);
            parts
                .log_manager
                .get_or_create_log(&name, None, true, config)
                .unwrap()
        })
        .collect();
    parts.world.topic_exists("topic-7").await;
    let topic = ConfigResource::Topic("topic-7".into());
    parts.set(&topic, "segment.bytes", Some("5000")).await;
    parts
        .set(&ConfigResource::BrokerDefault, "log.segment.bytes", Some("6000"))
        .await;
    parts
        .reaches("log.segment.bytes", of_log!(segment_bytes), "6000")
        .await;
    for (number, log) in logs.iter().enumerate() {
        let expected = if number == 7 { 5000 } else { 6000 };
        assert_eq!(log.config().segment_bytes, expected, "topic-{number}");
    }
    parts.replicas.shutdown().await;
}

/// A change may miss a log that is being created: after its configuration is read and before it is in the list of logs.
#[tokio::test]
async fn a_log_that_is_being_created_catches_up_with_a_change() {
    let parts = Parts::new().await;
    let stale = parts.world.configs.topic_config("t");
    let retention = [("retention.ms".to_owned(), "5".to_owned())];
    parts.world.configs.set_topic("t", retention.into());
    let log = parts
        .log_manager
        .get_or_create_log(&TopicPartition::new("t", 1), None, true, stale)
        .unwrap();
    parts
        .log_manager
        .catch_up_with_config(&log, &|topic| parts.world.configs.topic_config(topic));
    assert_eq!(log.config().retention_ms, 5);
    assert_ne!(
        parts.log.config().retention_ms,
        5,
        "others hear of it in their own way"
    );
    parts.replicas.shutdown().await;
}

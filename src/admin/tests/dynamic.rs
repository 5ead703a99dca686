//! Tests how changed configurations are read from ZooKeeper and take effect.

use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::LogConfig;
use crate::config::definition::{Support, UpdateMode, broker_keys};
use crate::zk::gate::GatedStore;
use crate::zk::paths::ConfigEntityType;
use crate::zk::znode::{ConfigChange, ConfigEntity};

/// Records the calls of the listener, as `topic retention` and `broker retention`.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl ConfigListener for Told {
    fn on_topic_config_change(&self, topic: &str, config: &LogConfig) {
        self.0.lock().push(format!("{topic} {}", config.retention_ms));
    }
    fn on_broker_config_change(&self, _: &BrokerConfig, config: &Arc<BrokerConfig>) {
        self.0
            .lock()
            .push(format!("broker {}", config.log_defaults.retention_ms));
    }
}

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

fn listener(world: &World) -> (ConfigChangeListener, Arc<Told>) {
    let told = Arc::new(Told::default());
    let listeners: Vec<Arc<dyn ConfigListener>> = vec![told.clone()];
    let listener = ConfigChangeListener::new(
        world.session.clone(),
        world.configs.clone(),
        world.clock.clone(),
        listeners,
    );
    (listener, told)
}

async fn store(world: &World, kind: ConfigEntityType, name: &str, settings: &[(&str, &str)]) {
    let data = ConfigEntity {
        config: strings(settings),
    }
    .encode();
    let path = paths::config_entity(kind, name);
    if world
        .session
        .create(&path, data.clone(), CreateMode::Persistent)
        .await
        .is_err()
    {
        world.session.set(&path, data, None).await.unwrap();
    }
}

async fn notify(world: &World, data: impl Into<bytes::Bytes>) {
    let created = world.session.create(
        paths::CONFIG_CHANGE_SEQUENCE,
        data.into(),
        CreateMode::PersistentSequential,
    );
    created.await.unwrap();
}

async fn change(world: &World, kind: ConfigEntityType, name: &str, settings: &[(&str, &str)]) {
    store(world, kind, name, settings).await;
    notify(world, ConfigChange::of(kind, name).encode()).await;
}

#[tokio::test]
async fn each_notification_is_executed_once_and_reads_the_whole_entity() {
    use ConfigEntityType::{Brokers, Topics, Users};
    let world = World::new().await;
    let (mut listener, told) = listener(&world);
    change(
        &world,
        Topics,
        "a",
        &[("retention.ms", "1"), ("segment.bytes", "99")],
    )
    .await;
    change(&world, Users, "alice", &[("producer_byte_rate", "1")]).await;
    change(&world, Brokers, "1", &[("log.retention.ms", "2")]).await;
    change(&world, Brokers, "2", &[("log.retention.ms", "3")]).await;
    notify(&world, "neither JSON nor anything else").await;
    notify(
        &world,
        r#"{"version":1,"entity_type":"topics","entity_name":"b"}"#,
    )
    .await;
    listener.process_notifications().await.unwrap();
    assert_eq!(told.take(), ["a 1", "broker 2"]);
    assert_eq!(world.configs.topic_config("a").segment_bytes, 99);
    assert_eq!(world.configs.topic_config("b").retention_ms, 2, "inherited");

    change(&world, Topics, "a", &[("retention.ms", "5")]).await;
    change(&world, Topics, "a", &[("retention.ms", "6")]).await;
    listener.process_notifications().await.unwrap();
    assert_eq!(told.take(), ["a 6"], "the entity is read, not the notification");
    assert_eq!(
        world.configs.topic_config("a").segment_bytes,
        LogConfig::default().segment_bytes,
        "fact 10"
    );
    listener.process_notifications().await.unwrap();
    assert_eq!(told.take(), [""; 0]);
}

#[tokio::test]
async fn notifications_are_purged_when_everybody_has_had_time_to_read_them() {
    let world = World::new().await;
    let (mut listener, _) = listener(&world);
    change(&world, ConfigEntityType::Topics, "old", &[]).await;
    world.clock.advance(10 * 60 * 1000);
    change(&world, ConfigEntityType::Topics, "young", &[]).await;
    world.clock.advance(5 * 60 * 1000);
    listener.process_notifications().await.unwrap();
    assert_eq!(world.notifications().len(), 2, "fact 9");
    world.clock.advance(1);
    listener.process_notifications().await.unwrap();
    assert_eq!(
        world.notifications(),
        [r#"{"version":2,"entity_path":"topics/young"}"#]
    );
}

#[tokio::test]
async fn a_starting_broker_knows_every_configuration() {
    let world = World::with_properties(&[("log.retention.ms", "9")]).await;
    store(&world, ConfigEntityType::Topics, "a", &[("retention.ms", "1")]).await;
    store(&world, ConfigEntityType::Topics, "b", &[]).await;
    store(
        &world,
        ConfigEntityType::Brokers,
        "<default>",
        &[
            ("log.retention.ms", "3"),
            ("metric.reporters", "a.Class"),
            ("listeners", "PLAINTEXT://:1"),
        ],
    )
    .await;
    let (topics, broker_changed) = world.configs.load(&*world.session).await.unwrap();
    assert_eq!((topics, broker_changed), (vec!["a".into()], true));
    assert_eq!(world.configs.topic_config("a").retention_ms, 1);
    assert_eq!(world.configs.topic_config("b").retention_ms, 3);
    let listeners = &world.configs.current().listeners;
    assert_eq!(listeners[0].port, 0, "only at start");
    assert_eq!(world.configs.current().broker_id, 1);

    store(&world, ConfigEntityType::Topics, "b", &[("retention.ms", "4")]).await;
    world.session.delete("/config/topics/a", None).await.unwrap();
    let (topics, broker_changed) = world.configs.load(&*world.session).await.unwrap();
    assert_eq!((topics, broker_changed), (vec!["a".into(), "b".into()], false));
    assert_eq!(world.configs.topic_config("a").retention_ms, 3);
}

/// Every honoured key that is dynamic in Kafka can be changed at run time, unless it is listed here.
#[test]
fn these_settings_cannot_be_changed_at_run_time_yet() {
    let mut fixed: Vec<_> = broker_keys()
        .filter(|key| key.support == Support::AtStart)
        .inspect(|key| assert_ne!(key.update, UpdateMode::ReadOnly, "{}", key.name))
        .map(|key| key.name)
        .collect();
    fixed.sort_unstable();
    // The keys of TLS and SASL are read anew for one listener alone, with its prefix.
    fixed.retain(|name| !name.starts_with("ssl.") && !name.starts_with("sasl."));
    let known = [
        "advertised.listeners",
        "listener.security.protocol.map",
        "listeners",
    ];
    assert_eq!(fixed, known);
}

#[tokio::test]
async fn settings_nobody_can_use_leave_the_rest_in_force() {
    let world = World::new().await;
    world
        .configs
        .set_topic("t", strings(&[("retention.ms", "soon"), ("segment.bytes", "99")]));
    assert_eq!(world.configs.topic_config("t").segment_bytes, 99);
    let settings = [
        ("log.segment.bytes", "1"),
        ("log.retention.ms", "77"),
        ("my.own.key", "x"),
    ];
    assert!(world.configs.set_broker("1", strings(&settings)));
    let defaults = &world.configs.current().log_defaults;
    assert_eq!(defaults.segment_bytes, LogConfig::default().segment_bytes);
    assert_eq!(defaults.retention_ms, 77);
    // Each setting alone is valid, but not both together.
    let together = [
        ("log.cleaner.min.compaction.lag.ms", "2"),
        ("log.cleaner.max.compaction.lag.ms", "1"),
    ];
    assert!(!world.configs.set_broker("1", strings(&together)));
    assert_eq!(world.configs.current().log_defaults.retention_ms, 77);
}

#[tokio::test(start_paused = true)]
async fn changes_are_followed_through_the_loss_of_a_session() {
    let world = World::new().await;
    let (listener, told) = listener(&world);
    store(&world, ConfigEntityType::Topics, "t", &[("retention.ms", "1")]).await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(listener.run(stop.clone()));
    let told_next = async || {
        for _ in 0..100_000 {
            match told.take() {
                told if told.is_empty() => tokio::time::sleep(Duration::from_millis(10)).await,
                told => return told,
            }
        }
        panic!("the listener tells of no change");
    };
    assert_eq!(told_next().await, ["t 1"]);
    change(&world, ConfigEntityType::Topics, "t", &[("retention.ms", "2")]).await;
    assert_eq!(told_next().await, ["t 2"]);

    let other = world.zookeeper.connect();
    world.session.expire();
    // Another broker makes this change while this broker has no session. The notification is purged before the session
    // is back.
    let data = ConfigEntity {
        config: strings(&[("retention.ms", "3")]),
    };
    other.set("/config/topics/t", data.encode(), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.session.establish();
    assert_eq!(told_next().await, ["t 3"]);
    change(&world, ConfigEntityType::Topics, "t", &[("retention.ms", "4")]).await;
    assert_eq!(told_next().await, ["t 4"]);
    stop.cancel();
    task.await.unwrap();
}

/// As in Kafka, a dynamic setting with a variable needs its provider among the dynamic settings.
#[tokio::test]
async fn dynamic_settings_may_stand_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values");
    std::fs::write(&file, "retention=77\n").unwrap();
    let world = World::new().await;
    let class = "org.apache.kafka.common.config.provider.FileConfigProvider";
    let variable = format!("${{file:{}:retention}}", file.display());
    let set = |settings: &[(&str, &str)]| {
        let change =
            |(key, value): &(&str, &str)| (key.to_string(), AlterOperation::Set, Some(value.to_string()));
        ConfigAlteration::Incremental(settings.iter().map(change).collect())
    };
    let own = ConfigResource::Broker;
    let without_provider = set(&[("log.retention.ms", &variable)]);
    let error = world
        .admin
        .alter_configs(&own, &without_provider, false)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    let settings = [
        ("config.providers", "file"),
        ("config.providers.file.class", class),
        ("log.retention.ms", variable.as_str()),
    ];
    world
        .admin
        .alter_configs(&own, &set(&settings), false)
        .await
        .unwrap();
    assert!(
        world.znode("/config/brokers/1").unwrap().contains("${file:"),
        "the variable is stored"
    );
    world.configs.set_broker("1", strings(&settings));
    assert_eq!(world.configs.current().log_defaults.retention_ms, 77);
}

/// The topic may already have another log, which does not learn of settings that were read for a new log.
#[tokio::test]
async fn what_was_read_for_a_new_log_is_told_to_the_others_all_the_same() {
    let world = World::new().await;
    let (mut listener, told) = listener(&world);
    let topic = || ["a".to_owned()];
    for (value, by_notification) in [("1", true), ("2", false)] {
        store(&world, ConfigEntityType::Topics, "a", &[("retention.ms", value)]).await;
        world
            .configs
            .load_topics(&*world.session, &topic())
            .await
            .unwrap();
        world
            .configs
            .load_topics(&*world.session, &topic())
            .await
            .unwrap();
        assert_eq!(world.configs.topic_config("a").retention_ms.to_string(), value);
        if by_notification {
            notify(&world, ConfigChange::of(ConfigEntityType::Topics, "a").encode()).await;
            listener.process_notifications().await.unwrap();
        } else {
            listener.reload().await.unwrap();
        }
        assert_eq!(told.take(), [format!("a {value}")]);
    }
}

#[tokio::test]
async fn pools_of_threads_change_at_run_time_by_halves_at_most() {
    let world = World::new().await;
    let alter = async |key: &str, value: &str| {
        let change = (key.to_owned(), AlterOperation::Set, Some(value.to_owned()));
        let alteration = ConfigAlteration::Incremental(vec![change]);
        world
            .admin
            .alter_configs(&ConfigResource::BrokerDefault, &alteration, true)
            .await
    };
    for (key, value, accepted) in [
        ("log.cleaner.threads", "2", true),
        ("log.cleaner.threads", "3", false),
        ("log.cleaner.threads", "1", true),
        ("log.cleaner.threads", "0", false),
        ("num.replica.fetchers", "2", true),
        ("num.replica.fetchers", "3", false),
        ("num.replica.fetchers", "0", false),
        ("num.recovery.threads.per.data.dir", "2", true),
        ("num.recovery.threads.per.data.dir", "3", false),
        ("num.io.threads", "4", true),
        ("num.io.threads", "3", false),
        ("num.network.threads", "6", true),
        ("num.network.threads", "7", false),
        ("background.threads", "20", true),
        ("background.threads", "21", false),
        ("max.connections", "1", true),
        ("max.connections", "0", false),
    ] {
        let outcome = alter(key, value).await;
        assert_eq!(outcome.is_ok(), accepted, "{key}={value}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_topics_configuration_is_not_waited_for_without_end() {
    let world = World::new().await;
    let open = tokio::sync::watch::Sender::new(false);
    let zk: Arc<dyn ZkStore> = Arc::new(GatedStore::new(world.session.clone(), &open));
    store(&world, ConfigEntityType::Topics, "t", &[("retention.ms", "7")]).await;
    let configs = world.admin.configs();
    let (late, mut told) = tokio::sync::mpsc::unbounded_channel();
    let begun = tokio::time::Instant::now();
    let limit = Duration::from_secs(15);
    configs
        .load_topics_within(limit, &zk, vec!["t".into(), "u".into()], move |changed| {
            changed.into_iter().for_each(|topic| late.send(topic).unwrap())
        })
        .await;
    assert_eq!(begun.elapsed(), limit);
    assert_ne!(configs.topic_config("t").retention_ms, 7);
    open.send_replace(true);
    let heard = tokio::time::timeout(limit, told.recv()).await.unwrap();
    assert_eq!(heard, Some("t".into()));
    assert_eq!(
        configs.topic_config("t").retention_ms,
        7,
        "what came late is used all the same"
    );
    assert_eq!(
        tokio::time::timeout(limit, told.recv()).await.unwrap(),
        None,
        "nothing changed for u"
    );
}

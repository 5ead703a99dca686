//! The log levels of the process, under the names of Kafka's loggers, which can change while it runs (KIP-412).
//! Kafka 3.9: `Log4jController`.
//!
//! Loggers belong to the process, like its standard error, so all brokers of one process share them. The start of the
//! program therefore creates this value, with the function that applies a filter, and passes it down.
//!
//! A logger without its own level has the level of its nearest parent: `kafka.log` is the parent of
//! `kafka.log.LogCleaner`, and `root` is above all. Each logger stands for the modules that correspond to Kafka's
//! class. A filter is text in the form of `RUST_LOG`: the filter at the start of the process, followed by the later
//! settings, of which the last counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;
use tracing_subscriber::filter::Targets;

/// The logger above all others.
pub const ROOT: &str = "root";

/// The levels that may be set, in Kafka's order.
pub const LEVELS: [&str; 6] = ["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];

/// Kafka's loggers and the corresponding modules.
const LOGGERS: &[(&str, &[&str])] = &[
    ("kafka", &["barnabas"]),
    ("kafka.cluster.Partition", &["barnabas::cluster"]),
    ("kafka.controller", &["barnabas::controller"]),
    (
        "kafka.controller.ControllerChannelManager",
        &["barnabas::controller::channel_manager"],
    ),
    (
        "kafka.controller.ControllerEventManager$ControllerEventThread",
        &["barnabas::controller::event_manager"],
    ),
    (
        "kafka.controller.KafkaController",
        &[
            "barnabas::controller::alter_partition",
            "barnabas::controller::broker_change",
            "barnabas::controller::controlled_shutdown",
            "barnabas::controller::elector",
            "barnabas::controller::failover",
            "barnabas::controller::kafka_controller",
            "barnabas::controller::notifications",
            "barnabas::controller::partition_reassignment",
            "barnabas::controller::preferred_leader",
            "barnabas::controller::producer_ids",
            "barnabas::controller::reassignment",
            "barnabas::controller::replica_election",
            "barnabas::controller::topic_change",
            "barnabas::controller::update_features",
        ],
    ),
    (
        "kafka.controller.TopicDeletionManager",
        &["barnabas::controller::topic_deletion"],
    ),
    (
        "kafka.controller.ZkPartitionStateMachine",
        &["barnabas::controller::partition_state_machine"],
    ),
    (
        "kafka.controller.ZkReplicaStateMachine",
        &["barnabas::controller::replica_state_machine"],
    ),
    ("kafka.coordinator.group", &["barnabas::coordinator::group"]),
    (
        "kafka.coordinator.group.GroupCoordinator",
        &[
            "barnabas::coordinator::group::coordinator",
            "barnabas::coordinator::group::join",
            "barnabas::coordinator::group::sync",
            "barnabas::coordinator::group::liveness",
            "barnabas::coordinator::group::generation",
        ],
    ),
    (
        "kafka.coordinator.group.GroupMetadataManager",
        &[
            "barnabas::coordinator::group::cleanup",
            "barnabas::coordinator::group::commit",
            "barnabas::coordinator::group::loader",
            "barnabas::coordinator::group::ownership",
        ],
    ),
    (
        "kafka.coordinator.transaction",
        &[
            "barnabas::coordinator::transaction",
            "barnabas::coordinator::producer_ids",
        ],
    ),
    (
        "kafka.coordinator.transaction.ProducerIdManager",
        &["barnabas::coordinator::producer_ids"],
    ),
    (
        "kafka.coordinator.transaction.TransactionCoordinator",
        &[
            "barnabas::coordinator::transaction::coordinator",
            "barnabas::coordinator::transaction::expiry",
        ],
    ),
    (
        "kafka.coordinator.transaction.TransactionMarkerChannelManager",
        &[
            "barnabas::coordinator::transaction::marker_channel",
            "barnabas::coordinator::transaction::marker_sender",
        ],
    ),
    (
        "kafka.coordinator.transaction.TransactionStateManager",
        &[
            "barnabas::coordinator::transaction::loader",
            "barnabas::coordinator::transaction::state_manager",
        ],
    ),
    ("kafka.log", &["barnabas::log"]),
    ("kafka.log.LogCleaner", &["barnabas::log::cleaner"]),
    (
        "kafka.log.LogCleanerManager",
        &["barnabas::log::cleaner::manager"],
    ),
    ("kafka.log.LogManager", &["barnabas::log::manager"]),
    (
        "kafka.log.UnifiedLog",
        &[
            "barnabas::log::unified_log",
            "barnabas::log::loader",
            "barnabas::log::recovery",
        ],
    ),
    (
        "kafka.log.UnifiedLog$",
        &["barnabas::log::loader", "barnabas::log::recovery"],
    ),
    ("kafka.network", &["barnabas::network"]),
    ("kafka.network.Processor", &["barnabas::network::connection"]),
    ("kafka.network.RequestChannel$", &["request"]),
    (
        "kafka.network.SocketServer",
        &["barnabas::network::server", "barnabas::network::limits"],
    ),
    ("kafka.request.logger", &["request"]),
    (
        "kafka.server",
        &[
            "barnabas::admin",
            "barnabas::api",
            "barnabas::broker",
            "barnabas::config",
            "barnabas::metadata",
            "barnabas::replica",
        ],
    ),
    (
        "kafka.server.AlterPartitionManager",
        &["barnabas::replica::alter_partition"],
    ),
    (
        "kafka.server.DynamicBrokerConfig",
        &["barnabas::admin::dynamic_configs"],
    ),
    (
        "kafka.server.FetchSessionCache",
        &["barnabas::replica::fetch_session"],
    ),
    ("kafka.server.KafkaApis", &["barnabas::api"]),
    ("kafka.server.KafkaConfig", &["barnabas::config"]),
    ("kafka.server.KafkaServer", &["barnabas::broker"]),
    (
        "kafka.server.LogDirFailureChannel",
        &["barnabas::replica::log_dir_failure"],
    ),
    (
        "kafka.server.ReplicaAlterLogDirsManager",
        &["barnabas::replica::alter_log_dirs"],
    ),
    (
        "kafka.server.ReplicaFetcherManager",
        &["barnabas::replica::fetcher::manager"],
    ),
    (
        "kafka.server.ReplicaFetcherThread",
        &["barnabas::replica::fetcher"],
    ),
    ("kafka.server.ReplicaManager", &["barnabas::replica"]),
    ("kafka.server.ZkAdminManager", &["barnabas::admin"]),
    (
        "kafka.server.ZkConfigManager",
        &["barnabas::admin::change_listener"],
    ),
    (
        "kafka.server.metadata.ZkMetadataCache",
        &["barnabas::metadata", "barnabas::replica::update_metadata"],
    ),
    ("kafka.zk", &["barnabas::zk"]),
    (
        "kafka.zk.KafkaZkClient",
        &["barnabas::zk::cluster", "barnabas::zk::registration"],
    ),
    ("kafka.zookeeper.ZooKeeperClient", &["barnabas::zk::session"]),
    ("org.apache.kafka", &["barnabas"]),
    ("org.apache.zookeeper", &["zookeeper_client"]),
    ("state.change.logger", &["state.change"]),
];

/// Applies a filter, or returns why it is invalid.
type Apply = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// The loggers of a process.
#[derive(Clone)]
pub struct Loggers {
    /// The filter that the process was started with.
    base: Arc<str>,
    apply: Arc<Apply>,
    /// The loggers with their own level.
    levels: Arc<Mutex<BTreeMap<&'static str, &'static str>>>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loggers")
            .field("levels", &*self.levels.lock())
            .finish()
    }
}

/// Filters nothing: for a process that does not log, such as a test.
impl Default for Loggers {
    fn default() -> Self {
        Self::new("info", |_| Ok(()))
    }
}

impl Loggers {
    /// The loggers of a process that was started with this filter.
    pub fn new(base: &str, apply: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self {
            base: base.into(),
            apply: Arc::new(apply),
            levels: Arc::default(),
        }
    }

    /// Whether there is a logger of this name.
    pub fn exists(name: &str) -> bool {
        known(name).is_some()
    }

    /// Every logger with its effective level, the root first.
    pub fn describe(&self) -> Vec<(&'static str, &'static str)> {
        let levels = self.levels.lock();
        let filter = filter(&self.base, &levels);
        let filter: Targets = filter.parse().unwrap_or_default();
        let names = std::iter::once(ROOT).chain(LOGGERS.iter().map(|(name, _)| *name));
        let described = names.map(|name| {
            let own = levels.get(name).copied();
            (name, own.unwrap_or_else(|| level_in_force(&filter, target(name))))
        });
        described.collect()
    }

    /// Sets or removes levels of loggers. Ignores unknown names and levels.
    pub fn change<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(), String> {
        let mut levels = self.levels.lock();
        let mut changed = levels.clone();
        for (name, level) in changes {
            let Some(name) = known(name) else { continue };
            match level.map(|level| LEVELS.iter().find(|known| **known == level)) {
                Some(Some(level)) => drop(changed.insert(name, level)),
                Some(None) => {}
                None => drop(changed.remove(name)),
            }
        }
        (self.apply)(&filter(&self.base, &changed))?;
        *levels = changed;
        Ok(())
    }
}

fn known(name: &str) -> Option<&'static str> {
    let names = std::iter::once(ROOT).chain(LOGGERS.iter().map(|(name, _)| *name));
    let mut same = names.filter(|known| *known == name);
    same.next()
}

fn targets(name: &str) -> &'static [&'static str] {
    let found = LOGGERS.iter().find(|(logger, _)| *logger == name);
    found.map_or(&[], |(_, targets)| targets)
}

/// The module whose level stands for a logger's.
fn target(name: &str) -> &'static str {
    targets(name).first().copied().unwrap_or("")
}

/// The filter, with loggers after their parents.
fn filter(base: &str, levels: &BTreeMap<&'static str, &'static str>) -> String {
    let mut set: Vec<_> = levels.iter().collect();
    set.sort_by_key(|(name, _)| (**name != ROOT, name.split('.').count()));
    let mut filter = base.to_owned();
    for (name, level) in set {
        // barnabas logs nothing above the level error.
        let level = if *level == "FATAL" { "off" } else { level };
        if *name == ROOT {
            filter = format!("{filter},{level}");
        }
        for target in targets(name) {
            filter = format!("{filter},{target}={level}");
        }
    }
    filter.to_lowercase()
}

fn level_in_force(filter: &Targets, target: &str) -> &'static str {
    let levels = [
        (Level::TRACE, "TRACE"),
        (Level::DEBUG, "DEBUG"),
        (Level::INFO, "INFO"),
        (Level::WARN, "WARN"),
        (Level::ERROR, "ERROR"),
    ];
    let enabled = levels
        .iter()
        .find(|(level, _)| filter.would_enable(target, level));
    enabled.map_or("FATAL", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loggers, and the filter that they have applied.
    fn loggers(base: &str) -> (Loggers, Arc<Mutex<String>>) {
        let in_force = Arc::new(Mutex::new(base.to_owned()));
        let applied = in_force.clone();
        let apply = move |filter: &str| {
            *applied.lock() = filter.to_owned();
            Ok(())
        };
        (Loggers::new(base, apply), in_force)
    }

    fn level(loggers: &Loggers, name: &str) -> &'static str {
        let described = loggers.describe();
        described
            .iter()
            .find(|(n, _)| *n == name)
            .unwrap_or_else(|| panic!("{name}"))
            .1
    }

    #[test]
    fn a_logger_has_the_level_of_the_nearest_above_it() {
        let (loggers, in_force) = loggers("info");
        assert_eq!(loggers.describe()[0], (ROOT, "INFO"));
        assert!(loggers.describe().iter().all(|(_, level)| *level == "INFO"));
        loggers
            .change([
                ("kafka.log.LogCleaner", Some("TRACE")),
                ("kafka.log", Some("WARN")),
            ])
            .unwrap();
        assert_eq!(
            *in_force.lock(),
            "info,barnabas::log=warn,barnabas::log::cleaner=trace"
        );
        for (name, expected) in [
            ("kafka.log.LogCleaner", "TRACE"),
            ("kafka.log.LogCleanerManager", "TRACE"),
            ("kafka.log.LogManager", "WARN"),
            ("kafka.log", "WARN"),
            ("kafka", "INFO"),
            ("state.change.logger", "INFO"),
        ] {
            assert_eq!(level(&loggers, name), expected, "{name}");
        }
        loggers
            .change([(ROOT, Some("ERROR")), ("kafka.log.LogCleaner", None)])
            .unwrap();
        assert_eq!(*in_force.lock(), "info,error,barnabas::log=warn");
        assert_eq!(level(&loggers, ROOT), "ERROR");
        assert_eq!(level(&loggers, "kafka.log.LogCleaner"), "WARN");
        assert_eq!(level(&loggers, "state.change.logger"), "ERROR");
        loggers.change([("state.change.logger", Some("FATAL"))]).unwrap();
        assert_eq!(level(&loggers, "state.change.logger"), "FATAL");
        assert!(in_force.lock().ends_with("state.change=off"));
    }

    #[test]
    fn what_the_process_was_started_with_counts_until_it_is_changed() {
        let (loggers, _) = loggers("warn,barnabas::replica=debug");
        assert_eq!(level(&loggers, ROOT), "WARN");
        assert_eq!(level(&loggers, "kafka.server.ReplicaManager"), "DEBUG");
        assert_eq!(level(&loggers, "kafka.server.ReplicaFetcherThread"), "DEBUG");
        loggers
            .change([("kafka.server.ReplicaManager", Some("ERROR"))])
            .unwrap();
        assert_eq!(level(&loggers, "kafka.server.ReplicaFetcherThread"), "ERROR");
        loggers.change([("kafka.server.ReplicaManager", None)]).unwrap();
        assert_eq!(level(&loggers, "kafka.server.ReplicaManager"), "DEBUG");
    }

    #[test]
    fn a_filter_that_is_refused_changes_nothing() {
        let loggers = Loggers::new("info", |_| Err("no".to_owned()));
        assert_eq!(loggers.change([(ROOT, Some("DEBUG"))]), Err("no".to_owned()));
        assert_eq!(level(&loggers, ROOT), "INFO");
    }

    /// The filter would silently ignore a module that was renamed.
    #[test]
    fn every_logger_stands_for_modules_that_exist() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for (name, targets) in LOGGERS {
            for target in *targets {
                let Some(module) = target.strip_prefix("barnabas") else {
                    continue;
                };
                let path = source.join(module.trim_start_matches("::").replace("::", "/"));
                assert!(
                    path.is_dir() || path.with_extension("rs").is_file(),
                    "{name}: {target}"
                );
            }
        }
    }
}

//! Changes of configuration while the logs are open. Kafka 3.9: `LogManager.updateTopicConfig`,
//! `LogManager.finishedInitializingLog`, `DynamicLogConfig`.
//!
//! A topic's configuration is read and applied under one lock. Of two changes at the same time the later one therefore
//! stays, whichever thread applies it last.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::LogManager;
use crate::common::ids::TopicName;
use crate::config::{BrokerConfig, LogConfig};
use crate::log::unified_log::UnifiedLog;

/// Returns the configuration that a topic has at the moment of the call.
type TopicConfig<'a> = &'a dyn Fn(&str) -> LogConfig;

impl LogManager {
    /// Applies the settings of `config` that do not belong to a topic and can change at run time.
    pub fn reconfigure(&self, config: &BrokerConfig) {
        self.producer_id_expiration_ms
            .store(config.producer_id_expiration_ms, Ordering::Relaxed);
        self.threads_per_dir
            .store(config.num_recovery_threads_per_data_dir.max(1), Ordering::Relaxed);
    }

    /// The current `num.recovery.threads.per.data.dir`.
    pub fn threads_per_dir(&self) -> usize {
        self.threads_per_dir.load(Ordering::Relaxed)
    }

    /// The current `producer.id.expiration.ms` of every log.
    pub fn producer_id_expiration_ms(&self) -> i64 {
        self.producer_id_expiration_ms.load(Ordering::Relaxed)
    }

    /// Applies a topic's current configuration to all its logs.
    pub fn update_topic_config(&self, topic: &str, topic_config: TopicConfig) {
        let mut of_topic = Vec::new();
        for logs in [&self.logs.current, &self.logs.future] {
            let logs = logs.read();
            let found = logs.values().filter(|log| &*log.topic_partition().topic == topic);
            of_topic.extend(found.cloned());
        }
        self.put_in_force(topic, &of_topic, topic_config);
        self.cleaner.wake();
    }

    /// Does the same for every topic. Visits every log once.
    pub fn update_topic_configs(&self, topic_config: TopicConfig) {
        let mut topics: HashMap<TopicName, Vec<Arc<UnifiedLog>>> = HashMap::new();
        for logs in [&self.logs.current, &self.logs.future] {
            for log in logs.read().values() {
                let topic = log.topic_partition().topic.clone();
                topics.entry(topic).or_default().push(Arc::clone(log));
            }
        }
        for (topic, logs) in topics {
            self.put_in_force(&topic, &logs, topic_config);
        }
        self.cleaner.wake();
    }

    /// Applies the current configuration to a log that was just created: a change could miss the log before it was in
    /// the map (KAFKA-8813).
    pub fn catch_up_with_config(&self, log: &Arc<UnifiedLog>, topic_config: TopicConfig) {
        let topic = &log.topic_partition().topic;
        self.put_in_force(topic, std::slice::from_ref(log), topic_config);
    }

    fn put_in_force(&self, topic: &str, logs: &[Arc<UnifiedLog>], topic_config: TopicConfig) {
        let _configuring = self.configuring.lock();
        let config = Arc::new(topic_config(topic));
        for log in logs.iter().filter(|log| *log.config() != *config) {
            log.update_config(Arc::clone(&config));
        }
        let not_compacted = match config.cleanup_policy.compact {
            true => Vec::new(),
            false => logs.iter().map(|log| log.topic_partition().clone()).collect(),
        };
        self.cleaner
            .manager()
            .on_topic_config_change(topic, &not_compacted);
    }
}

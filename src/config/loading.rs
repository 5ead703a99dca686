//! Turns `server.properties` into [`BrokerConfig`]: refuses wrong settings, and warns about settings without effect.
//! Kafka 3.9: `KafkaConfig.validateValues`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::broker::{BrokerConfig, RACK_AWARE_REPLICA_SELECTOR};
use super::error::{ConfigError, Warning};
use super::listeners::{Listeners, has_legal_host_characters};
use super::properties::{Properties, Property};
use super::providers;
use super::reader::Reader;
use super::review::review;
use super::security::ListenerConfig;
use super::system_properties::SystemProperties;
use super::topic::{CleanupPolicy, CompressionType, LogConfig, TimestampType};

/// `read!(reader, Type { field, …; field: value, … })`: each of the first fields has the name of its key, with
/// underscores in place of dots.
macro_rules! read {
    ($reader:expr, $type:ident { $($field:ident)*; $($other:ident: $value:expr),* $(,)? }) => {
        $type {
            $($field: $reader.read(&stringify!($field).replace('_', "."))?,)*
            $($other: $value,)*
        }
    };
}

/// The replica selectors that can be configured: Kafka's own two. Other classes cannot be loaded here.
const REPLICA_SELECTORS: [&str; 2] = [
    "org.apache.kafka.common.replica.LeaderSelector",
    RACK_AWARE_REPLICA_SELECTOR,
];

impl BrokerConfig {
    /// Reads all settings from properties. The warnings are for the log; an error names the key, the value and the
    /// place.
    pub fn from_properties(properties: &Properties) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut properties = providers::resolve(properties)?;
        let mut warnings = Vec::new();
        for (name, property) in properties.iter() {
            warnings.extend(review(name, property)?);
        }
        unify_node_id(&mut properties)?;
        let reader = Reader::new(&properties);
        let config = Self::read(&reader, properties.clone())?;
        config.validate(&reader)?;
        Ok((config, warnings))
    }

    /// A broker for tests. It listens on a free port of the loopback interface.
    pub fn for_test(broker_id: i32, log_dir: &Path) -> Self {
        let properties = Properties::from([
            ("broker.id", broker_id.to_string()),
            ("listeners", "PLAINTEXT://127.0.0.1:0".to_string()),
            ("log.dirs", log_dir.display().to_string()),
            ("zookeeper.connect", "127.0.0.1:2181".to_string()),
        ]);
        let (config, _) = Self::from_properties(&properties).expect("a minimal configuration is valid");
        config
    }

    fn read(reader: &Reader, originals: Properties) -> Result<Self, ConfigError> {
        let listeners = Listeners::read(reader)?;
        let mut listener_configs = BTreeMap::new();
        for endpoint in &listeners.bound {
            let config = Arc::new(ListenerConfig::read(reader, endpoint)?);
            listener_configs.insert(endpoint.listener.clone(), config);
        }
        let session_timeout = reader.read("zookeeper.session.timeout.ms")?;
        let connection_timeout: Option<u64> = reader.read("zookeeper.connection.timeout.ms")?;
        let max_idle: i64 = reader.read("connections.max.idle.ms")?;
        Ok(read!(reader, BrokerConfig {
            broker_id broker_id_generation_enable reserved_broker_max_id broker_rack
            zookeeper_connect zookeeper_set_acl
            socket_request_max_bytes socket_send_buffer_bytes socket_receive_buffer_bytes
            socket_listen_backlog_size max_connections max_connections_per_ip queued_max_requests
            num_network_threads num_io_threads request_timeout_ms
            password_encoder_secret password_encoder_old_secret password_encoder_keyfactory_algorithm
            password_encoder_cipher_algorithm password_encoder_key_length password_encoder_iterations
            sasl_mechanism_inter_broker_protocol connection_failed_authentication_delay_ms
            auto_create_topics_enable delete_topic_enable num_partitions default_replication_factor
            fetch_max_bytes max_incremental_fetch_session_cache_slots
            controller_socket_timeout_ms controlled_shutdown_enable controlled_shutdown_max_retries
            controlled_shutdown_retry_backoff_ms auto_leader_rebalance_enable
            leader_imbalance_check_interval_seconds leader_imbalance_per_broker_percentage
            unclean_leader_election_enable
            num_replica_fetchers replica_fetch_max_bytes replica_fetch_min_bytes
            replica_fetch_response_max_bytes replica_fetch_wait_max_ms replica_fetch_backoff_ms
            replica_lag_time_max_ms replica_socket_timeout_ms
            replica_high_watermark_checkpoint_interval_ms num_replica_alter_log_dirs_threads
            alter_log_dirs_replication_quota_window_num alter_log_dirs_replication_quota_window_size_seconds
            replica_alter_log_dirs_io_max_bytes_per_second
            replication_quota_window_num replication_quota_window_size_seconds
            leader_replication_throttled_rate follower_replication_throttled_rate replica_selector_class
            num_recovery_threads_per_data_dir log_flush_offset_checkpoint_interval_ms
            log_flush_start_offset_checkpoint_interval_ms log_flush_scheduler_interval_ms
            log_retention_check_interval_ms log_initial_task_delay_ms
            producer_id_expiration_ms producer_id_expiration_check_interval_ms
            log_cleaner_enable log_cleaner_threads log_cleaner_dedupe_buffer_size
            log_cleaner_io_buffer_load_factor log_cleaner_io_buffer_size
            log_cleaner_io_max_bytes_per_second log_cleaner_backoff_ms
            group_initial_rebalance_delay_ms group_min_session_timeout_ms group_max_session_timeout_ms
            group_max_size offset_metadata_max_bytes offsets_commit_timeout_ms offsets_load_buffer_size
            offsets_commit_required_acks
            offsets_retention_minutes offsets_retention_check_interval_ms
            offsets_topic_num_partitions offsets_topic_replication_factor offsets_topic_segment_bytes
            transaction_state_log_num_partitions transaction_state_log_replication_factor
            transaction_state_log_min_isr transaction_state_log_segment_bytes transaction_max_timeout_ms
            transaction_state_log_load_buffer_size transaction_partition_verification_enable
            transaction_abort_timed_out_transaction_cleanup_interval_ms
            transaction_remove_expired_transaction_cleanup_interval_ms transactional_id_expiration_ms
            barnabas_metrics_listener;
            listeners: listeners.bound,
            advertised_listeners: listeners.advertised,
            inter_broker_listener_name: listeners.inter_broker,
            control_plane_listener_name: listeners.control_plane,
            listener_configs: listener_configs,
            system_properties: SystemProperties::default(),
            log_dirs: log_dirs(reader)?,
            max_connections_per_ip_overrides: max_connections_per_ip_overrides(reader)?,
            zookeeper_max_in_flight_requests: match reader.is_set("zookeeper.max.in.flight.requests") {
                true => Some(reader.read("zookeeper.max.in.flight.requests")?),
                false => None,
            },
            zookeeper_session_timeout_ms: session_timeout,
            zookeeper_connection_timeout_ms: connection_timeout.unwrap_or(session_timeout),
            connections_max_idle_ms: u64::try_from(max_idle).unwrap_or(u64::MAX),
            offsets_topic_compression_codec: offsets_topic_compression_codec(reader)?,
            log_defaults: LogConfig::from_broker(reader)?,
            originals: originals,
        }))
    }

    /// The mechanism between brokers must be one of those that the listener offers.
    fn validate_inter_broker_mechanism(&self, reader: &Reader) -> Result<(), ConfigError> {
        let mut listeners = self.listeners.iter();
        let listener = listeners.find(|endpoint| endpoint.listener == self.inter_broker_listener_name);
        let Some(listener) = listener.filter(|endpoint| endpoint.security_protocol.has_sasl()) else {
            return Ok(());
        };
        let enabled = &self.listener_config(&listener.listener).sasl.enabled_mechanisms;
        if enabled.contains(&self.sasl_mechanism_inter_broker_protocol) {
            return Ok(());
        }
        let reason = "requirement failed: sasl.mechanism.inter.broker.protocol must be included in \
                      sasl.enabled.mechanisms when SASL is used for inter-broker communication";
        Err(reader.refuse("sasl.mechanism.inter.broker.protocol", reason))
    }

    /// Checks the rules that concern several keys.
    fn validate(&self, reader: &Reader) -> Result<(), ConfigError> {
        let id = self.broker_id;
        if self.broker_id_generation_enable && !(-1..=self.reserved_broker_max_id).contains(&id) {
            let reason = format!(
                "value must lie between -1 and reserved.broker.max.id ({}), as ids above it are generated",
                self.reserved_broker_max_id
            );
            return Err(reader.refuse("broker.id", reason));
        }
        if !self.broker_id_generation_enable && id < 0 {
            let reason = "value must be at least 0, as broker.id.generation.enable is false";
            return Err(reader.refuse("broker.id", reason));
        }
        let wait = self.replica_fetch_wait_max_ms;
        for (name, limit) in [
            ("replica.socket.timeout.ms", self.replica_socket_timeout_ms),
            ("replica.lag.time.max.ms", self.replica_lag_time_max_ms),
        ] {
            if wait > limit {
                let reason = format!("value must not be above {name} ({limit})");
                return Err(reader.refuse("replica.fetch.wait.max.ms", reason));
            }
        }
        if let Some(address) = &self.barnabas_metrics_listener {
            let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                return Err(reader.refuse("barnabas.metrics.listener", "value must be host:port"));
            }
        }
        if let Some(class) = &self.replica_selector_class
            && !REPLICA_SELECTORS.contains(&class.as_str())
        {
            let reason = format!("value must be one of {}", REPLICA_SELECTORS.join(", "));
            return Err(reader.refuse("replica.selector.class", reason));
        }
        let queued_bytes: i64 = reader.read("queued.max.request.bytes")?;
        if queued_bytes > 0 && (queued_bytes as u64) < self.socket_request_max_bytes as u64 {
            let reason = "value must not be below socket.request.max.bytes";
            return Err(reader.refuse("queued.max.request.bytes", reason));
        }
        if self.max_connections_per_ip == 0 && self.max_connections_per_ip_overrides.is_empty() {
            let reason = "requirement failed: max.connections.per.ip can be set to zero only if \
                          max.connections.per.ip.overrides property is set.";
            return Err(reader.refuse("max.connections.per.ip", reason));
        }
        self.validate_inter_broker_mechanism(reader)?;
        let delay = self.connection_failed_authentication_delay_ms;
        if delay >= self.connections_max_idle_ms {
            let reason = format!(
                "requirement failed: connection.failed.authentication.delay.ms={delay} should always be less than \
                 connections.max.idle.ms={} to prevent failed authentication responses from timing out",
                self.connections_max_idle_ms
            );
            return Err(reader.refuse("connection.failed.authentication.delay.ms", reason));
        }
        for [lower, upper] in NOT_ABOVE {
            let (low, high): (i64, i64) = (reader.read(lower)?, reader.read(upper)?);
            if low > high {
                let reason = format!("{lower} must not be above {upper} ({low}, {high})");
                return Err(ConfigError::conflict(reason));
            }
        }
        let factor = self.offsets_topic_replication_factor;
        if !(-1..=factor).contains(&self.offsets_commit_required_acks) {
            let reason = format!("value must lie between -1 and offsets.topic.replication.factor ({factor})");
            return Err(reader.refuse("offsets.commit.required.acks", reason));
        }
        let buffer: i64 = reader.read("log.cleaner.dedupe.buffer.size")?;
        let threads: i64 = reader.read("log.cleaner.threads")?;
        if threads == 0 {
            let reason = "value must be at least 1: log.cleaner.enable switches the cleaner off";
            return Err(reader.refuse("log.cleaner.threads", reason));
        }
        if buffer / threads <= 1 << 20 {
            let reason = "value must be above 1 MiB for each of log.cleaner.threads";
            return Err(reader.refuse("log.cleaner.dedupe.buffer.size", reason));
        }
        Ok(())
    }
}

/// Pairs of keys. Kafka checks these even where it does not use them.
const NOT_ABOVE: [[&str; 2]; 14] = [
    [
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ],
    [
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.heartbeat.interval.ms",
    ],
    [
        "group.consumer.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ],
    [
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
    ],
    [
        "group.consumer.min.session.timeout.ms",
        "group.consumer.session.timeout.ms",
    ],
    [
        "group.consumer.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
    ],
    [
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ],
    [
        "group.share.min.heartbeat.interval.ms",
        "group.share.heartbeat.interval.ms",
    ],
    [
        "group.share.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ],
    [
        "group.share.min.session.timeout.ms",
        "group.share.max.session.timeout.ms",
    ],
    [
        "group.share.min.session.timeout.ms",
        "group.share.session.timeout.ms",
    ],
    [
        "group.share.session.timeout.ms",
        "group.share.max.session.timeout.ms",
    ],
    [
        "group.share.min.record.lock.duration.ms",
        "group.share.record.lock.duration.ms",
    ],
    [
        "group.share.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
    ],
];

/// Joins `node.id` and `broker.id`: `node.id` is KRaft's name of the same setting. Kafka shows both if one is set, and
/// refuses different values.
fn unify_node_id(properties: &mut Properties) -> Result<(), ConfigError> {
    let number = |property: &Property| property.value.trim().parse::<i32>().ok();
    let (broker, node) = (properties.property("broker.id"), properties.property("node.id"));
    match (broker, node) {
        (Some(broker), None) => {
            let (value, origin) = (broker.value.clone(), broker.origin.clone());
            properties.insert("node.id".into(), value, origin);
        }
        (None, Some(node)) => {
            let (value, origin) = (node.value.clone(), node.origin.clone());
            properties.insert("broker.id".into(), value, origin);
        }
        (Some(broker), Some(node)) if number(broker) != number(node) => {
            let reason = format!("must be the same as broker.id ({})", broker.value);
            return Err(ConfigError::invalid("node.id", &node.value, reason).with_origin(&node.origin));
        }
        _ => {}
    }
    Ok(())
}

/// Reads `log.dirs`, or else `log.dir`; each may have several paths.
fn log_dirs(reader: &Reader) -> Result<Vec<PathBuf>, ConfigError> {
    // An empty `log.dirs` counts as set: an operator who wrote it down does not want the default directory.
    let (name, text) = match reader.read::<Option<String>>("log.dirs")? {
        Some(text) => ("log.dirs", text),
        None => ("log.dir", reader.read("log.dir")?),
    };
    let paths = text.split(',').map(str::trim).filter(|path| !path.is_empty());
    let paths: Vec<PathBuf> = paths.map(PathBuf::from).collect();
    if paths.is_empty() {
        return Err(reader.refuse(name, "at least one directory is needed"));
    }
    Ok(paths)
}

/// Reads `host:count,…`; a host may be an IPv6 address without brackets. If a host occurs twice, its last count is
/// used.
fn max_connections_per_ip_overrides(reader: &Reader) -> Result<BTreeMap<String, usize>, ConfigError> {
    let name = "max.connections.per.ip.overrides";
    let text: String = reader.read(name)?;
    let mut overrides = BTreeMap::new();
    // Java's split ignores empty pieces at the end.
    let text = text.trim_end_matches(|c: char| c == ',' || c.is_whitespace());
    for entry in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        let parsed = entry.rsplit_once(':').and_then(|(host, count)| {
            let count: i32 = count.trim().parse().ok()?;
            // Kafka accepts a negative count; it then lets no connection in.
            Some((host.trim(), usize::try_from(count).unwrap_or(0)))
        });
        let Some((host, count)) = parsed else {
            return Err(reader.refuse(name, format!("'{entry}' is not host:count")));
        };
        if !has_legal_host_characters(host) {
            return Err(reader.refuse(name, format!("'{host}' is no host")));
        }
        overrides.insert(host.to_owned(), count);
    }
    Ok(overrides)
}

/// The number of a compression type: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
fn offsets_topic_compression_codec(reader: &Reader) -> Result<i8, ConfigError> {
    let name = "offsets.topic.compression.codec";
    let codec: i32 = reader.read(name)?;
    match i8::try_from(codec) {
        Ok(codec @ 0..=4) => Ok(codec),
        _ => Err(reader.refuse(name, "value must lie between 0 and 4")),
    }
}

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

impl LogConfig {
    /// The settings that topics inherit from their broker. Milliseconds have priority over minutes, and minutes over
    /// hours.
    fn from_broker(reader: &Reader) -> Result<Self, ConfigError> {
        let in_hours = |ms: &str, hours: &str| match reader.read::<Option<i64>>(ms)? {
            Some(ms) => Ok::<i64, ConfigError>(ms),
            None => Ok(reader.read::<i64>(hours)? * HOUR_MS),
        };
        let retention_minutes: Option<i64> = reader.read("log.retention.minutes")?;
        let retention_ms = match (reader.read::<Option<i64>>("log.retention.ms")?, retention_minutes) {
            (Some(ms), _) => ms,
            (None, Some(minutes)) => minutes * MINUTE_MS,
            (None, None) => reader.read::<i64>("log.retention.hours")? * HOUR_MS,
        };
        if retention_ms == 0 {
            return Err(ConfigError::conflict(
                "log retention must be at least 1 ms, or -1 for no limit",
            ));
        }
        let flush_ms = match reader.read::<Option<i64>>("log.flush.interval.ms")? {
            Some(ms) => ms,
            None => reader.read("log.flush.scheduler.interval.ms")?,
        };
        let difference = reader.read("log.message.timestamp.difference.max.ms")?;
        let unless_unlimited = |limit: i64| if limit == i64::MAX { difference } else { limit };
        let config = read!(reader, LogConfig {
            unclean_leader_election_enable min_insync_replicas
            compression_gzip_level compression_lz4_level compression_zstd_level;
            segment_bytes: reader.read("log.segment.bytes")?,
            segment_ms: in_hours("log.roll.ms", "log.roll.hours")?,
            segment_jitter_ms: in_hours("log.roll.jitter.ms", "log.roll.jitter.hours")?,
            segment_index_bytes: reader.read("log.index.size.max.bytes")?,
            index_interval_bytes: reader.read("log.index.interval.bytes")?,
            flush_messages: reader.read("log.flush.interval.messages")?,
            flush_ms: flush_ms,
            retention_bytes: reader.read("log.retention.bytes")?,
            retention_ms: retention_ms.max(-1),
            max_message_bytes: reader.read("message.max.bytes")?,
            file_delete_delay_ms: reader.read("log.segment.delete.delay.ms")?,
            delete_retention_ms: reader.read("log.cleaner.delete.retention.ms")?,
            min_compaction_lag_ms: reader.read("log.cleaner.min.compaction.lag.ms")?,
            max_compaction_lag_ms: reader.read("log.cleaner.max.compaction.lag.ms")?,
            min_cleanable_dirty_ratio: reader.read("log.cleaner.min.cleanable.ratio")?,
            cleanup_policy: CleanupPolicy::from_list(&reader.read::<Vec<String>>("log.cleanup.policy")?),
            compression_type: CompressionType::from_name(&reader.read::<String>("compression.type")?),
            preallocate: reader.read("log.preallocate")?,
            message_timestamp_type: TimestampType::from_name(&reader.read::<String>("log.message.timestamp.type")?),
            message_timestamp_difference_max_ms: difference,
            message_timestamp_before_max_ms:
                unless_unlimited(reader.read("log.message.timestamp.before.max.ms")?),
            message_timestamp_after_max_ms:
                unless_unlimited(reader.read("log.message.timestamp.after.max.ms")?),
            message_downconversion_enable: reader.read("log.message.downconversion.enable")?,
            leader_replication_throttled_replicas: String::new(),
            follower_replication_throttled_replicas: String::new(),
        });
        config.validate()?;
        Ok(config)
    }
}

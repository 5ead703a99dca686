//! Owns the broker's configuration as typed values. Kafka 3.9: `KafkaConfig`, `AbstractKafkaConfig`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::properties::Properties;
use super::security::{ListenerConfig, Password};
use super::system_properties::SystemProperties;
use super::topic::LogConfig;
use crate::common::ids::BrokerId;

/// The security protocol of a listener; the numbers are those of UpdateMetadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum SecurityProtocol {
    /// Unencrypted, without authentication.
    Plaintext = 0,
    /// TLS.
    Ssl = 1,
    /// SASL without TLS.
    SaslPlaintext = 2,
    /// SASL within TLS.
    SaslSsl = 3,
}

impl SecurityProtocol {
    /// Finds the protocol with this name (`PLAINTEXT`, any case).
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Some(Self::Plaintext),
            "SSL" => Some(Self::Ssl),
            "SASL_PLAINTEXT" => Some(Self::SaslPlaintext),
            "SASL_SSL" => Some(Self::SaslSsl),
            _ => None,
        }
    }

    /// Whether connections are encrypted.
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether clients prove their identity by SASL.
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// The name in configurations and znodes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

/// One `LISTENER://host:port` of `listeners` or `advertised.listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name in upper case, such as `PLAINTEXT` or `INTERNAL` (fact 80).
    pub listener: String,
    /// The listener's security protocol (`listener.security.protocol.map`).
    pub security_protocol: SecurityProtocol,
    /// In `listeners`, an empty host means every interface. In `advertised.listeners` it is never empty: the machine's
    /// name replaces an empty host.
    pub host: String,
    /// The port; with 0 the operating system chooses one.
    pub port: u16,
}

impl Endpoint {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The value of `replica.selector.class` with which consumers read from a replica in their own rack (KIP-392).
pub const RACK_AWARE_REPLICA_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// The settings of one broker, read from its `server.properties`. Durations are in milliseconds and sizes in bytes,
/// unless the name says otherwise. Each field has the name of its Kafka key, with underscores in place of dots.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "every field is the Kafka key of its name, documented in config::definition"
)]
pub struct BrokerConfig {
    /// The id; with -1 the broker takes the id from meta.properties, or has ZooKeeper generate one.
    pub broker_id: BrokerId,
    pub broker_id_generation_enable: bool,
    pub reserved_broker_max_id: i32,
    pub broker_rack: Option<String>,
    pub listeners: Vec<Endpoint>,
    pub advertised_listeners: Vec<Endpoint>,
    pub inter_broker_listener_name: String,
    pub control_plane_listener_name: Option<String>,
    /// The settings of each of `listeners`, by its name.
    pub listener_configs: BTreeMap<String, Arc<ListenerConfig>>,
    pub sasl_mechanism_inter_broker_protocol: String,
    pub connection_failed_authentication_delay_ms: u64,
    /// The Java system properties of the process, which are no keys of the file.
    pub system_properties: SystemProperties,
    pub password_encoder_secret: Option<Password>,
    pub password_encoder_old_secret: Option<Password>,
    pub password_encoder_keyfactory_algorithm: Option<String>,
    pub password_encoder_cipher_algorithm: String,
    pub password_encoder_key_length: i32,
    pub password_encoder_iterations: i32,
    pub log_dirs: Vec<PathBuf>,

    pub zookeeper_connect: String,
    pub zookeeper_set_acl: bool,
    pub zookeeper_session_timeout_ms: u64,
    /// The default is `zookeeper.session.timeout.ms`.
    pub zookeeper_connection_timeout_ms: u64,
    /// `None` if the key is not set. The default of Kafka, 10 requests, would make a controller wait for round trips.
    pub zookeeper_max_in_flight_requests: Option<usize>,

    pub socket_request_max_bytes: usize,
    pub socket_send_buffer_bytes: i32,
    pub socket_receive_buffer_bytes: i32,
    pub socket_listen_backlog_size: i32,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// The limits by host; a host is a name or an address.
    pub max_connections_per_ip_overrides: BTreeMap<String, usize>,
    pub connections_max_idle_ms: u64,
    pub queued_max_requests: usize,
    pub num_network_threads: usize,
    pub num_io_threads: usize,
    pub request_timeout_ms: u64,

    pub auto_create_topics_enable: bool,
    pub delete_topic_enable: bool,
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub fetch_max_bytes: i32,
    pub max_incremental_fetch_session_cache_slots: usize,

    pub controller_socket_timeout_ms: u64,
    pub controlled_shutdown_enable: bool,
    pub controlled_shutdown_max_retries: u32,
    pub controlled_shutdown_retry_backoff_ms: u64,
    pub auto_leader_rebalance_enable: bool,
    pub leader_imbalance_check_interval_seconds: u64,
    pub leader_imbalance_per_broker_percentage: u32,
    /// Topics inherit this value; the controller also reads it directly.
    pub unclean_leader_election_enable: bool,

    pub num_replica_fetchers: usize,
    pub replica_fetch_max_bytes: i32,
    pub replica_fetch_min_bytes: i32,
    pub replica_fetch_response_max_bytes: i32,
    pub replica_fetch_wait_max_ms: u64,
    pub replica_fetch_backoff_ms: u64,
    pub replica_lag_time_max_ms: u64,
    pub replica_socket_timeout_ms: u64,
    pub replica_high_watermark_checkpoint_interval_ms: u64,
    /// The default is the number of log dirs.
    pub num_replica_alter_log_dirs_threads: Option<usize>,
    pub alter_log_dirs_replication_quota_window_num: usize,
    pub alter_log_dirs_replication_quota_window_size_seconds: u64,
    pub replica_alter_log_dirs_io_max_bytes_per_second: u64,
    pub replication_quota_window_num: usize,
    pub replication_quota_window_size_seconds: u64,
    pub leader_replication_throttled_rate: u64,
    pub follower_replication_throttled_rate: u64,
    pub replica_selector_class: Option<String>,

    pub num_recovery_threads_per_data_dir: usize,
    pub log_flush_offset_checkpoint_interval_ms: u64,
    pub log_flush_start_offset_checkpoint_interval_ms: u64,
    pub log_flush_scheduler_interval_ms: u64,
    pub log_retention_check_interval_ms: u64,
    pub log_initial_task_delay_ms: u64,
    pub producer_id_expiration_ms: i64,
    pub producer_id_expiration_check_interval_ms: u64,
    pub log_cleaner_enable: bool,
    pub log_cleaner_threads: usize,
    pub log_cleaner_dedupe_buffer_size: u64,
    pub log_cleaner_io_buffer_load_factor: f64,
    pub log_cleaner_io_buffer_size: usize,
    pub log_cleaner_io_max_bytes_per_second: f64,
    pub log_cleaner_backoff_ms: u64,
    /// The settings of a topic that has no settings of its own.
    pub log_defaults: LogConfig,

    pub group_initial_rebalance_delay_ms: u64,
    pub group_min_session_timeout_ms: i32,
    pub group_max_session_timeout_ms: i32,
    pub group_max_size: usize,
    pub offset_metadata_max_bytes: usize,
    /// -1 waits for all in-sync replicas. With a smaller number of replicas, the last commits of a group may be lost
    /// with its broker.
    pub offsets_commit_required_acks: i16,
    pub offsets_commit_timeout_ms: u64,
    pub offsets_load_buffer_size: usize,
    pub offsets_retention_minutes: u64,
    pub offsets_retention_check_interval_ms: u64,
    pub offsets_topic_compression_codec: i8,
    pub offsets_topic_num_partitions: i32,
    pub offsets_topic_replication_factor: i16,
    pub offsets_topic_segment_bytes: i32,
    pub transaction_state_log_num_partitions: i32,
    pub transaction_state_log_replication_factor: i16,
    pub transaction_state_log_min_isr: i32,
    pub transaction_state_log_segment_bytes: i32,
    pub transaction_max_timeout_ms: i32,
    pub transaction_state_log_load_buffer_size: usize,
    pub transaction_partition_verification_enable: bool,
    pub transaction_abort_timed_out_transaction_cleanup_interval_ms: u64,
    pub transaction_remove_expired_transaction_cleanup_interval_ms: u64,
    pub transactional_id_expiration_ms: i64,

    /// The `host:port` at which metrics can be scraped. Kafka does not have this key.
    pub barnabas_metrics_listener: Option<String>,

    /// The properties from which all fields were read, for DescribeConfigs.
    pub originals: Properties,
}

impl BrokerConfig {
    /// The settings of one of `listeners`.
    pub fn listener_config(&self, listener: &str) -> &Arc<ListenerConfig> {
        &self.listener_configs[listener]
    }

    /// The listener that the controller and the brokers use to send requests to each other, in both directions.
    pub fn controller_listener(&self) -> &str {
        self.control_plane_listener_name
            .as_deref()
            .unwrap_or(&self.inter_broker_listener_name)
    }
}

//! The request handlers, one file for each Kafka API. Each declares its API, versions and authorization beside its
//! code, and `dispatch` makes one table of them. Kafka 3.9: `KafkaApis`.

mod acl_kinds;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod allocate_producer_ids;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod answer;
mod api_versions;
mod authorized_operations;
mod broker_epoch;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod controlled_shutdown;
mod create_acls;
mod create_delegation_token;
mod create_partitions;
mod create_topics;
mod current_leader;
mod declaration;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_delegation_token;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_transactions;
mod describe_user_scram_credentials;
mod dispatch;
mod elect_leaders;
mod end_txn;
mod envelope;
mod expire_delegation_token;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod kafka_apis;
mod leader_and_isr;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod partition_codes;
mod produce;
mod renew_delegation_token;
#[cfg(test)]
mod replication_tests;
mod sasl_authenticate;
mod sasl_handshake;
mod stop_replica;
mod sync_group;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod txn_offset_commit;
mod update_features;
mod update_metadata;
mod write_txn_markers;

pub use dispatch::DECLARATIONS;
pub use kafka_apis::Api;

pub use crate::network::RequestContext;

//! Picks the handler of a request and makes a reply of its answer; makes one table of what the handlers declare.
//! Kafka 3.9: `KafkaApis.handle`.

use super::answer::IntoReply;
use super::declaration::Declaration;
use super::*;
use crate::network::{Reply, RequestHandler};
use crate::protocol::{ApiKey, Request};

/// Makes the table and the match from rows of an API and the file of its handler. An API without a row, a handler
/// without a declaration or one with the declaration of another does not compile.
macro_rules! handlers {
    ($($api:ident => $handler:ident;)*) => {
        /// What each handler declares, in the order of the keys.
        pub const DECLARATIONS: &[&Declaration] = &[$(&$handler::DECLARATION,)*];

        $(const _: () = $handler::DECLARATION.verify(ApiKey::$api);)*

        impl RequestHandler for Api {
            async fn handle(&self, context: &RequestContext, correlation_id: i32, request: Request) -> Reply {
                match request {
                    $(Request::$api(request) => {
                        let answer = $handler::handle(self, context, request).await;
                        answer.into_reply(context, correlation_id)
                    })*
                }
            }
        }
    };
}

handlers! {
    Produce => produce;
    Fetch => fetch;
    ListOffsets => list_offsets;
    Metadata => metadata;
    LeaderAndIsr => leader_and_isr;
    StopReplica => stop_replica;
    UpdateMetadata => update_metadata;
    ControlledShutdown => controlled_shutdown;
    OffsetCommit => offset_commit;
    OffsetFetch => offset_fetch;
    FindCoordinator => find_coordinator;
    JoinGroup => join_group;
    Heartbeat => heartbeat;
    LeaveGroup => leave_group;
    SyncGroup => sync_group;
    DescribeGroups => describe_groups;
    ListGroups => list_groups;
    SaslHandshake => sasl_handshake;
    ApiVersions => api_versions;
    CreateTopics => create_topics;
    DeleteTopics => delete_topics;
    DeleteRecords => delete_records;
    InitProducerId => init_producer_id;
    OffsetForLeaderEpoch => offset_for_leader_epoch;
    AddPartitionsToTxn => add_partitions_to_txn;
    AddOffsetsToTxn => add_offsets_to_txn;
    EndTxn => end_txn;
    WriteTxnMarkers => write_txn_markers;
    TxnOffsetCommit => txn_offset_commit;
    DescribeAcls => describe_acls;
    CreateAcls => create_acls;
    DeleteAcls => delete_acls;
    DescribeConfigs => describe_configs;
    AlterConfigs => alter_configs;
    AlterReplicaLogDirs => alter_replica_log_dirs;
    DescribeLogDirs => describe_log_dirs;
    SaslAuthenticate => sasl_authenticate;
    CreatePartitions => create_partitions;
    CreateDelegationToken => create_delegation_token;
    RenewDelegationToken => renew_delegation_token;
    ExpireDelegationToken => expire_delegation_token;
    DescribeDelegationToken => describe_delegation_token;
    DeleteGroups => delete_groups;
    ElectLeaders => elect_leaders;
    IncrementalAlterConfigs => incremental_alter_configs;
    AlterPartitionReassignments => alter_partition_reassignments;
    ListPartitionReassignments => list_partition_reassignments;
    OffsetDelete => offset_delete;
    DescribeClientQuotas => describe_client_quotas;
    AlterClientQuotas => alter_client_quotas;
    DescribeUserScramCredentials => describe_user_scram_credentials;
    AlterUserScramCredentials => alter_user_scram_credentials;
    AlterPartition => alter_partition;
    UpdateFeatures => update_features;
    Envelope => envelope;
    DescribeCluster => describe_cluster;
    DescribeProducers => describe_producers;
    DescribeTransactions => describe_transactions;
    ListTransactions => list_transactions;
    AllocateProducerIds => allocate_producer_ids;
    ConsumerGroupHeartbeat => consumer_group_heartbeat;
    ConsumerGroupDescribe => consumer_group_describe;
}

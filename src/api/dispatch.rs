//! From a request to the handler of its API and back to a reply. Kafka 3.9: `KafkaApis.handle`.

use super::produce::ProduceReply;
use super::*;
use crate::network::{Reply, RequestHandler};
use crate::protocol::codec::EncodeError;
use crate::protocol::fetch_response::FetchResponse;
use crate::protocol::{Request, Response, WireResponse};

impl RequestHandler for Api {
    async fn handle(&self, context: &RequestContext, correlation_id: i32, request: Request) -> Reply {
        let caller = Caller {
            context,
            correlation_id,
        };
        match request {
            Request::Produce(r) => match produce::handle(self, context, r).await {
                ProduceReply::Respond(response) => caller.send(&response),
                ProduceReply::Nothing => Reply::Nothing,
                ProduceReply::Close => Reply::Close,
            },
            Request::Fetch(r) => caller.send_fetch(fetch::handle(self, context, r).await),
            Request::ListOffsets(r) => caller.send(&list_offsets::handle(self, context, r).await),
            Request::OffsetForLeaderEpoch(r) => {
                caller.send(&offset_for_leader_epoch::handle(self, context, r).await)
            }
            Request::LeaderAndIsr(r) => caller.send(&leader_and_isr::handle(self, context, r).await),
            Request::StopReplica(r) => caller.send(&stop_replica::handle(self, context, r).await),
            Request::UpdateMetadata(r) => caller.send(&update_metadata::handle(self, context, r).await),
            Request::Metadata(r) => caller.send(&metadata::handle(self, context, r).await),
            Request::AlterPartition(r) => caller.send(&alter_partition::handle(self, context, r).await),
            Request::ControlledShutdown(r) => {
                caller.send(&controlled_shutdown::handle(self, context, r).await)
            }
            Request::AllocateProducerIds(r) => {
                caller.send(&allocate_producer_ids::handle(self, context, r).await)
            }
            Request::ElectLeaders(r) => caller.send(&elect_leaders::handle(self, context, r).await),
            Request::AlterPartitionReassignments(r) => {
                caller.send(&alter_partition_reassignments::handle(self, context, r).await)
            }
            Request::ListPartitionReassignments(r) => {
                caller.send(&list_partition_reassignments::handle(self, context, r).await)
            }
            Request::CreateTopics(r) => caller.send(&create_topics::handle(self, context, r).await),
            Request::DeleteTopics(r) => caller.send(&delete_topics::handle(self, context, r).await),
            Request::DeleteRecords(r) => caller.send(&delete_records::handle(self, context, r).await),
            Request::AlterReplicaLogDirs(r) => {
                caller.send(&alter_replica_log_dirs::handle(self, context, r).await)
            }
            Request::DescribeLogDirs(r) => caller.send(&describe_log_dirs::handle(self, context, r).await),
            Request::CreatePartitions(r) => caller.send(&create_partitions::handle(self, context, r).await),
            Request::DescribeConfigs(r) => caller.send(&describe_configs::handle(self, context, r).await),
            Request::AlterConfigs(r) => caller.send(&alter_configs::handle(self, context, r).await),
            Request::IncrementalAlterConfigs(r) => {
                caller.send(&incremental_alter_configs::handle(self, context, r).await)
            }
            Request::FindCoordinator(r) => caller.send(&find_coordinator::handle(self, context, r).await),
            Request::JoinGroup(r) => caller.send(&join_group::handle(self, context, r).await),
            Request::SyncGroup(r) => caller.send(&sync_group::handle(self, context, r).await),
            Request::Heartbeat(r) => caller.send(&heartbeat::handle(self, context, r).await),
            Request::LeaveGroup(r) => caller.send(&leave_group::handle(self, context, r).await),
            Request::OffsetCommit(r) => caller.send(&offset_commit::handle(self, context, r).await),
            Request::OffsetFetch(r) => caller.send(&offset_fetch::handle(self, context, r).await),
            Request::DescribeGroups(r) => caller.send(&describe_groups::handle(self, context, r).await),
            Request::ListGroups(r) => caller.send(&list_groups::handle(self, context, r).await),
            Request::DeleteGroups(r) => caller.send(&delete_groups::handle(self, context, r).await),
            Request::OffsetDelete(r) => caller.send(&offset_delete::handle(self, context, r).await),
            Request::InitProducerId(r) => caller.send(&init_producer_id::handle(self, context, r).await),
            Request::UpdateFeatures(r) => caller.send(&update_features::handle(self, context, r).await),
            Request::AddPartitionsToTxn(r) => {
                caller.send(&add_partitions_to_txn::handle(self, context, r).await)
            }
            Request::AddOffsetsToTxn(r) => caller.send(&add_offsets_to_txn::handle(self, context, r).await),
            Request::EndTxn(r) => caller.send(&end_txn::handle(self, context, r).await),
            Request::WriteTxnMarkers(r) => caller.send(&write_txn_markers::handle(self, context, r).await),
            Request::TxnOffsetCommit(r) => caller.send(&txn_offset_commit::handle(self, context, r).await),
            Request::DescribeProducers(r) => caller.send(&describe_producers::handle(self, context, r).await),
            Request::DescribeTransactions(r) => {
                caller.send(&describe_transactions::handle(self, context, r).await)
            }
            Request::ListTransactions(r) => caller.send(&list_transactions::handle(self, context, r).await),
            Request::DescribeCluster(r) => caller.send(&describe_cluster::handle(self, context, r).await),
            Request::ApiVersions(r) => {
                let (response, version) = api_versions::handle(self, context, &r);
                caller.send_in(version, &response)
            }

            Request::DescribeAcls(_) => caller.send(&switched_off::describe_acls()),
            Request::CreateAcls(r) => caller.send(&switched_off::create_acls(&r)),
            Request::DeleteAcls(r) => caller.send(&switched_off::delete_acls(&r)),
            Request::SaslHandshake(_) => caller.send(&switched_off::sasl_handshake()),
            Request::SaslAuthenticate(_) => caller.send(&switched_off::sasl_authenticate()),
            Request::CreateDelegationToken(_) => {
                caller.send(&switched_off::create_delegation_token(context.api_version))
            }
            Request::RenewDelegationToken(_) => caller.send(&switched_off::renew_delegation_token()),
            Request::ExpireDelegationToken(_) => caller.send(&switched_off::expire_delegation_token()),
            Request::DescribeDelegationToken(_) => caller.send(&switched_off::describe_delegation_token()),
            Request::ConsumerGroupHeartbeat(_) => caller.send(&switched_off::consumer_group_heartbeat()),
            Request::ConsumerGroupDescribe(r) => caller.send(&switched_off::consumer_group_describe(r)),
            // Nobody forwards where there is no KRaft controller to forward to.
            Request::Envelope(_) => Reply::Close,

            Request::DescribeClientQuotas(_) => caller.send(&planned::describe_client_quotas()),
            Request::AlterClientQuotas(r) => caller.send(&planned::alter_client_quotas(r)),
            Request::DescribeUserScramCredentials(_) => {
                caller.send(&planned::describe_user_scram_credentials())
            }
            Request::AlterUserScramCredentials(r) => caller.send(&planned::alter_user_scram_credentials(r)),
        }
    }
}

/// Who waits for the response.
struct Caller<'a> {
    context: &'a RequestContext,
    correlation_id: i32,
}

impl Caller<'_> {
    /// Writes a response in the version of the request.
    fn send<T: WireResponse>(&self, response: &T) -> Reply {
        self.send_in(self.context.api_version, response)
    }

    fn send_fetch(&self, response: FetchResponse) -> Reply {
        self.reply(response.into_response(self.context.api_version, self.correlation_id))
    }

    fn send_in<T: WireResponse>(&self, version: i16, response: &T) -> Reply {
        self.reply(Response::of(response, version, self.correlation_id))
    }

    fn reply(&self, response: Result<Response, EncodeError>) -> Reply {
        match response {
            Ok(response) => Reply::Send(response),
            Err(error) => {
                tracing::error!(peer = %self.context.peer, %error, "a response cannot be written");
                Reply::Close
            }
        }
    }
}

//! From a request to the handler of its API and back to a reply. Kafka 3.9: `KafkaApis.handle`.

use super::produce::ProduceReply;
use super::*;
use crate::network::{Reply, RequestHandler};
use crate::protocol::codec::EncodeError;
use crate::protocol::fetch_response::FetchResponse;
use crate::protocol::{Request, Response, WireResponse};

impl RequestHandler for Api {
    async fn handle(&self, context: &RequestContext, correlation_id: i32, request: Request) -> Reply {
        let to = Caller {
            context,
            correlation_id,
        };
        match request {
            Request::Produce(r) => match produce::handle(self, context, r).await {
                ProduceReply::Respond(response) => to.send(&response),
                ProduceReply::Nothing => Reply::Nothing,
                ProduceReply::Close => Reply::Close,
            },
            Request::Fetch(r) => to.send_fetch(fetch::handle(self, context, r).await),
            Request::ListOffsets(r) => to.send(&list_offsets::handle(self, context, r).await),
            Request::OffsetForLeaderEpoch(r) => {
                to.send(&offset_for_leader_epoch::handle(self, context, r).await)
            }
            Request::LeaderAndIsr(r) => to.send(&leader_and_isr::handle(self, context, r).await),
            Request::StopReplica(r) => to.send(&stop_replica::handle(self, context, r).await),
            Request::UpdateMetadata(r) => to.send(&update_metadata::handle(self, context, r).await),
            Request::Metadata(r) => to.send(&metadata::handle(self, context, r).await),
            Request::AlterPartition(r) => to.send(&alter_partition::handle(self, context, r).await),
            Request::ControlledShutdown(r) => to.send(&controlled_shutdown::handle(self, context, r).await),
            Request::AllocateProducerIds(r) => {
                to.send(&allocate_producer_ids::handle(self, context, r).await)
            }
            Request::ElectLeaders(r) => to.send(&elect_leaders::handle(self, context, r).await),
            Request::AlterPartitionReassignments(r) => {
                to.send(&alter_partition_reassignments::handle(self, context, r).await)
            }
            Request::ListPartitionReassignments(r) => {
                to.send(&list_partition_reassignments::handle(self, context, r).await)
            }
            Request::CreateTopics(r) => to.send(&create_topics::handle(self, context, r).await),
            Request::DeleteTopics(r) => to.send(&delete_topics::handle(self, context, r).await),
            Request::DeleteRecords(r) => to.send(&delete_records::handle(self, context, r).await),
            Request::AlterReplicaLogDirs(r) => {
                to.send(&alter_replica_log_dirs::handle(self, context, r).await)
            }
            Request::DescribeLogDirs(r) => to.send(&describe_log_dirs::handle(self, context, r).await),
            Request::CreatePartitions(r) => to.send(&create_partitions::handle(self, context, r).await),
            Request::DescribeConfigs(r) => to.send(&describe_configs::handle(self, context, r).await),
            Request::AlterConfigs(r) => to.send(&alter_configs::handle(self, context, r).await),
            Request::IncrementalAlterConfigs(r) => {
                to.send(&incremental_alter_configs::handle(self, context, r).await)
            }
            Request::FindCoordinator(r) => to.send(&find_coordinator::handle(self, context, r).await),
            Request::JoinGroup(r) => to.send(&join_group::handle(self, context, r).await),
            Request::SyncGroup(r) => to.send(&sync_group::handle(self, context, r).await),
            Request::Heartbeat(r) => to.send(&heartbeat::handle(self, context, r).await),
            Request::LeaveGroup(r) => to.send(&leave_group::handle(self, context, r).await),
            Request::OffsetCommit(r) => to.send(&offset_commit::handle(self, context, r).await),
            Request::OffsetFetch(r) => to.send(&offset_fetch::handle(self, context, r).await),
            Request::DescribeGroups(r) => to.send(&describe_groups::handle(self, context, r).await),
            Request::ListGroups(r) => to.send(&list_groups::handle(self, context, r).await),
            Request::DeleteGroups(r) => to.send(&delete_groups::handle(self, context, r).await),
            Request::OffsetDelete(r) => to.send(&offset_delete::handle(self, context, r).await),
            Request::InitProducerId(r) => to.send(&init_producer_id::handle(self, context, r).await),
            Request::UpdateFeatures(r) => to.send(&update_features::handle(self, context, r).await),
            Request::AddPartitionsToTxn(r) => to.send(&add_partitions_to_txn::handle(self, context, r).await),
            Request::AddOffsetsToTxn(r) => to.send(&add_offsets_to_txn::handle(self, context, r).await),
            Request::EndTxn(r) => to.send(&end_txn::handle(self, context, r).await),
            Request::WriteTxnMarkers(r) => to.send(&write_txn_markers::handle(self, context, r).await),
            Request::TxnOffsetCommit(r) => to.send(&txn_offset_commit::handle(self, context, r).await),
            Request::DescribeProducers(r) => to.send(&describe_producers::handle(self, context, r).await),
            Request::DescribeTransactions(r) => {
                to.send(&describe_transactions::handle(self, context, r).await)
            }
            Request::ListTransactions(r) => to.send(&list_transactions::handle(self, context, r).await),
            Request::DescribeCluster(r) => to.send(&describe_cluster::handle(self, context, r).await),
            Request::ApiVersions(r) => {
                let (response, version) = api_versions::handle(self, context, &r);
                to.send_in(version, &response)
            }

            Request::DescribeAcls(r) => to.send_or_close(switched_off::describe_acls(&r)),
            Request::CreateAcls(r) => to.send_or_close(switched_off::create_acls(&r)),
            Request::DeleteAcls(r) => to.send_or_close(switched_off::delete_acls(&r)),
            Request::SaslHandshake(_) => to.send(&switched_off::sasl_handshake()),
            Request::SaslAuthenticate(_) => to.send(&switched_off::sasl_authenticate()),
            Request::CreateDelegationToken(r) => {
                to.send(&switched_off::create_delegation_token(context.api_version, r))
            }
            Request::RenewDelegationToken(_) => to.send(&switched_off::renew_delegation_token()),
            Request::ExpireDelegationToken(_) => to.send(&switched_off::expire_delegation_token()),
            Request::DescribeDelegationToken(_) => to.send(&switched_off::describe_delegation_token()),
            Request::ConsumerGroupHeartbeat(_) => to.send(&switched_off::consumer_group_heartbeat()),
            Request::ConsumerGroupDescribe(r) => to.send(&switched_off::consumer_group_describe(r)),
            // Nobody forwards where there is no KRaft controller to forward to.
            Request::Envelope(_) => Reply::Close,

            Request::DescribeClientQuotas(_) => to.send(&planned::describe_client_quotas()),
            Request::AlterClientQuotas(r) => to.send(&planned::alter_client_quotas(r)),
            Request::DescribeUserScramCredentials(_) => to.send(&planned::describe_user_scram_credentials()),
            Request::AlterUserScramCredentials(r) => to.send(&planned::alter_user_scram_credentials(r)),
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

    /// Without a response the connection ends, as after a request that cannot be read.
    fn send_or_close<T: WireResponse>(&self, response: Option<T>) -> Reply {
        response.map_or(Reply::Close, |response| self.send(&response))
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

//! The APIs of a Kafka 3.9 broker with ZooKeeper: name, key and request type, and what is decoded by them.
//! Kafka 3.9: `ApiKeys`, `ApiMessageType` with listener type `zkBroker`.
//!
//! Which versions are served, and whether an API is advertised, is declared beside its handler in `api`.

use std::ops::RangeInclusive;

use bytes::Bytes;
use kafka_protocol::messages;
use kafka_protocol::protocol::{HeaderVersion as _, Message};

use super::body::{DecodeError, decode_body};

macro_rules! api_table {
    ($($api:ident($request:ident) = $key:literal;)*) => {
        /// An API by its name in Kafka's protocol guide; the discriminant is its key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i16)]
        #[allow(missing_docs, reason = "each is named as in Kafka's protocol guide")]
        pub enum ApiKey {
            $($api = $key,)*
        }

        impl ApiKey {
            /// Every API, in the order of the keys.
            #[cfg(test)]
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$api,)*];

            /// The API with this key.
            pub fn from_code(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$api),)*
                    _ => None,
                }
            }

            /// The name in Kafka's protocol guide, such as `LeaderAndIsr`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$api => stringify!($api),)*
                }
            }

            /// The versions that can be decoded, which are those of Kafka 3.9.
            pub const fn versions(self) -> RangeInclusive<i16> {
                let range = match self {
                    $(Self::$api => <messages::$request as Message>::VERSIONS,)*
                };
                range.min..=range.max
            }

            /// Version of the header that precedes a request: 2 marks the flexible versions.
            pub fn request_header_version(self, version: i16) -> i16 {
                match self {
                    $(Self::$api => messages::$request::header_version(version),)*
                }
            }
        }

        /// The body of a request.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is named as in Kafka's protocol guide")]
        pub enum Request {
            $($api(messages::$request),)*
        }

        impl Request {
            /// Decodes the whole body of a request.
            pub(super) fn decode(api: ApiKey, version: i16, body: Bytes) -> Result<Self, DecodeError> {
                let flexible = api.request_header_version(version) >= 2;
                match api {
                    $(ApiKey::$api => Ok(Self::$api(decode_body(body, version, flexible)?)),)*
                }
            }

            /// A request for the API that says nothing.
            #[cfg(test)]
            pub fn empty(api: ApiKey) -> Self {
                match api {
                    $(ApiKey::$api => Self::$api(messages::$request::default()),)*
                }
            }

            /// Which API it is for.
            #[cfg(test)]
            pub fn api(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)*
                }
            }
        }
    };
}

api_table! {
    Produce(ProduceRequest) = 0;
    Fetch(FetchRequest) = 1;
    ListOffsets(ListOffsetsRequest) = 2;
    Metadata(MetadataRequest) = 3;
    LeaderAndIsr(LeaderAndIsrRequest) = 4;
    StopReplica(StopReplicaRequest) = 5;
    UpdateMetadata(UpdateMetadataRequest) = 6;
    ControlledShutdown(ControlledShutdownRequest) = 7;
    OffsetCommit(OffsetCommitRequest) = 8;
    OffsetFetch(OffsetFetchRequest) = 9;
    FindCoordinator(FindCoordinatorRequest) = 10;
    JoinGroup(JoinGroupRequest) = 11;
    Heartbeat(HeartbeatRequest) = 12;
    LeaveGroup(LeaveGroupRequest) = 13;
    SyncGroup(SyncGroupRequest) = 14;
    DescribeGroups(DescribeGroupsRequest) = 15;
    ListGroups(ListGroupsRequest) = 16;
    SaslHandshake(SaslHandshakeRequest) = 17;
    ApiVersions(ApiVersionsRequest) = 18;
    CreateTopics(CreateTopicsRequest) = 19;
    DeleteTopics(DeleteTopicsRequest) = 20;
    DeleteRecords(DeleteRecordsRequest) = 21;
    InitProducerId(InitProducerIdRequest) = 22;
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest) = 23;
    AddPartitionsToTxn(AddPartitionsToTxnRequest) = 24;
    AddOffsetsToTxn(AddOffsetsToTxnRequest) = 25;
    EndTxn(EndTxnRequest) = 26;
    WriteTxnMarkers(WriteTxnMarkersRequest) = 27;
    TxnOffsetCommit(TxnOffsetCommitRequest) = 28;
    DescribeAcls(DescribeAclsRequest) = 29;
    CreateAcls(CreateAclsRequest) = 30;
    DeleteAcls(DeleteAclsRequest) = 31;
    DescribeConfigs(DescribeConfigsRequest) = 32;
    AlterConfigs(AlterConfigsRequest) = 33;
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest) = 34;
    DescribeLogDirs(DescribeLogDirsRequest) = 35;
    SaslAuthenticate(SaslAuthenticateRequest) = 36;
    CreatePartitions(CreatePartitionsRequest) = 37;
    CreateDelegationToken(CreateDelegationTokenRequest) = 38;
    RenewDelegationToken(RenewDelegationTokenRequest) = 39;
    ExpireDelegationToken(ExpireDelegationTokenRequest) = 40;
    DescribeDelegationToken(DescribeDelegationTokenRequest) = 41;
    DeleteGroups(DeleteGroupsRequest) = 42;
    ElectLeaders(ElectLeadersRequest) = 43;
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest) = 44;
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest) = 45;
    ListPartitionReassignments(ListPartitionReassignmentsRequest) = 46;
    OffsetDelete(OffsetDeleteRequest) = 47;
    DescribeClientQuotas(DescribeClientQuotasRequest) = 48;
    AlterClientQuotas(AlterClientQuotasRequest) = 49;
    DescribeUserScramCredentials(DescribeUserScramCredentialsRequest) = 50;
    AlterUserScramCredentials(AlterUserScramCredentialsRequest) = 51;
    AlterPartition(AlterPartitionRequest) = 56;
    UpdateFeatures(UpdateFeaturesRequest) = 57;
    Envelope(EnvelopeRequest) = 58;
    DescribeCluster(DescribeClusterRequest) = 60;
    DescribeProducers(DescribeProducersRequest) = 61;
    DescribeTransactions(DescribeTransactionsRequest) = 65;
    ListTransactions(ListTransactionsRequest) = 66;
    AllocateProducerIds(AllocateProducerIdsRequest) = 67;
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest) = 68;
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest) = 69;
}

impl ApiKey {
    /// The key on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Whether requests of this version can be decoded.
    pub fn decodes(self, version: i16) -> bool {
        self.versions().contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table against the crate.
    #[test]
    fn the_table_has_kafkas_names_and_keys() {
        for &api in ApiKey::ALL {
            let theirs = messages::ApiKey::try_from(api.code()).unwrap();
            assert_eq!(format!("{theirs:?}"), api.name());
            assert_eq!(ApiKey::from_code(api.code()), Some(api));
        }
        assert_eq!(ApiKey::ALL.len(), 62);
        assert_eq!(ApiKey::from_code(52), None);
    }
}

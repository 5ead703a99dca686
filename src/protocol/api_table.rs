//! The APIs of a Kafka 3.9 broker with ZooKeeper: key, versions, and whether they are built here.
//! Kafka 3.9: `ApiKeys`, `ApiMessageType` with listener type `zkBroker`.
//!
//! An API that is not built yet is not advertised; a request for it is still decoded and is answered with
//! UNSUPPORTED_VERSION. Setting its row to `Built` is all it takes to advertise it.

use std::ops::RangeInclusive;

use bytes::Bytes;
use kafka_protocol::messages;
use kafka_protocol::protocol::HeaderVersion as _;

use super::codec::{DecodeError, decode_body};

/// How far an API has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiState {
    /// Advertised and served.
    Built,
    /// Answered with UNSUPPORTED_VERSION.
    Planned,
}

macro_rules! api_table {
    ($($api:ident($request:ident) = $key:literal, $versions:expr, $state:ident;)*) => {
        /// An API by its name in Kafka's protocol guide; the discriminant is its key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i16)]
        #[allow(missing_docs, reason = "each is named as in Kafka's protocol guide")]
        pub enum ApiKey {
            $($api = $key,)*
        }

        impl ApiKey {
            /// Every API, in the order of the keys.
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

            /// The versions that Kafka 3.9 serves.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$api => $versions,)*
                }
            }

            /// Whether it is built yet.
            pub fn state(self) -> ApiState {
                match self {
                    $(Self::$api => ApiState::$state,)*
                }
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
    Produce(ProduceRequest) = 0, 0..=11, Built;
    Fetch(FetchRequest) = 1, 0..=17, Built;
    ListOffsets(ListOffsetsRequest) = 2, 0..=9, Built;
    Metadata(MetadataRequest) = 3, 0..=12, Built;
    LeaderAndIsr(LeaderAndIsrRequest) = 4, 0..=7, Built;
    StopReplica(StopReplicaRequest) = 5, 0..=4, Built;
    UpdateMetadata(UpdateMetadataRequest) = 6, 0..=8, Built;
    ControlledShutdown(ControlledShutdownRequest) = 7, 0..=3, Built;
    OffsetCommit(OffsetCommitRequest) = 8, 0..=9, Built;
    OffsetFetch(OffsetFetchRequest) = 9, 0..=9, Built;
    FindCoordinator(FindCoordinatorRequest) = 10, 0..=6, Built;
    JoinGroup(JoinGroupRequest) = 11, 0..=9, Built;
    Heartbeat(HeartbeatRequest) = 12, 0..=4, Built;
    LeaveGroup(LeaveGroupRequest) = 13, 0..=5, Built;
    SyncGroup(SyncGroupRequest) = 14, 0..=5, Built;
    DescribeGroups(DescribeGroupsRequest) = 15, 0..=5, Built;
    ListGroups(ListGroupsRequest) = 16, 0..=5, Built;
    SaslHandshake(SaslHandshakeRequest) = 17, 0..=1, Built;
    ApiVersions(ApiVersionsRequest) = 18, 0..=4, Built;
    CreateTopics(CreateTopicsRequest) = 19, 0..=7, Built;
    DeleteTopics(DeleteTopicsRequest) = 20, 0..=6, Built;
    DeleteRecords(DeleteRecordsRequest) = 21, 0..=2, Built;
    InitProducerId(InitProducerIdRequest) = 22, 0..=5, Built;
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest) = 23, 0..=4, Built;
    AddPartitionsToTxn(AddPartitionsToTxnRequest) = 24, 0..=5, Built;
    AddOffsetsToTxn(AddOffsetsToTxnRequest) = 25, 0..=4, Built;
    EndTxn(EndTxnRequest) = 26, 0..=4, Built;
    WriteTxnMarkers(WriteTxnMarkersRequest) = 27, 0..=1, Built;
    TxnOffsetCommit(TxnOffsetCommitRequest) = 28, 0..=4, Built;
    DescribeAcls(DescribeAclsRequest) = 29, 0..=3, Built;
    CreateAcls(CreateAclsRequest) = 30, 0..=3, Built;
    DeleteAcls(DeleteAclsRequest) = 31, 0..=3, Built;
    DescribeConfigs(DescribeConfigsRequest) = 32, 0..=4, Built;
    AlterConfigs(AlterConfigsRequest) = 33, 0..=2, Built;
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest) = 34, 0..=2, Built;
    DescribeLogDirs(DescribeLogDirsRequest) = 35, 0..=4, Built;
    SaslAuthenticate(SaslAuthenticateRequest) = 36, 0..=2, Built;
    CreatePartitions(CreatePartitionsRequest) = 37, 0..=3, Built;
    CreateDelegationToken(CreateDelegationTokenRequest) = 38, 0..=3, Built;
    RenewDelegationToken(RenewDelegationTokenRequest) = 39, 0..=2, Built;
    ExpireDelegationToken(ExpireDelegationTokenRequest) = 40, 0..=2, Built;
    DescribeDelegationToken(DescribeDelegationTokenRequest) = 41, 0..=3, Built;
    DeleteGroups(DeleteGroupsRequest) = 42, 0..=2, Built;
    ElectLeaders(ElectLeadersRequest) = 43, 0..=2, Built;
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest) = 44, 0..=1, Built;
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest) = 45, 0..=0, Built;
    ListPartitionReassignments(ListPartitionReassignmentsRequest) = 46, 0..=0, Built;
    OffsetDelete(OffsetDeleteRequest) = 47, 0..=0, Built;
    DescribeClientQuotas(DescribeClientQuotasRequest) = 48, 0..=1, Planned;
    AlterClientQuotas(AlterClientQuotasRequest) = 49, 0..=1, Planned;
    DescribeUserScramCredentials(DescribeUserScramCredentialsRequest) = 50, 0..=0, Planned;
    AlterUserScramCredentials(AlterUserScramCredentialsRequest) = 51, 0..=0, Planned;
    AlterPartition(AlterPartitionRequest) = 56, 0..=3, Built;
    UpdateFeatures(UpdateFeaturesRequest) = 57, 0..=1, Built;
    Envelope(EnvelopeRequest) = 58, 0..=0, Built;
    DescribeCluster(DescribeClusterRequest) = 60, 0..=1, Built;
    DescribeProducers(DescribeProducersRequest) = 61, 0..=0, Built;
    DescribeTransactions(DescribeTransactionsRequest) = 65, 0..=0, Built;
    ListTransactions(ListTransactionsRequest) = 66, 0..=1, Built;
    AllocateProducerIds(AllocateProducerIdsRequest) = 67, 0..=0, Built;
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest) = 68, 0..=0, Built;
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest) = 69, 0..=0, Built;
}

impl ApiKey {
    /// The key on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Whether requests of this version can be read and answered.
    pub fn serves(self, version: i16) -> bool {
        self.versions().contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table against the crate, whose ranges were checked against a running Kafka 3.9.1.
    #[test]
    fn the_table_has_kafkas_keys_and_versions() {
        for &api in ApiKey::ALL {
            let theirs = messages::ApiKey::try_from(api.code()).unwrap();
            assert_eq!(format!("{theirs:?}"), api.name());
            assert_eq!(theirs.valid_versions().min, *api.versions().start(), "{api:?}");
            assert_eq!(theirs.valid_versions().max, *api.versions().end(), "{api:?}");
            assert_eq!(ApiKey::from_code(api.code()), Some(api));
        }
        assert_eq!(ApiKey::ALL.len(), 62);
        assert_eq!(ApiKey::from_code(52), None);
    }
}

//! What a handler declares beside its code: its API, the versions that it serves, and the checks that an authorizer
//! is asked. Kafka 3.9: `ApiKeys`; the checks are in the bodies of `KafkaApis`, `AclApis` and `ConfigHelper` there.
//!
//! `dispatch` makes one table of the declarations; ApiVersions is answered from it. There is no authorizer yet. The
//! checks are data so that it can be put in front of the handlers without reading each of them again. Until then
//! they are held to what is known: a declaration that asks for an operation that its resource's type does not have
//! does not compile ([`Declaration::verify`]), and a test compares all of them with the table in `kafka-facts.md`.

use std::ops::RangeInclusive;

use crate::common::acl::{AclOperation, ResourceType};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;

/// How far an API has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiState {
    /// Advertised and served.
    Built,
    /// Not advertised. A request is decoded all the same and answered with UNSUPPORTED_VERSION.
    Planned,
}

/// What a handler declares.
#[derive(Debug)]
pub struct Declaration {
    /// The API.
    pub key: ApiKey,
    /// The versions that Kafka 3.9 serves, and this handler with it.
    pub versions: RangeInclusive<i16>,
    /// Whether it is built yet.
    pub state: ApiState,
    /// What the authorizer is asked, in this order.
    pub checks: &'static [Check],
}

/// A question to the authorizer.
#[derive(Debug)]
pub struct Check {
    /// When it is asked.
    pub when: When,
    /// Each of these rights is enough; they are asked in this order.
    pub any_of: &'static [Right],
    /// What becomes of a request without the right.
    pub refusal: Refusal,
}

/// The check of requests that only brokers send to each other.
pub const FROM_BROKERS: &[Check] = &[Check::always(
    &[Right(AclOperation::ClusterAction, Resource::Cluster)],
    Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
)];

/// The check of a member's requests to its group.
pub const FROM_MEMBERS: &[Check] = &[Check::always(
    &[Right(AclOperation::Read, Resource::Group)],
    Refusal::Request(ErrorCode::GroupAuthorizationFailed),
)];

/// An operation on resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right(pub AclOperation, pub Resource);

/// A resource by the place where its name is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The cluster, which is always named `kafka-cluster`.
    Cluster,
    /// Each topic that the request names, by name or by id.
    Topic,
    /// Each topic that the answer would name.
    AnsweredTopic,
    /// Any topic at all: the right on one of them is enough.
    AnyTopic,
    /// Each group that the request names.
    Group,
    /// Each group that the answer would name.
    AnsweredGroup,
    /// Each transactional id that the request names.
    TransactionalId,
    /// Each transactional id that the answer would name.
    AnsweredTransactionalId,
    /// The id of each delegation token that the answer would show.
    AnsweredToken,
    /// The principal that the request names as the owner.
    Owner,
    /// The owner of each delegation token that the answer would show.
    AnsweredOwner,
}

/// To which requests, or entries of a request, a check applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// To all.
    Always,
    /// To versions up to this one.
    UpToVersion(i16),
    /// To versions from this one on.
    FromVersion(i16),
    /// To records or producers of a transaction.
    Transactional,
    /// To producers without a transaction.
    NotTransactional,
    /// To a follower.
    FromFollower,
    /// To a consumer.
    FromConsumer,
    /// To a request for all topics.
    AllTopics,
    /// To a topic that does not exist and may be created.
    MissingTopic,
    /// To a topic that is named by its id.
    ById,
    /// To a key of this type.
    KeyType(i8),
    /// To the configuration of a topic.
    TopicConfigs,
    /// To every other configuration.
    OtherConfigs,
    /// To a request that asks for the operations that are allowed on the cluster.
    ClusterOperations,
    /// To a token whose owner is not the client.
    OtherOwner,
}

/// What becomes of a request without the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The answer has the error once.
    Request(ErrorCode),
    /// Each entry that is refused has the error; the others are served.
    Entry(ErrorCode),
    /// Every entry has the error.
    AllEntries(ErrorCode),
    /// The answer has the error once, and so has every entry.
    RequestAndEntries(ErrorCode),
    /// The answer does not have the entry.
    LeftOut,
    /// The answer has the entry without these details; the request is served.
    Hidden,
}

impl Declaration {
    /// An API that is advertised and served.
    pub const fn built(key: ApiKey, versions: RangeInclusive<i16>, checks: &'static [Check]) -> Self {
        Self {
            key,
            versions,
            state: ApiState::Built,
            checks,
        }
    }

    /// An API that is not built yet.
    pub const fn planned(key: ApiKey, versions: RangeInclusive<i16>, checks: &'static [Check]) -> Self {
        Self {
            key,
            versions,
            state: ApiState::Planned,
            checks,
        }
    }

    /// Fails the build if a declaration stands beside the handler of another API, if it serves what cannot be decoded
    /// or leaves out what can, or if one of its checks cannot be meant.
    pub const fn verify(&self, api: ApiKey) {
        let (key, readable) = (self.key as i16, self.key.versions());
        assert!(key == api as i16, "the declaration of another API");
        assert!(*self.versions.start() == *readable.start(), "the lowest version");
        assert!(*self.versions.end() == *readable.end(), "the highest version");
        let mut at = 0;
        while at < self.checks.len() {
            self.checks[at].verify(&self.versions);
            at += 1;
        }
    }
}

impl Check {
    /// A check for all requests.
    pub const fn always(any_of: &'static [Right], refusal: Refusal) -> Self {
        Self::when(When::Always, any_of, refusal)
    }

    /// A check for some of the requests, or of their entries.
    pub const fn when(when: When, any_of: &'static [Right], refusal: Refusal) -> Self {
        Self {
            when,
            any_of,
            refusal,
        }
    }

    const fn verify(&self, versions: &RangeInclusive<i16>) {
        if let When::UpToVersion(version) | When::FromVersion(version) = self.when {
            assert!(
                *versions.start() <= version && version <= *versions.end(),
                "a version that is not served"
            );
        }
        if let Refusal::Request(error)
        | Refusal::Entry(error)
        | Refusal::AllEntries(error)
        | Refusal::RequestAndEntries(error) = self.refusal
        {
            assert!(
                matches!(
                    error,
                    ErrorCode::TopicAuthorizationFailed
                        | ErrorCode::GroupAuthorizationFailed
                        | ErrorCode::ClusterAuthorizationFailed
                        | ErrorCode::TransactionalIdAuthorizationFailed
                        | ErrorCode::DelegationTokenAuthorizationFailed
                ),
                "no error of an authorization"
            );
        }
        assert!(!self.any_of.is_empty(), "a check asks for a right");
        let mut at = 0;
        while at < self.any_of.len() {
            let Right(operation, resource) = self.any_of[at];
            assert!(
                resource.resource_type().has(operation),
                "an operation that the resource does not have"
            );
            at += 1;
        }
    }
}

impl Resource {
    /// The type that ACLs for it have.
    pub const fn resource_type(self) -> ResourceType {
        match self {
            Self::Cluster => ResourceType::Cluster,
            Self::Topic | Self::AnsweredTopic | Self::AnyTopic => ResourceType::Topic,
            Self::Group | Self::AnsweredGroup => ResourceType::Group,
            Self::TransactionalId | Self::AnsweredTransactionalId => ResourceType::TransactionalId,
            Self::AnsweredToken => ResourceType::DelegationToken,
            Self::Owner | Self::AnsweredOwner => ResourceType::User,
        }
    }
}

//! One member of a classic group. Kafka 3.9: `MemberMetadata`.

use std::sync::Arc;

use bytes::Bytes;

/// A member's id: `<client id>-<uuid>`, or `<group.instance.id>-<uuid>` for a static member.
pub type MemberId = Arc<str>;

/// Identifies a JoinGroup or SyncGroup request that waits for its answer. Every ticket is answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A protocol that a member supports: an assignor's name, and the member's metadata for the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The assignor's name, such as `range`.
    pub name: Arc<str>,
    /// For consumers a `ConsumerProtocolSubscription`. The coordinator reads only the topics in it.
    pub metadata: Bytes,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The coordinator gives this id. It changes when a static member comes back.
    pub id: MemberId,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// The client id from the request.
    pub client_id: Arc<str>,
    /// The client's address in Java's format: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long a rebalance waits for this member.
    pub rebalance_timeout_ms: i32,
    /// How long the member may send no heartbeat.
    pub session_timeout_ms: i32,
    /// The supported protocols, in the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The leader's assignment for this member in this generation. Empty until it is known.
    pub assignment: Bytes,
    /// The member has not finished a rebalance yet. It cannot send heartbeats yet, so its JoinGroup has its own timer.
    pub is_new: bool,
    /// The JoinGroup request that waits for the end of the join phase.
    pub awaiting_join: Option<Ticket>,
    /// The SyncGroup request that waits for the leader's assignment.
    pub awaiting_sync: Option<Ticket>,
    /// When the member's session ends, in monotonic milliseconds. `None` if the session ended while one of the member's
    /// requests was waiting; a waiting request counts as a heartbeat. The answer to that request restarts the session.
    pub session_deadline_ms: Option<i64>,
}

impl Member {
    /// Whether the member has a `group.instance.id`.
    pub fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// The member's metadata for a protocol.
    pub fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|p| *p.name == *protocol)
            .map(|p| &p.metadata)
    }

    /// The first protocol in the member's order of preference that is a candidate.
    pub fn vote(&self, is_candidate: impl Fn(&str) -> bool) -> Option<&Arc<str>> {
        self.protocols
            .iter()
            .map(|p| &p.name)
            .find(|name| is_candidate(name))
    }

    /// Whether the member stays although its session ended (see `session_deadline_ms`).
    pub fn is_excused(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

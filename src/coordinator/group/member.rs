//! One member of a classic group. Kafka 3.9: `MemberMetadata`.

use std::sync::Arc;

use bytes::Bytes;

/// A member's id: `<client id>-<uuid>`, or `<group.instance.id>-<uuid>` for a static one.
pub type MemberId = Arc<str>;

/// A JoinGroup or SyncGroup request that waits for its answer. Every ticket is answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One way of assigning partitions that a member supports, with what it wants to tell the leader about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// An assignor's name, such as `range`.
    pub name: Arc<str>,
    /// For consumers a `ConsumerProtocolSubscription`; opaque to the coordinator but for its topics.
    pub metadata: Bytes,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Given by the coordinator; changes when a static member comes back.
    pub id: MemberId,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Its address as Java prints it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long the others wait for this member in a rebalance.
    pub rebalance_timeout_ms: i32,
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// What the leader assigned to it in this generation; empty before.
    pub assignment: Bytes,
    /// It has never seen the end of a rebalance: its JoinGroup is bounded by a timer of its own, because it
    /// cannot send heartbeats yet.
    pub is_new: bool,
    /// The JoinGroup request that waits for the end of the join phase.
    pub awaiting_join: Option<Ticket>,
    /// The SyncGroup request that waits for the leader's assignment.
    pub awaiting_sync: Option<Ticket>,
    /// When its session ends, monotonic milliseconds. `None` once that moment passed while one of its requests
    /// was waiting here, which is as good as a heartbeat; the answer to that request starts the session anew.
    pub session_deadline_ms: Option<i64>,
}

impl Member {
    /// Whether it has a `group.instance.id`.
    pub fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// What it says about one protocol.
    pub fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|p| *p.name == *protocol)
            .map(|p| &p.metadata)
    }

    /// The first protocol in its order of preference that `is_candidate`.
    pub fn vote(&self, is_candidate: impl Fn(&str) -> bool) -> Option<&Arc<str>> {
        self.protocols
            .iter()
            .map(|p| &p.name)
            .find(|name| is_candidate(name))
    }

    /// Whether the silence until its session's end must be excused (see `session_deadline_ms`).
    pub fn is_excused(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

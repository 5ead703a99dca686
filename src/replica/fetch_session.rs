//! Owns the broker's side of incremental fetch sessions (KIP-227): a fetcher names its partitions once and afterwards
//! only the changes; the answers also have only the changes. Kafka 3.9: `FetchSession`, `FetchManager`.
//!
//! The cache has two limits: `max.incremental.fetch.session.cache.slots`, and the number of partitions in all sessions.
//! A reader without a slot fetches without a session, which is always correct and only costs bytes.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use parking_lot::Mutex;
#[cfg(test)]
use rand::Rng as _;

use super::fetch_params::FetchPartition;
use crate::cluster::FetchPartitionData;
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicId, TopicName};
use crate::metadata::MetadataSnapshot;

/// "No session".
pub const INVALID_SESSION_ID: i32 = 0;
/// Asks for a new session.
pub const INITIAL_EPOCH: i32 = 0;
/// Asks for no session, and closes the session that the request names.
pub const FINAL_EPOCH: i32 = -1;

/// A session that is older than this may be evicted by any other session. A session that was not used for this long is
/// evicted first.
const EVICTION_MS: i64 = 120_000;
/// The maximum number of partitions in all sessions together; they take about 200 MB at most.
const MAX_CACHED_PARTITIONS: usize = 1_000_000;

/// The next epoch in a session; 1 follows the largest epoch.
pub fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MAX => 1,
        e if e < 0 => FINAL_EPOCH,
        e => e + 1,
    }
}

fn random_session_id() -> i32 {
    const IDS: RangeInclusive<i32> = 1..=i32::MAX;
    #[cfg(test)]
    if let Some(id) = crate::common::seeded::draw(|random| random.random_range(IDS)) {
        return id;
    }
    rand::random_range(IDS)
}

/// The key of a partition in a session. It uses the topic id if the fetcher uses topic ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum SessionKey {
    Id(TopicId, i32),
    Name(TopicName, i32),
}

impl SessionKey {
    fn of(topic: &TopicName, topic_id: TopicId, partition: i32) -> Self {
        if topic_id.is_nil() {
            Self::Name(topic.clone(), partition)
        } else {
            Self::Id(topic_id, partition)
        }
    }

    fn of_fetch(fetch: &FetchPartition) -> Self {
        Self::of(
            &fetch.topic_partition.topic,
            fetch.topic_id,
            fetch.topic_partition.partition,
        )
    }
}

/// A partition that a fetcher no longer wants.
#[derive(Clone, Debug)]
pub struct ForgottenPartition {
    /// The topic's name; empty if the request named the id.
    pub topic: TopicName,
    /// The topic's id; nil if the request named the name.
    pub topic_id: TopicId,
    /// Its number.
    pub partition: i32,
}

/// The part of a Fetch request that concerns its session.
pub struct SessionRequest {
    /// 0 for none.
    pub session_id: i32,
    /// See [`INITIAL_EPOCH`] and [`FINAL_EPOCH`]; otherwise one more than in the request before.
    pub epoch: i32,
    /// Whether topics are named by id (Fetch version 13 and later).
    pub uses_topic_ids: bool,
    /// Whether a replica asks: replicas may evict consumers.
    pub is_from_follower: bool,
    /// New or changed partitions. A topic id that is not known has an empty topic name.
    pub partitions: Vec<FetchPartition>,
    /// Partitions to drop.
    pub forgotten: Vec<ForgottenPartition>,
}

struct CachedPartition {
    fetch: FetchPartition,
    high_watermark: Offset,
    log_start_offset: Offset,
}

impl CachedPartition {
    /// Records the answer for this partition. Returns whether the answer must be sent.
    fn update(&mut self, data: &FetchPartitionData) -> bool {
        let changed = data.size() > 0
            || data.high_watermark != self.high_watermark
            || data.log_start_offset != self.log_start_offset
            || data.preferred_read_replica.is_some()
            || data.diverging_epoch.is_some();
        self.log_start_offset = data.log_start_offset;
        // After an error the next answer must be sent even if nothing changed: the fetcher must learn that the error is
        // over. The same holds after a diverging epoch: a follower ignores the high watermark in that answer (fact 34),
        // and would not learn it until there are more records, as with Kafka.
        self.high_watermark = if data.error.is_error() || data.diverging_epoch.is_some() {
            -1
        } else {
            data.high_watermark
        };
        changed || data.error.is_error()
    }
}

struct FetchSession {
    id: i32,
    privileged: bool,
    uses_topic_ids: bool,
    creation_ms: i64,
    last_used_ms: i64,
    /// The epoch that the next request must have.
    epoch: i32,
    /// The partitions in the order in which they are read: a partition that had data goes to the end.
    partitions: BTreeMap<u64, CachedPartition>,
    order: HashMap<SessionKey, u64>,
    next_order: u64,
}

impl FetchSession {
    fn upsert(&mut self, fetch: FetchPartition) {
        let key = SessionKey::of_fetch(&fetch);
        if let Some(cached) = self.order.get(&key).and_then(|o| self.partitions.get_mut(o)) {
            cached.fetch = fetch;
            return;
        }
        self.push(
            key,
            CachedPartition {
                fetch,
                high_watermark: -1,
                log_start_offset: -1,
            },
        );
    }

    fn push(&mut self, key: SessionKey, cached: CachedPartition) {
        self.order.insert(key, self.next_order);
        self.partitions.insert(self.next_order, cached);
        self.next_order += 1;
    }

    fn remove(&mut self, key: &SessionKey) -> Option<CachedPartition> {
        self.partitions.remove(&self.order.remove(key)?)
    }

    /// Updates the cached partition. Returns whether `data` must be sent.
    fn select(&mut self, fetch: &FetchPartition, data: &FetchPartitionData) -> bool {
        let key = SessionKey::of_fetch(fetch);
        let Some(cached) = self.order.get(&key).and_then(|o| self.partitions.get_mut(o)) else {
            return false;
        };
        let selected = cached.update(data);
        if data.size() > 0
            && let Some(cached) = self.remove(&key)
        {
            self.push(key, cached);
        }
        selected
    }
}

/// All sessions of this broker.
pub struct FetchSessionCache {
    slots: usize,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_id: HashMap<i32, FetchSession>,
    cached_partitions: usize,
}

/// The way to handle one Fetch request.
#[derive(Debug)]
pub enum FetchContext {
    /// The request wants no session, or there is no room for one.
    Sessionless(Vec<FetchPartition>),
    /// The request asks for a new session.
    Full {
        /// The partitions as the request named them.
        partitions: Vec<FetchPartition>,
        /// Whether topics are named by id (Fetch version 13 and later).
        uses_topic_ids: bool,
        /// Whether a replica asks: replicas may evict consumers.
        is_from_follower: bool,
    },
    /// The request belongs to a session.
    Incremental {
        /// The id of the session.
        session_id: i32,
        /// The epoch of the request.
        epoch: i32,
        /// All partitions of the session.
        partitions: Vec<FetchPartition>,
    },
}

impl FetchContext {
    /// All partitions that are to be read, in this order.
    pub fn partitions(&self) -> &[FetchPartition] {
        match self {
            Self::Sessionless(partitions)
            | Self::Full { partitions, .. }
            | Self::Incremental { partitions, .. } => partitions,
        }
    }
}

/// The answer: the session's id, and the indexes of the results that must be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionResponse {
    /// The id; 0 if there is no session, or no longer one.
    pub session_id: i32,
    /// Indexes into the results.
    pub selected: Vec<usize>,
}

impl FetchSessionCache {
    /// Creates a cache with this number of slots; 0 turns sessions off.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            sessions: Mutex::default(),
        }
    }

    /// How many sessions there are (metric `NumIncrementalFetchSessions`).
    pub fn sessions(&self) -> usize {
        self.sessions.lock().by_id.len()
    }

    /// How many partitions they have (metric `NumIncrementalFetchPartitionsCached`).
    pub fn cached_partitions(&self) -> usize {
        self.sessions.lock().cached_partitions
    }

    /// Finds the session of a request and updates it.
    pub fn context(
        &self,
        request: SessionRequest,
        snapshot: &MetadataSnapshot,
        now_ms: i64,
    ) -> Result<FetchContext, ErrorCode> {
        let mut sessions = self.sessions.lock();
        if matches!(request.epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            // A full request closes the session it names.
            sessions.close(request.session_id);
            let partitions = distinct(request.partitions);
            return Ok(match request.epoch {
                FINAL_EPOCH => FetchContext::Sessionless(partitions),
                _ => FetchContext::Full {
                    partitions,
                    uses_topic_ids: request.uses_topic_ids,
                    is_from_follower: request.is_from_follower,
                },
            });
        }
        let id = request.session_id;
        let session = sessions
            .by_id
            .get_mut(&id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.partitions.len();
        request
            .partitions
            .into_iter()
            .for_each(|fetch| session.upsert(fetch));
        for gone in &request.forgotten {
            session.remove(&SessionKey::of(&gone.topic, gone.topic_id, gone.partition));
        }
        session.last_used_ms = now_ms;
        session.epoch = next_epoch(session.epoch);
        let partitions = session.resolve(snapshot);
        sessions.cached_partitions = sessions.cached_partitions - before + partitions.len();
        if partitions.is_empty() {
            sessions.close(id);
            return Ok(FetchContext::Sessionless(partitions));
        }
        if sessions.cached_partitions > MAX_CACHED_PARTITIONS {
            sessions.close(id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(FetchContext::Incremental {
            session_id: id,
            epoch: request.epoch,
            partitions,
        })
    }

    /// Chooses the results that must be sent, and opens a session if the request wants one. `results` belong to the
    /// partitions of `context` and may have any order.
    pub fn respond(
        &self,
        context: FetchContext,
        results: &[(FetchPartition, FetchPartitionData)],
        now_ms: i64,
    ) -> Result<SessionResponse, ErrorCode> {
        let everything = || (0..results.len()).collect();
        match context {
            FetchContext::Sessionless(_) => Ok(SessionResponse {
                session_id: INVALID_SESSION_ID,
                selected: everything(),
            }),
            FetchContext::Full {
                uses_topic_ids,
                is_from_follower,
                ..
            } => {
                let mut sessions = self.sessions.lock();
                let session_id = sessions.open(self.slots, results, uses_topic_ids, is_from_follower, now_ms);
                Ok(SessionResponse {
                    session_id,
                    selected: everything(),
                })
            }
            FetchContext::Incremental {
                session_id, epoch, ..
            } => {
                let mut sessions = self.sessions.lock();
                let session = sessions
                    .by_id
                    .get_mut(&session_id)
                    .ok_or(ErrorCode::FetchSessionIdNotFound)?;
                // Another request has used the session meanwhile.
                if session.epoch != next_epoch(epoch) {
                    return Err(ErrorCode::InvalidFetchSessionEpoch);
                }
                let selected = results.iter().enumerate();
                let selected = selected.filter(|(_, (fetch, data))| session.select(fetch, data));
                Ok(SessionResponse {
                    session_id,
                    selected: selected.map(|(index, _)| index).collect(),
                })
            }
        }
    }
}

impl FetchSession {
    /// Returns all partitions. A topic id that was unknown when the request named it may be known now.
    fn resolve(&mut self, snapshot: &MetadataSnapshot) -> Vec<FetchPartition> {
        for cached in self.partitions.values_mut() {
            let name = &mut cached.fetch.topic_partition.topic;
            if name.is_empty()
                && let Some(known) = snapshot.topic_names.get(&cached.fetch.topic_id)
            {
                *name = known.clone();
            }
        }
        self.partitions
            .values()
            .map(|cached| cached.fetch.clone())
            .collect()
    }
}

impl Sessions {
    fn close(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.cached_partitions -= session.partitions.len();
        }
    }

    /// The id of the new session, or 0 if there is no room.
    fn open(
        &mut self,
        slots: usize,
        results: &[(FetchPartition, FetchPartitionData)],
        uses_topic_ids: bool,
        privileged: bool,
        now_ms: i64,
    ) -> i32 {
        if results.is_empty()
            || slots == 0
            || self.cached_partitions + results.len() > MAX_CACHED_PARTITIONS
            || (self.by_id.len() >= slots && !self.evict_for(privileged, results.len(), now_ms))
        {
            return INVALID_SESSION_ID;
        }
        let id = loop {
            let id = random_session_id();
            if !self.by_id.contains_key(&id) {
                break id;
            }
        };
        let mut session = FetchSession {
            id,
            privileged,
            uses_topic_ids,
            creation_ms: now_ms,
            last_used_ms: now_ms,
            epoch: next_epoch(INITIAL_EPOCH),
            partitions: BTreeMap::new(),
            order: HashMap::with_capacity(results.len()),
            next_order: 0,
        };
        for (fetch, data) in results {
            session.upsert(fetch.clone());
            session.select(fetch, data);
        }
        self.cached_partitions += session.partitions.len();
        self.by_id.insert(id, session);
        id
    }

    /// Makes room for a new session by KIP-227's rule: it evicts an idle session, else a session with a lower rank.
    /// Replicas rank above consumers; among equals, more partitions rank above fewer. A young session is evicted only
    /// if it belongs to a consumer and a replica needs its place.
    fn evict_for(&mut self, privileged: bool, size: usize, now_ms: i64) -> bool {
        let idle = |s: &&FetchSession| now_ms - s.last_used_ms > EVICTION_MS;
        let evictable =
            |s: &&FetchSession| now_ms - s.creation_ms > EVICTION_MS || (privileged && !s.privileged);
        let weight = |s: &&FetchSession| (s.privileged, s.partitions.len());
        let oldest = self.by_id.values().filter(idle).min_by_key(|s| s.last_used_ms);
        let victim = oldest.or_else(|| {
            let lightest = self.by_id.values().filter(evictable).min_by_key(weight);
            lightest.filter(|s| weight(s) < (privileged, size))
        });
        let Some(id) = victim.map(|s| s.id) else {
            return false;
        };
        self.close(id);
        true
    }
}

/// If a partition is named several times, the last entry counts, in the place of the first one.
fn distinct(partitions: Vec<FetchPartition>) -> Vec<FetchPartition> {
    let mut places = HashMap::with_capacity(partitions.len());
    let mut kept: Vec<FetchPartition> = Vec::with_capacity(partitions.len());
    for fetch in partitions {
        match places.entry(SessionKey::of_fetch(&fetch)) {
            std::collections::hash_map::Entry::Occupied(place) => kept[*place.get()] = fetch,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(fetch);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests;

//! Runs the loop of one fetcher: send a request, wait for the response, apply it, repeat. Kafka 3.9:
//! `AbstractFetcherThread`, `ReplicaFetcherThread`.
//!
//! The loop appends on the runtime's threads: an append writes to the page cache and never calls fsync.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::{Instant, sleep_until, timeout};

use super::apply::{self, ApplyError, Fetched, Progress};
use super::assignments::Assignments;
use super::context::FetcherContext;
use super::fetch_state::{PartitionFetchState, Phase};
use super::metrics::FetcherStats;
use super::requests::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, LIST_OFFSETS_VERSION, Requests, offsets_in};
use super::session::{FetchSessionHandler, Wanted};
use super::shared::Fetcher;
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicId, TopicName, TopicPartition};
use crate::config::BrokerConfig;
use crate::network::{ClientSettings, NetworkClient, NetworkError};
use crate::protocol::messages::fetch_response::PartitionData;
use crate::protocol::messages::{FetchRequest, FetchResponse};
use crate::replica::hooks::BrokerEpochSource;

/// After this time without a response, the fetcher assumes that the leader holds the request back until it has data.
const PARKED_AFTER: Duration = Duration::from_millis(20);
/// How long an idle fetcher sleeps at most.
const IDLE: Duration = Duration::from_secs(1);

/// One fetcher.
pub(super) struct FetcherThread {
    fetcher: Arc<Fetcher>,
    assignments: Arc<Assignments>,
    context: FetcherContext,
    config: Arc<BrokerConfig>,
    requests: Requests,
    client: NetworkClient,
    session: FetchSessionHandler,
    stats: FetcherStats,
    /// The names of the topics that the request asks for by id.
    topic_names: HashMap<TopicId, TopicName>,
}

/// How a request ended.
enum Exchange {
    Answered(FetchResponse),
    Failed(NetworkError),
    /// The leader held the request back while other partitions waited for a fetch.
    Abandoned,
}

/// The next action for a partition after its part of a response.
enum Next {
    Continue(Progress),
    BackOff,
    ResetOffset,
    GiveUp,
}

impl FetcherThread {
    pub(super) fn new(
        fetcher: Arc<Fetcher>,
        assignments: Arc<Assignments>,
        context: FetcherContext,
        config: Arc<BrokerConfig>,
        broker_epoch: BrokerEpochSource,
        fetcher_id: usize,
        stats: FetcherStats,
    ) -> Self {
        let client_id = format!("broker-{}-fetcher-{fetcher_id}", config.broker_id);
        let timeout = Duration::from_millis(config.replica_socket_timeout_ms);
        Self {
            client: NetworkClient::new(
                fetcher.leader.clone(),
                ClientSettings::new(&context.channels, client_id, timeout),
            ),
            fetcher,
            assignments,
            context,
            requests: Requests::new(config.clone(), broker_epoch),
            config,
            session: FetchSessionHandler::default(),
            stats,
            topic_names: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let stop = self.fetcher.stop.clone();
        let _ended = self.fetcher.ended.clone().drop_guard();
        self.succeed().await;
        tracing::debug!(leader = self.fetcher.leader.id, "fetcher started");
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.fetch_forever() => {}
        }
        self.client.close();
        tracing::debug!(leader = self.fetcher.leader.id, "fetcher stopped");
    }

    /// Waits until no other fetcher works on the logs of these partitions, then starts at the ends of the logs. A
    /// predecessor that is told to stop still applies the response that it has started to apply, and those records must
    /// not be fetched again.
    async fn succeed(&self) {
        // This wait goes on when this fetcher is stopped: its successor waits for these predecessors too.
        for predecessor in &self.fetcher.predecessors {
            predecessor.cancelled().await;
        }
        if self.fetcher.predecessors.is_empty() {
            return;
        }
        for state in self.fetcher.partitions.lock().values_mut() {
            // The next request does not ask for a partition whose state is void.
            state.begin_again();
        }
    }

    async fn fetch_forever(&mut self) {
        loop {
            // All partitions that were assigned until now are in the next request.
            let _ = self.fetcher.assigned.notified().now_or_never();
            self.truncate_to_high_watermarks();
            let wanted = self.wanted();
            if wanted.is_empty() {
                self.rest().await;
                continue;
            }
            let fetch = self.session.next(wanted);
            let (request, version) = self.requests.fetch(&self.session, &fetch);
            self.stats.requests.mark(1);
            match self.exchange(&request, version).await {
                Exchange::Answered(response) => self.process(response).await,
                Exchange::Failed(error) => {
                    tracing::warn!(%error, "fetching failed");
                    self.session.on_error();
                    let all: Vec<_> = self.fetcher.partitions.lock().keys().cloned().collect();
                    self.back_off(&all);
                }
                Exchange::Abandoned => {
                    self.client.close();
                    self.session.on_error();
                }
            }
        }
    }

    /// Sleeps until a partition is assigned or the first back-off is over.
    async fn rest(&self) {
        let delays = self
            .fetcher
            .partitions
            .lock()
            .values()
            .filter_map(|s| s.delayed_until)
            .min();
        let idle = Instant::now() + IDLE;
        tokio::select! {
            biased;
            () = self.fetcher.assigned.notified() => {}
            () = sleep_until(delays.map_or(idle, |until| until.min(idle))) => {}
        }
    }

    /// Truncates logs without epochs at the high watermark before the first fetch.
    fn truncate_to_high_watermarks(&self) {
        let truncating: Vec<_> = {
            let partitions = self.fetcher.partitions.lock();
            let truncating = partitions
                .iter()
                .filter(|(_, state)| state.phase == Phase::Truncating);
            truncating
                .map(|(name, state)| (name.clone(), state.clone()))
                .collect()
        };
        for (name, state) in truncating {
            let next = match state
                .partition
                .as_follower(state.epoch, apply::truncate_to_high_watermark)
            {
                None => continue,
                Some(Ok(progress)) => Next::Continue(progress),
                Some(Err(error)) => self.after_error(&name, &error),
            };
            self.update_fetch_state(&name, &state, next, None);
        }
    }

    /// The partitions for the next request: every partition that is ready and still follows in the epoch of its
    /// assignment.
    fn wanted(&mut self) -> BTreeMap<TopicPartition, Wanted> {
        let now = Instant::now();
        let partitions = self.fetcher.partitions.lock();
        let throttled = self.context.quotas.follower.is_exceeded();
        let is_throttled = |state: &PartitionFetchState| {
            throttled && !state.is_in_sync() && self.context.quotas.is_throttled_follower(&state.partition)
        };
        let ready = partitions
            .iter()
            .filter(|(_, state)| state.is_ready(now) && !is_throttled(state));
        let mut wanted = BTreeMap::new();
        for (name, state) in ready {
            let start = state
                .partition
                .as_follower(state.epoch, |log| log.log_start_offset());
            let Some(log_start_offset) = start else { continue };
            if let Some(id) = state.topic_id {
                self.topic_names.entry(id).or_insert_with(|| name.topic.clone());
            }
            let partition = Wanted {
                topic_id: state.topic_id,
                epoch: state.epoch,
                fetch_offset: state.fetch_offset,
                last_fetched_epoch: state.last_fetched_epoch,
                log_start_offset,
            };
            wanted.insert(name.clone(), partition);
        }
        wanted
    }

    /// Sends the request. If partitions are assigned while the leader holds the request back until it has data, the
    /// fetcher gives up the request and its connection, so that the new partitions do not wait for their first fetch.
    async fn exchange(&self, request: &FetchRequest, version: i16) -> Exchange {
        let response = self.client.send(request, version);
        tokio::pin!(response);
        let answered = |response: Result<FetchResponse, NetworkError>| match response {
            Ok(response) => Exchange::Answered(response),
            Err(error) => Exchange::Failed(error),
        };
        tokio::select! {
            biased;
            response = &mut response => return answered(response),
            () = self.fetcher.assigned.notified() => {}
        }
        match timeout(PARKED_AFTER, response).await {
            Ok(response) => answered(response),
            Err(_) => Exchange::Abandoned,
        }
    }

    async fn process(&mut self, response: FetchResponse) {
        let error = ErrorCode::from_code(response.error_code);
        let mut answered = Vec::new();
        for topic in response.responses {
            let name = match self.topic_names.get(&topic.topic_id) {
                Some(name) if !topic.topic_id.is_nil() => name.clone(),
                _ => TopicName::from(topic.topic.as_str()),
            };
            let named = |data: PartitionData| (TopicPartition::new(name.clone(), data.partition_index), data);
            answered.extend(topic.partitions.into_iter().map(named));
        }
        let names = answered.iter().map(|(name, _)| name);
        if !self.session.on_response(error, response.session_id, names) {
            tracing::info!(leader = self.fetcher.leader.id, %error, "the fetch session starts anew");
            let session_error = matches!(
                error,
                ErrorCode::None | ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch
            );
            if !session_error {
                let all: Vec<_> = self.fetcher.partitions.lock().keys().cloned().collect();
                self.back_off(&all);
            }
            return;
        }
        let mut out_of_range = Vec::new();
        for (name, data) in answered {
            let Some(wanted) = self.session.requested(&name).cloned() else {
                continue;
            };
            let state = self.fetcher.partitions.lock().get(&name).cloned();
            // If the partition was moved, re-assigned or truncated since the request, the response is stale.
            let fresh = |state: &PartitionFetchState| {
                state.epoch == wanted.epoch
                    && state.fetch_offset == wanted.fetch_offset
                    && state.phase == Phase::Fetching
            };
            let Some(state) = state.filter(fresh) else {
                continue;
            };
            let high_watermark = data.high_watermark;
            match self.apply(&name, &state, data) {
                None => {}
                Some(Next::ResetOffset) => out_of_range.push((name, state)),
                Some(next) => self.update_fetch_state(&name, &state, next, Some(high_watermark)),
            }
        }
        if !out_of_range.is_empty() {
            self.reset_offsets(out_of_range).await;
        }
    }

    /// Applies one partition's part of a response; `None` if it is stale.
    fn apply(&self, name: &TopicPartition, state: &PartitionFetchState, data: PartitionData) -> Option<Next> {
        let error = ErrorCode::from_code(data.error_code);
        let diverging = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
        let applied = match error {
            ErrorCode::None if diverging.0 >= 0 => state
                .partition
                .as_follower(state.epoch, |log| apply::truncate(log, diverging)),
            ErrorCode::None => {
                let bytes = data.records.as_ref().map_or(0, |records| records.len());
                let is_being_added = state.partition.is_adding_replica(self.context.broker_id);
                self.context.topic_metrics.replicated(bytes, is_being_added);
                self.stats.bytes.mark(bytes as u64);
                self.context.quotas.record_follower(&state.partition, bytes);
                let fetched = Fetched {
                    epoch: state.epoch,
                    fetch_offset: state.fetch_offset,
                    records: data.records.unwrap_or_default(),
                    high_watermark: data.high_watermark,
                    log_start_offset: data.log_start_offset,
                };
                state
                    .partition
                    .as_follower(state.epoch, |log| apply::append(log, fetched))
            }
            ErrorCode::OffsetOutOfRange => return Some(Next::ResetOffset),
            ErrorCode::FencedLeaderEpoch => {
                tracing::info!(partition = %name, epoch = state.epoch, "the leader is in a later epoch, awaiting the controller");
                return Some(Next::GiveUp);
            }
            error => {
                tracing::info!(partition = %name, %error, "the leader refuses to be fetched from, backing off");
                return Some(Next::BackOff);
            }
        };
        Some(match applied? {
            Ok(progress) => {
                if progress.high_watermark_moved {
                    self.context.delayed.wake_consumers(name);
                }
                if progress.is_stuck {
                    tracing::info!(partition = %name, epoch = state.epoch, "the leader's records are of a later epoch");
                    return Some(Next::BackOff);
                }
                Next::Continue(progress)
            }
            Err(error) => self.after_error(name, &error),
        })
    }

    fn after_error(&self, name: &TopicPartition, error: &ApplyError) -> Next {
        match error {
            ApplyError::Corrupt(reason) => {
                tracing::error!(partition = %name, reason, "the leader sent bad records, backing off");
                Next::BackOff
            }
            ApplyError::Storage(reason) => {
                tracing::error!(partition = %name, reason, "the log dir has failed");
                Next::GiveUp
            }
            ApplyError::Unexpected(reason) => {
                tracing::error!(partition = %name, reason, "giving the partition up until the controller speaks of it");
                Next::GiveUp
            }
        }
    }

    /// Records the progress of a partition, unless it was re-assigned meanwhile.
    fn update_fetch_state(
        &self,
        name: &TopicPartition,
        before: &PartitionFetchState,
        next: Next,
        leader_high_watermark: Option<Offset>,
    ) {
        let mut partitions = self.fetcher.partitions.lock();
        let Some(state) = partitions
            .get_mut(name)
            .filter(|state| state.epoch == before.epoch)
        else {
            return;
        };
        match next {
            Next::Continue(progress) => {
                state.fetch_offset = progress.fetch_offset;
                state.last_fetched_epoch = progress.last_fetched_epoch;
                state.phase = Phase::Fetching;
                state.delayed_until = None;
                if let Some(high_watermark) = leader_high_watermark {
                    state.lag = Some((high_watermark - progress.fetch_offset).max(0));
                }
            }
            Next::BackOff | Next::ResetOffset => state.delayed_until = Some(self.backed_off()),
            Next::GiveUp => {
                drop(partitions);
                self.assignments.fail(name, before.epoch);
            }
        }
    }

    fn back_off(&self, names: &[TopicPartition]) {
        let until = self.backed_off();
        let mut partitions = self.fetcher.partitions.lock();
        for name in names {
            if let Some(state) = partitions.get_mut(name) {
                state.delayed_until = Some(until);
            }
        }
    }

    fn backed_off(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.config.replica_fetch_backoff_ms)
    }

    /// Asks the leader for the start and end of its logs and continues from there.
    async fn reset_offsets(&self, partitions: Vec<(TopicPartition, PartitionFetchState)>) {
        let latest = self.list_offsets(&partitions, LATEST_TIMESTAMP).await;
        let earliest = self.list_offsets(&partitions, EARLIEST_TIMESTAMP).await;
        let (latest, earliest) = match (latest, earliest) {
            (Ok(latest), Ok(earliest)) => (latest, earliest),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "cannot ask the leader for its offsets, backing off");
                let names: Vec<_> = partitions.into_iter().map(|(name, _)| name).collect();
                return self.back_off(&names);
            }
        };
        for (name, state) in partitions {
            let next = match (earliest.get(&name), latest.get(&name)) {
                (Some(&start), Some(&end)) => {
                    match state
                        .partition
                        .as_follower(state.epoch, |log| apply::reset(log, start, end))
                    {
                        None => continue,
                        Some(Ok(progress)) => Next::Continue(progress),
                        Some(Err(error)) => self.after_error(&name, &error),
                    }
                }
                _ => Next::BackOff,
            };
            self.update_fetch_state(&name, &state, next, None);
        }
    }

    async fn list_offsets(
        &self,
        partitions: &[(TopicPartition, PartitionFetchState)],
        timestamp: i64,
    ) -> Result<HashMap<TopicPartition, Offset>, NetworkError> {
        let wanted = partitions.iter().map(|(name, state)| (name, state.epoch));
        let request = self.requests.list_offsets(wanted, timestamp);
        let response = self.client.send(&request, LIST_OFFSETS_VERSION).await?;
        Ok(offsets_in(&response))
    }
}

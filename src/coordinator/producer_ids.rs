//! Assigns producer ids from blocks that the controller allocates. Kafka 3.9: `RPCProducerIdManager`.
//!
//! An id is never used twice in a cluster. The controller counts blocks of 1000 in `/latest_producer_id_block`. Each
//! broker counts within its own block and drops the rest of the block when it stops. The broker requests the next block
//! when 90 % of the current one is used. Without a block, a client gets COORDINATOR_LOAD_IN_PROGRESS and retries: old
//! clients treat every other error as fatal.

use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tracing::{debug, warn};

use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, ProducerId};
use crate::config::BrokerConfig;
use crate::metadata::MetadataCache;
use crate::network::{
    BrokerAddress, ChannelBuilder, ClientSettings, NodeToControllerChannelManager, NodeToControllerError,
};
use crate::protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, BrokerId as WireBrokerId,
};
use crate::replica::hooks::BrokerEpochSource;

/// The delay before the controller is asked again after a failure.
const RETRY_BACKOFF_MS: i64 = 50;
/// The used part of a block, in percent, at which the next block is requested.
const PREFETCH_PERCENT: i64 = 90;
/// The only version of AllocateProducerIds.
const VERSIONS: RangeInclusive<i16> = 0..=0;

/// The source of blocks: the controller, or a test.
pub trait ProducerIdBlocks: Send + Sync + 'static {
    /// Allocates a block that no other broker has. Returns its first id and its number of ids.
    fn allocate(&self) -> BoxFuture<'static, Result<(ProducerId, i32), NodeToControllerError>>;
}

/// Assigns producer ids.
pub struct ProducerIdManager {
    blocks: Box<dyn ProducerIdBlocks>,
    clock: SharedClock,
    state: Mutex<State>,
    this: Weak<Self>,
}

struct State {
    /// The unused ids of the current block.
    current: Range<ProducerId>,
    /// The id of the current block at which the next block is requested.
    prefetch_at: ProducerId,
    next: Option<Range<ProducerId>>,
    is_requested: bool,
    /// No request is sent before this monotonic time.
    not_before_ms: i64,
}

impl ProducerIdManager {
    /// Creates a manager without ids. The first client makes it request a block.
    pub fn new(blocks: impl ProducerIdBlocks, clock: SharedClock) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            blocks: Box::new(blocks),
            clock,
            state: Mutex::new(State {
                current: 0..0,
                prefetch_at: 0,
                next: None,
                is_requested: false,
                not_before_ms: i64::MIN,
            }),
            this: this.clone(),
        })
    }

    /// Returns an id that is unique in the cluster. Must be called within a Tokio runtime.
    pub fn generate(&self) -> Result<ProducerId, ErrorCode> {
        let mut state = self.state.lock();
        if state.current.is_empty()
            && let Some(block) = state.next.take()
        {
            state.prefetch_at = block.start + (block.end - block.start) * PREFETCH_PERCENT / 100;
            state.current = block;
        }
        let id = state.current.next();
        let is_short = id.is_none_or(|id| id >= state.prefetch_at);
        if is_short && state.next.is_none() {
            self.request_block(&mut state);
        }
        id.ok_or(ErrorCode::CoordinatorLoadInProgress)
    }

    fn request_block(&self, state: &mut State) {
        if state.is_requested || self.clock.monotonic_ms() < state.not_before_ms {
            return;
        }
        state.is_requested = true;
        let (allocate, this) = (self.blocks.allocate(), self.this.clone());
        tokio::spawn(async move {
            let allocated = allocate.await;
            if let Some(manager) = this.upgrade() {
                manager.on_allocated(allocated);
            }
        });
    }

    fn on_allocated(&self, allocated: Result<(ProducerId, i32), NodeToControllerError>) {
        let mut state = self.state.lock();
        state.is_requested = false;
        match allocated {
            Ok((first, count)) => {
                let end = first.checked_add(i64::from(count)).unwrap_or(first);
                if first >= 0 && end > first && first >= state.current.end {
                    debug!(first, count, "got a block of producer ids");
                    state.next = Some(first..end);
                    return;
                }
                warn!(
                    first,
                    count, "the controller gave an impossible block of producer ids"
                );
            }
            Err(error) => warn!(%error, "no block of producer ids"),
        }
        state.not_before_ms = self.clock.monotonic_ms() + RETRY_BACKOFF_MS;
    }
}

/// Gets blocks from the controller with AllocateProducerIds.
pub struct ControllerBlocks {
    broker_epoch: BrokerEpochSource,
    broker_id: BrokerId,
    channel: Arc<NodeToControllerChannelManager>,
}

impl ControllerBlocks {
    /// Creates the source for this broker.
    pub fn new(
        config: &BrokerConfig,
        channels: &ChannelBuilder,
        metadata: Arc<MetadataCache>,
        broker_epoch: BrokerEpochSource,
    ) -> Self {
        let listener = config.controller_listener().to_owned();
        let controller = move || {
            let snapshot = metadata.snapshot();
            let (id, endpoint) = snapshot.controller(&listener)?;
            Some(BrokerAddress::new(id, endpoint))
        };
        let timeout = Duration::from_millis(config.controller_socket_timeout_ms);
        let settings = ClientSettings::new(channels, config.broker_id.to_string(), timeout);
        Self {
            broker_epoch,
            broker_id: config.broker_id,
            channel: Arc::new(NodeToControllerChannelManager::new(
                Box::new(controller),
                settings,
            )),
        }
    }
}

impl ProducerIdBlocks for ControllerBlocks {
    fn allocate(&self) -> BoxFuture<'static, Result<(ProducerId, i32), NodeToControllerError>> {
        let channel = self.channel.clone();
        let request = AllocateProducerIdsRequest::default()
            .with_broker_id(WireBrokerId(self.broker_id))
            .with_broker_epoch((self.broker_epoch)());
        Box::pin(async move {
            let read = |response: AllocateProducerIdsResponse| match ErrorCode::from_code(response.error_code)
            {
                ErrorCode::None => Ok((response.producer_id_start.0, response.producer_id_len)),
                error => Err(error),
            };
            channel.send(VERSIONS, |_| request, read).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::common::clock::ManualClock;

    /// Returns scripted answers in order, then NO_CONTROLLER.
    #[derive(Clone, Default)]
    struct Scripted(Arc<Mutex<VecDeque<(ProducerId, i32)>>>, Arc<Mutex<usize>>);

    impl Scripted {
        fn new(blocks: impl IntoIterator<Item = (ProducerId, i32)>) -> Self {
            Self(Arc::new(Mutex::new(blocks.into_iter().collect())), Arc::default())
        }

        fn requests(&self) -> usize {
            *self.1.lock()
        }
    }

    impl ProducerIdBlocks for Scripted {
        fn allocate(&self) -> BoxFuture<'static, Result<(ProducerId, i32), NodeToControllerError>> {
            *self.1.lock() += 1;
            let block = self
                .0
                .lock()
                .pop_front()
                .ok_or(NodeToControllerError::NoController);
            Box::pin(async move { block })
        }
    }

    async fn until_idle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    const NOT_YET: Result<ProducerId, ErrorCode> = Err(ErrorCode::CoordinatorLoadInProgress);

    #[tokio::test]
    async fn ids_follow_each_other_and_the_next_block_is_there_in_time() {
        let blocks = Scripted::new([(0, 10), (50, 10)]);
        let ids = ProducerIdManager::new(blocks.clone(), ManualClock::at(1000));
        assert_eq!(ids.generate(), NOT_YET);
        until_idle().await;
        for expected in 0..9 {
            assert_eq!(ids.generate(), Ok(expected));
            assert_eq!(blocks.requests(), 1);
        }
        assert_eq!(ids.generate(), Ok(9));
        assert_eq!(blocks.requests(), 2, "nine of ten are gone");
        until_idle().await;
        assert_eq!(ids.generate(), Ok(50));
    }

    #[tokio::test]
    async fn a_failure_is_not_repeated_at_once() {
        let (blocks, clock) = (Scripted::default(), ManualClock::at(1000));
        let ids = ProducerIdManager::new(blocks.clone(), clock.clone());
        for _ in 0..3 {
            assert_eq!(ids.generate(), NOT_YET);
            until_idle().await;
        }
        assert_eq!(blocks.requests(), 1);
        blocks.0.lock().push_back((7, 1));
        clock.advance(RETRY_BACKOFF_MS);
        assert_eq!(ids.generate(), NOT_YET);
        until_idle().await;
        assert_eq!(ids.generate(), Ok(7));
    }

    #[tokio::test]
    async fn impossible_blocks_are_refused() {
        for block in [(-1, 10), (5, 0), (5, -3), (i64::MAX, 1)] {
            let ids = ProducerIdManager::new(Scripted::new([block]), ManualClock::at(1000));
            for _ in 0..2 {
                assert_eq!(ids.generate(), NOT_YET, "{block:?}");
                until_idle().await;
            }
        }
        let backwards = Scripted::new([(100, 2), (0, 10)]);
        let ids = ProducerIdManager::new(backwards, ManualClock::at(1000));
        let _ = ids.generate();
        until_idle().await;
        assert_eq!((ids.generate(), ids.generate()), (Ok(100), Ok(101)));
        until_idle().await;
        assert_eq!(
            ids.generate(),
            NOT_YET,
            "a block below the last one would give ids twice"
        );
    }
}

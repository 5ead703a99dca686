//! Handles the requests of the API layer to the transaction coordinator, and runs its periodic tasks. Kafka 3.9:
//! `TransactionCoordinator`.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use futures::future::join_all;
use tokio::runtime::Handle;
use tracing::{debug, info, warn};

use super::marker_channel::MarkerChannel;
use super::marker_sender::MarkerSender;
use super::metadata::{ProducerIdAndEpoch, TransactionMetadata, TransactionResult, TransactionValue};
use super::state::TransactionState;
use super::state_manager::{
    Appending, PartitionCountSource, TransactionConfig, TransactionStateManager, Unwritten,
};
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, ProducerId, TopicPartition};
use crate::coordinator::coordinator_log::CoordinatorLog;
use crate::coordinator::producer_ids::ProducerIdManager;
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::ChannelBuilder;

/// The answer of DescribeTransactions for one id.
pub type DescribedTransaction = TransactionValue;

/// The filter of ListTransactions.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Empty for all producer ids.
    pub producer_ids: BTreeSet<ProducerId>,
    /// `None` for all states.
    pub states: Option<Vec<TransactionState>>,
    /// Selects only transactions that began longer ago than this. Negative for all.
    pub duration_ms: i64,
}

/// One id in the answer of ListTransactions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields of ListTransactionsResponse.TransactionState"
)]
pub struct ListedTransaction {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub state: TransactionState,
}

/// All transactional ids whose partition of `__transaction_state` this broker leads.
pub struct TransactionCoordinator {
    states: Arc<TransactionStateManager>,
    markers: Arc<MarkerChannel>,
    producer_ids: Arc<ProducerIdManager>,
    runtime: Handle,
    this: Weak<Self>,
}

impl TransactionCoordinator {
    /// Creates a coordinator that owns no partition and refuses every request until `start`. `partition_count` is the
    /// number of partitions of `__transaction_state`, or `transaction.state.log.num.partitions` if the topic does not
    /// exist yet, and a source for the number later. Must be called within a Tokio runtime.
    #[allow(clippy::too_many_arguments, reason = "each is another neighbour")]
    pub fn new(
        config: TransactionConfig,
        partition_count: (i32, PartitionCountSource),
        log: Arc<dyn CoordinatorLog>,
        clock: SharedClock,
        metadata: Arc<MetadataCache>,
        channels: &ChannelBuilder,
        producer_ids: Arc<ProducerIdManager>,
        sender: Box<dyn MarkerSender>,
        metrics: &Registry,
    ) -> Arc<Self> {
        let states = Arc::new(TransactionStateManager::new(
            config,
            partition_count,
            log,
            clock,
            metrics,
        ));
        let markers = MarkerChannel::new(
            states.clone(),
            metadata,
            channels,
            sender,
            super::metrics::retries(metrics),
        );
        super::metrics::register(&markers, metrics);
        Arc::new_cyclic(|this| Self {
            markers,
            states,
            producer_ids,
            runtime: Handle::current(),
            this: this.clone(),
        })
    }

    /// Starts to serve requests, abort transactions that take too long and expire ids.
    pub fn start(&self) {
        self.states.is_active.store(true, Ordering::SeqCst);
        let config = &self.states.config;
        self.every(config.abort_timed_out_interval, |coordinator| async move {
            coordinator.abort_timed_out().await;
        });
        self.every(config.remove_expired_interval, |coordinator| async move {
            coordinator.states.remove_expired().await;
        });
    }

    fn every<F: Future<Output = ()> + Send>(
        &self,
        interval: std::time::Duration,
        work: impl Fn(Arc<Self>) -> F + Send + 'static,
    ) {
        let (this, stop) = (self.this.clone(), self.states.stop.clone());
        self.runtime.spawn(async move {
            let run = async move {
                loop {
                    tokio::time::sleep(interval).await;
                    let Some(coordinator) = this.upgrade() else { return };
                    work(coordinator).await;
                }
            };
            stop.run_until_cancelled(run).await;
        });
    }

    /// Refuses every later request with COORDINATOR_NOT_AVAILABLE. Sends no more markers; the next coordinator sends
    /// them.
    pub fn shutdown(&self) {
        self.states.is_active.store(false, Ordering::SeqCst);
        self.states.stop.cancel();
    }

    /// The partition of `__transaction_state` that an id belongs to.
    pub fn partition_for(&self, transactional_id: &str) -> i32 {
        self.states.partition_for(transactional_id)
    }

    /// The channel that sends the markers.
    #[cfg(test)]
    pub fn markers(&self) -> &MarkerChannel {
        &self.markers
    }

    /// This broker became leader of a partition of `__transaction_state` in this epoch.
    pub fn on_election(&self, partition: i32, epoch: LeaderEpoch) {
        let Some(load) = self.states.partitions.begin_load(partition, epoch) else {
            return;
        };
        let (states, markers) = (self.states.clone(), self.markers.clone());
        self.runtime.spawn(async move {
            for transaction in states.load_in_turn(load).await {
                let id = transaction.id();
                if let Err(error) = markers.complete(transaction) {
                    debug!(transactional_id = %id, %error, "a loaded transaction is ended elsewhere");
                }
            }
        });
    }

    /// This broker no longer leads a partition of `__transaction_state`. `epoch` is `None` if the controller sent none.
    pub fn on_resignation(&self, partition: i32, epoch: Option<LeaderEpoch>) {
        self.states.unload(partition, epoch);
    }

    /// Whether a partition is being loaded.
    pub fn is_loading(&self) -> bool {
        self.states.is_loading()
    }

    /// Handles InitProducerId. Without a transactional id, returns a new producer id. With one, returns an epoch that
    /// fences every earlier producer; while the open transaction of an earlier producer is being ended, returns
    /// CONCURRENT_TRANSACTIONS.
    pub async fn init_producer_id(
        &self,
        transactional_id: Option<&str>,
        timeout_ms: i32,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let Some(transactional_id) = transactional_id else {
            let id = self.producer_ids.generate()?;
            return Ok(ProducerIdAndEpoch { id, epoch: 0 });
        };
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if !(1..=self.states.config.max_timeout_ms).contains(&timeout_ms) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        if self.states.find(transactional_id)?.is_none() {
            let (id, now_ms) = (self.producer_ids.generate()?, self.states.clock.wall_ms());
            let metadata = TransactionMetadata::new(transactional_id.into(), id, timeout_ms, now_ms);
            self.states.insert_if_absent(metadata)?;
        }
        let begun = self.states.begin(transactional_id, |transaction, now_ms| {
            let new_producer_id = || self.producer_ids.generate();
            transaction
                .init_producer_id(timeout_ms, expected, now_ms, new_producer_id)
                .map(Some)
        })?;
        let Some(appending) = begun else {
            return Err(ErrorCode::UnknownServerError);
        };
        let value = &appending.transition().value;
        let (state, producer) = (value.state, value.producer);
        if state == TransactionState::PrepareAbort {
            info!(
                transactional_id,
                "aborting the transaction of an earlier producer"
            );
            self.write_end(appending).await?;
            return Err(ErrorCode::ConcurrentTransactions);
        }
        self.write(appending).await?;
        info!(
            transactional_id,
            producer_id = producer.id,
            producer_epoch = producer.epoch,
            "initialized a producer"
        );
        Ok(producer)
    }

    /// Handles AddPartitionsToTxn and AddOffsetsToTxn.
    pub async fn add_partitions(
        &self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: BTreeSet<TopicPartition>,
    ) -> Result<(), ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let begun = self.states.begin(transactional_id, |transaction, now_ms| {
            transaction.add_partitions(producer, partitions, now_ms)
        })?;
        match begun {
            Some(appending) => self.write(appending).await,
            None => Ok(()),
        }
    }

    /// Handles AddPartitionsToTxn that only verifies. Returns an error code for each partition, or one error for all.
    pub fn verify_partitions(
        &self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let found = self.states.find(transactional_id)?;
        let transaction = found.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let cell = transaction.cell.lock();
        cell.verify_partitions(producer, partitions)
    }

    /// Handles EndTxn. Returns when the decision is replicated. The markers are sent after that.
    pub async fn end(
        &self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        result: TransactionResult,
    ) -> Result<(), ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let begun = self.states.begin(transactional_id, |transaction, now_ms| {
            transaction.end(producer, result, now_ms)
        })?;
        match begun {
            Some(appending) => self.write_end(appending).await,
            None => Ok(()),
        }
    }

    /// Handles DescribeTransactions for one id.
    pub fn describe(&self, transactional_id: &str) -> Result<DescribedTransaction, ErrorCode> {
        if !self.states.is_active.load(Ordering::SeqCst) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let found = self.states.find(transactional_id)?;
        let transaction = found.ok_or(ErrorCode::TransactionalIdNotFound)?;
        let cell = transaction.cell.lock();
        match cell.is_dying() {
            true => Err(ErrorCode::TransactionalIdNotFound),
            false => Ok(cell.value().clone()),
        }
    }

    /// Handles ListTransactions for all partitions that this broker leads.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<ListedTransaction>, ErrorCode> {
        if !self.states.is_active.load(Ordering::SeqCst) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if self.is_loading() {
            return Err(ErrorCode::CoordinatorLoadInProgress);
        }
        let now_ms = self.states.clock.wall_ms();
        let listed = self.states.transactions().into_iter().filter_map(|transaction| {
            let cell = transaction.cell.lock();
            let value = cell.value();
            let is_wanted = !cell.is_dying()
                && (filter.producer_ids.is_empty() || filter.producer_ids.contains(&value.producer.id))
                && filter
                    .states
                    .as_ref()
                    .is_none_or(|states| states.contains(&value.state))
                && (filter.duration_ms < 0 || now_ms - value.start_ms > filter.duration_ms);
            is_wanted.then(|| ListedTransaction {
                transactional_id: cell.transactional_id().clone(),
                producer_id: value.producer.id,
                state: value.state,
            })
        });
        Ok(listed.collect())
    }

    /// Aborts every transaction that has been open for longer than its timeout.
    pub async fn abort_timed_out(&self) {
        let timed_out = self.states.timed_out().into_iter();
        join_all(timed_out.map(|id| self.abort_if_timed_out(id))).await;
    }

    async fn abort_if_timed_out(&self, transactional_id: Arc<str>) {
        // Check again under the lock: the transaction may have ended since.
        let begun = self.states.begin(&transactional_id, |transaction, now_ms| {
            match transaction.is_timed_out(now_ms) {
                true => transaction.fence_and_abort(now_ms).map(Some),
                false => Ok(None),
            }
        });
        let ended = match begun {
            Ok(Some(appending)) => self.write_end(appending).await,
            Ok(None) => return,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => info!(%transactional_id, "aborted a transaction that took too long"),
            Err(error) => warn!(%transactional_id, %error, "cannot abort a transaction that takes too long"),
        }
    }

    /// Waits for a transition in its own task. Even if the client's request is dropped, the transition is in the log
    /// and must be applied.
    async fn write(&self, appending: Appending) -> Result<(), ErrorCode> {
        let states = self.states.clone();
        let written = self.runtime.spawn(async move {
            let finished = states.finish(appending).await;
            finished.map(drop).map_err(Unwritten::give_up)
        });
        written.await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }

    /// Waits for the decision to end a transaction, then sends the markers.
    async fn write_end(&self, appending: Appending) -> Result<(), ErrorCode> {
        let (states, markers) = (self.states.clone(), self.markers.clone());
        let written = self.runtime.spawn(async move {
            let transaction = states.finish(appending).await.map_err(Unwritten::give_up)?;
            markers.complete(transaction)
        });
        written.await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }
}

#[cfg(test)]
mod tests;

//! Owns one ordered queue and one connection for each broker. Kafka 3.9: `InterBrokerSendThread`, `RequestSendThread`.
//!
//! At most one request to a broker is in flight. New items wait in the queue of that broker. The owner's
//! [`InterBrokerRequests`] decides how much of the queue the next request takes, and handles the response.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::client::{BrokerAddress, ClientSettings, NetworkClient};
use crate::common::ids::BrokerId;

/// The requests of one owner.
pub trait InterBrokerRequests: Send + Sync + 'static {
    /// The queue of one broker.
    type Queue: Default + Send + 'static;
    /// The content of one request.
    type Batch: Send;

    /// Takes the content of the next request out of the queue. `None` if the queue is empty. The queue is locked.
    fn next(queue: &mut Self::Queue) -> Option<Self::Batch>;

    /// Sends a request, retries it if needed, and handles its response. The next request waits until this one has
    /// ended.
    fn exchange(
        self: Arc<Self>,
        client: Arc<NetworkClient>,
        batch: Self::Batch,
    ) -> impl Future<Output = ()> + Send;
}

/// The queues and connections to all brokers. Dropping it ends the requests.
pub struct InterBrokerSendThread<R: InterBrokerRequests> {
    settings: ClientSettings,
    brokers: Mutex<HashMap<BrokerId, SharedDestination<R>>>,
}

/// A destination, shared with its sending task.
type SharedDestination<R> = Arc<Mutex<Destination<<R as InterBrokerRequests>::Queue>>>;

/// One broker as a destination.
struct Destination<Q> {
    client: Arc<NetworkClient>,
    queue: Q,
    /// The sending task, while the queue has something to send.
    sender: Option<AbortHandle>,
}

impl<R: InterBrokerRequests> InterBrokerSendThread<R> {
    /// Creates the send thread with empty queues.
    pub fn new(settings: ClientSettings) -> Self {
        Self {
            settings,
            brokers: Mutex::default(),
        }
    }

    /// Adds an item to the queue of a broker. If the broker's address has changed, the next request goes to the new
    /// address. Must be called within a Tokio runtime.
    pub fn enqueue(&self, requests: &Arc<R>, address: BrokerAddress, add: impl FnOnce(&mut R::Queue)) {
        let mut brokers = self.brokers.lock();
        let destination = brokers.entry(address.id).or_insert_with(|| {
            Arc::new(Mutex::new(Destination {
                client: self.connection(address.clone()),
                queue: R::Queue::default(),
                sender: None,
            }))
        });
        let mut locked = destination.lock();
        if *locked.client.address() != address {
            locked.client = self.connection(address);
        }
        add(&mut locked.queue);
        if locked.sender.is_none() {
            let sending = send_while_queued(requests.clone(), destination.clone());
            locked.sender = Some(tokio::spawn(sending).abort_handle());
        }
    }

    /// Drops the queue of a broker and cancels the request in flight.
    pub fn remove(&self, broker: BrokerId) {
        if let Some(destination) = self.brokers.lock().remove(&broker) {
            destination.lock().abort();
        }
    }

    fn connection(&self, address: BrokerAddress) -> Arc<NetworkClient> {
        Arc::new(NetworkClient::new(address, self.settings.clone()))
    }
}

impl<R: InterBrokerRequests> Drop for InterBrokerSendThread<R> {
    fn drop(&mut self) {
        for destination in self.brokers.get_mut().values() {
            destination.lock().abort();
        }
    }
}

impl<Q> Destination<Q> {
    fn abort(&self) {
        if let Some(sender) = &self.sender {
            sender.abort();
        }
    }
}

async fn send_while_queued<R: InterBrokerRequests>(requests: Arc<R>, destination: SharedDestination<R>) {
    loop {
        let (client, batch) = {
            let mut destination = destination.lock();
            let Some(batch) = R::next(&mut destination.queue) else {
                destination.sender = None;
                return;
            };
            (destination.client.clone(), batch)
        };
        requests.clone().exchange(client, batch).await;
    }
}

#[cfg(test)]
mod tests;

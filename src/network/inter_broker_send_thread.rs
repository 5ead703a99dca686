//! One ordered queue and one connection to each broker. Kafka 3.9: `InterBrokerSendThread`, `RequestSendThread`.
//!
//! At most one request is under way to a broker. What comes meanwhile waits in the queue of that broker. The owner's
//! [`InterBrokerRequests`] say how much of the queue the next request takes and what follows from its response.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::client::{BrokerAddress, ClientSettings, NetworkClient};
use crate::common::ids::BrokerId;

/// The requests of one owner.
pub trait InterBrokerRequests: Send + Sync + 'static {
    /// What waits for one broker.
    type Queue: Default + Send + 'static;
    /// What one request carries.
    type Batch: Send;

    /// Takes what the next request carries out of the queue; `None` if nothing waits. The queue is locked.
    fn next(queue: &mut Self::Queue) -> Option<Self::Batch>;

    /// Sends a request, again if need be, and carries out what its response says. The next request waits for the end of
    /// this one.
    fn exchange(
        self: Arc<Self>,
        client: Arc<NetworkClient>,
        batch: Self::Batch,
    ) -> impl Future<Output = ()> + Send;
}

/// The queues and connections to all brokers. Requests end when it is dropped.
pub struct InterBrokerSendThread<R: InterBrokerRequests> {
    settings: ClientSettings,
    brokers: Mutex<HashMap<BrokerId, SharedDestination<R>>>,
}

/// A destination, which its sending task shares.
type SharedDestination<R> = Arc<Mutex<Destination<<R as InterBrokerRequests>::Queue>>>;

/// One broker.
struct Destination<Q> {
    client: Arc<NetworkClient>,
    queue: Q,
    /// The task that sends, while there is something to send.
    sender: Option<AbortHandle>,
}

impl<R: InterBrokerRequests> InterBrokerSendThread<R> {
    /// Nothing waits yet.
    pub fn new(settings: ClientSettings) -> Self {
        Self {
            settings,
            brokers: Mutex::default(),
        }
    }

    /// Adds something to the queue of a broker. A broker that is at another address now gets the next request there. Must
    /// be called within a runtime.
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

    /// Drops what waits for a broker and gives up the request that is under way.
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

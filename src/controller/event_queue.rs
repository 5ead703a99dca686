//! The queue of the controller's events. Kafka 3.9: the queue of `ControllerEventManager`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::event::ControllerEvent;

/// The queued events, first in, first out.
///
/// The sources of events bound the queue: a watch fires once for each read that set it, a broker has one control
/// request in flight, and a connection one API request.
#[derive(Clone, Default)]
pub struct EventQueue {
    inner: Arc<Inner>,
}

struct Queued {
    event: ControllerEvent,
    since: Instant,
}

impl Queued {
    fn now(event: ControllerEvent) -> Self {
        let since = Instant::now();
        Self { event, since }
    }
}

#[derive(Default)]
struct Inner {
    events: Mutex<VecDeque<Queued>>,
    ready: Notify,
}

impl EventQueue {
    /// Adds an event at the end.
    pub fn put(&self, event: ControllerEvent) {
        self.inner.events.lock().push_back(Queued::now(event));
        self.inner.ready.notify_one();
    }

    /// Drops all queued events without a reply and adds an event.
    pub fn clear_and_put(&self, event: ControllerEvent) {
        let dropped = std::mem::replace(
            &mut *self.inner.events.lock(),
            VecDeque::from([Queued::now(event)]),
        );
        self.inner.ready.notify_one();
        drop(dropped);
    }

    /// Adds an event after a delay.
    pub fn put_after(&self, delay: Duration, event: ControllerEvent) {
        let queue = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            queue.put(event);
        });
    }

    /// Drops all queued events without a reply.
    pub fn clear(&self) {
        let dropped = std::mem::take(&mut *self.inner.events.lock());
        drop(dropped);
    }

    /// The number of queued events.
    pub fn len(&self) -> usize {
        self.inner.events.lock().len()
    }

    /// Whether no event is queued.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the next event and returns it with its time in the queue. For one consumer.
    pub async fn next(&self) -> (ControllerEvent, Duration) {
        loop {
            let queued = self.inner.events.lock().pop_front();
            match queued {
                Some(queued) => return (queued.event, queued.since.elapsed()),
                None => self.inner.ready.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_expiry_of_a_session_drops_all_queued_events() {
        let queue = EventQueue::default();
        let (reply, answer) = tokio::sync::oneshot::channel();
        queue.put(ControllerEvent::ControlledShutdown {
            broker: 1,
            epoch: 1,
            reply,
        });
        queue.put(ControllerEvent::BrokerChange);
        queue.clear_and_put(ControllerEvent::Expire);
        assert!(answer.await.is_err());
        assert!(matches!(queue.next().await.0, ControllerEvent::Expire));
        assert!(queue.is_empty());
    }
}

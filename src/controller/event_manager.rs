//! One queue of events and the two tasks at its ends: one turns ZooKeeper's watches into events, the other carries
//! the events out, one after the other. Kafka 3.9: `ControllerEventManager`, `ControllerEventThread`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::event::ControllerEvent;
use super::kafka_controller::Controller;
use crate::zk::{WatchEvent, WatchKind, paths};

/// The events that wait, first in, first out.
///
/// Bounded by who puts them in: a watch fires once for each read that armed it, a broker has one control request in
/// flight, and a connection one API request.
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
    /// Puts an event behind all others.
    pub fn put(&self, event: ControllerEvent) {
        self.inner.events.lock().push_back(Queued::now(event));
        self.inner.ready.notify_one();
    }

    /// Puts an event in the place of all others, which are dropped unanswered.
    pub fn clear_and_put(&self, event: ControllerEvent) {
        let dropped = std::mem::replace(
            &mut *self.inner.events.lock(),
            VecDeque::from([Queued::now(event)]),
        );
        self.inner.ready.notify_one();
        drop(dropped);
    }

    /// Puts an event in after a while.
    pub fn put_after(&self, delay: Duration, event: ControllerEvent) {
        let queue = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            queue.put(event);
        });
    }

    /// Drops everything that waits, unanswered.
    pub fn clear(&self) {
        let dropped = std::mem::take(&mut *self.inner.events.lock());
        drop(dropped);
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.inner.events.lock().len()
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the next event, and says how long it has waited. For one consumer.
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

/// Carries out events until `shutdown`, then gives up whatever is under way and resigns.
pub(super) async fn run(mut controller: Controller, queue: EventQueue, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = async {
                let (event, waited) = queue.next().await;
                controller.process(event, waited).await;
            } => {}
        }
    }
    controller.resign();
    queue.clear();
}

/// Turns watches into events until `shutdown` or until the store is gone.
pub(super) async fn translate_watches(
    mut watches: mpsc::UnboundedReceiver<WatchEvent>,
    queue: EventQueue,
    shutdown: CancellationToken,
) {
    loop {
        let watch = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            watch = watches.recv() => watch,
        };
        match watch {
            None => return,
            // What was asked of the old session is void, also what somebody waits for (fact 28).
            Some(WatchEvent {
                kind: WatchKind::SessionExpired,
                ..
            }) => {
                queue.clear_and_put(ControllerEvent::Expire);
            }
            Some(watch) => {
                if let Some(event) = event_of(&watch) {
                    queue.put(event);
                }
            }
        }
    }
}

/// What a watch means to the controller; `None` if nothing.
fn event_of(watch: &WatchEvent) -> Option<ControllerEvent> {
    use ControllerEvent as E;
    use WatchKind as K;
    Some(match (watch.kind, &*watch.path) {
        (K::SessionEstablished, _) => E::RegisterBrokerAndReelect,
        (K::NodeCreated | K::NodeDataChanged, paths::CONTROLLER) => E::ControllerChange,
        (K::NodeDeleted, paths::CONTROLLER | paths::MIGRATION) => E::Reelect,
        (K::NodeChildrenChanged, paths::BROKER_IDS) => E::BrokerChange,
        (K::NodeChildrenChanged, paths::TOPICS) => E::TopicChange,
        (K::NodeChildrenChanged, paths::DELETE_TOPICS) => E::TopicDeletion,
        (K::NodeChildrenChanged, paths::ISR_CHANGE_NOTIFICATION) => E::IsrChangeNotification,
        (K::NodeChildrenChanged, paths::LOG_DIR_EVENT_NOTIFICATION) => E::LogDirEventNotification,
        (K::NodeCreated, paths::REASSIGN_PARTITIONS) => E::ZnodeReassignment,
        (K::NodeCreated, paths::PREFERRED_REPLICA_ELECTION) => E::ZnodePreferredElection,
        (K::NodeDataChanged, path) => {
            match (child_of(path, paths::BROKER_IDS), child_of(path, paths::TOPICS)) {
                (Some(id), _) => E::BrokerModification(id.parse().ok()?),
                (_, Some(topic)) => E::PartitionModification(topic.into()),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// The name of a direct child.
fn child_of<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    path.strip_prefix(parent)?
        .strip_prefix('/')
        .filter(|name| !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: WatchKind, path: &str) -> String {
        let watch = WatchEvent {
            path: path.to_owned(),
            kind,
        };
        format!("{:?}", event_of(&watch))
    }

    #[test]
    fn watches_become_events() {
        use WatchKind::*;
        assert_eq!(event(NodeDeleted, "/controller"), "Some(Reelect)");
        assert_eq!(event(NodeCreated, "/controller"), "Some(ControllerChange)");
        assert_eq!(event(NodeChildrenChanged, "/brokers/ids"), "Some(BrokerChange)");
        assert_eq!(
            event(NodeDataChanged, "/brokers/ids/7"),
            "Some(BrokerModification(7))"
        );
        assert_eq!(event(NodeDeleted, "/brokers/ids/7"), "None");
        assert_eq!(
            event(NodeDataChanged, "/brokers/topics/t"),
            "Some(PartitionModification(\"t\"))"
        );
        assert_eq!(
            event(NodeDataChanged, "/brokers/topics/t/partitions/0/state"),
            "None"
        );
        assert_eq!(event(NodeCreated, "/brokers/topics/t"), "None");
        assert_eq!(event(NodeDeleted, "/admin/reassign_partitions"), "None");
        assert_eq!(event(SessionEstablished, ""), "Some(RegisterBrokerAndReelect)");
    }

    #[tokio::test]
    async fn an_expired_session_takes_the_place_of_everything_that_waits() {
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

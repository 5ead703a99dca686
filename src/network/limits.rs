//! How many connections there may be. Kafka 3.9: `ConnectionQuotas`.
//!
//! Beyond `max.connections` an acceptor holds the connection it has and accepts no other until one ends. The
//! inter-broker listener, if it is not the only one, always gets in, and the connection of another listener
//! that has been quiet for longest has to go. Beyond `max.connections.per.ip` a connection is closed at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The connections of a broker, counted.
pub(super) struct ConnectionLimits {
    max_total: usize,
    max_per_ip: usize,
    open: Mutex<Open>,
    one_ended: Notify,
    /// Counts requests of all connections; only their order matters.
    activity: AtomicU64,
}

#[derive(Default)]
struct Open {
    per_ip: HashMap<IpAddr, usize>,
    connections: HashMap<u64, Entry>,
    next_id: u64,
}

struct Entry {
    is_protected: bool,
    last_active: Arc<AtomicU64>,
    evicted: CancellationToken,
}

/// A connection's place among the others; given back when dropped.
pub(super) struct ConnectionSlot {
    limits: Arc<ConnectionLimits>,
    id: u64,
    ip: IpAddr,
    last_active: Arc<AtomicU64>,
    evicted: CancellationToken,
}

/// The address has as many connections as it may have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many connections from {ip}: max.connections.per.ip is {max}")]
pub(super) struct TooManyFromAddress {
    ip: IpAddr,
    max: usize,
}

impl ConnectionLimits {
    pub(super) fn new(max_total: usize, max_per_ip: usize) -> Arc<Self> {
        Arc::new(Self {
            max_total,
            max_per_ip,
            open: Mutex::default(),
            one_ended: Notify::new(),
            activity: AtomicU64::new(0),
        })
    }

    /// Waits until there may be one more connection. A protected listener never waits.
    pub(super) async fn admit(
        self: &Arc<Self>,
        ip: IpAddr,
        is_protected: bool,
    ) -> Result<ConnectionSlot, TooManyFromAddress> {
        loop {
            // Made before looking: from then on it misses no notification.
            let one_ended = self.one_ended.notified();
            if let Some(admitted) = self.try_admit(ip, is_protected) {
                return admitted;
            }
            one_ended.await;
        }
    }

    /// `None` if the caller has to wait.
    fn try_admit(
        self: &Arc<Self>,
        ip: IpAddr,
        is_protected: bool,
    ) -> Option<Result<ConnectionSlot, TooManyFromAddress>> {
        let mut open = self.open.lock();
        if open.connections.len() >= self.max_total && !is_protected {
            return None;
        }
        let from_address = open.per_ip.entry(ip).or_default();
        if *from_address >= self.max_per_ip {
            let max = self.max_per_ip;
            open.forget_if_none(ip);
            return Some(Err(TooManyFromAddress { ip, max }));
        }
        *from_address += 1;
        let id = open.next_id;
        open.next_id += 1;
        let slot = ConnectionSlot {
            limits: self.clone(),
            id,
            ip,
            last_active: Arc::new(AtomicU64::new(self.activity.fetch_add(1, Ordering::Relaxed))),
            evicted: CancellationToken::new(),
        };
        open.connections.insert(
            id,
            Entry {
                is_protected,
                last_active: slot.last_active.clone(),
                evicted: slot.evicted.clone(),
            },
        );
        if open.connections.len() > self.max_total {
            open.evict_least_recently_used();
        }
        Some(Ok(slot))
    }
}

impl Open {
    fn forget_if_none(&mut self, ip: IpAddr) {
        if self.per_ip.get(&ip) == Some(&0) {
            self.per_ip.remove(&ip);
        }
    }

    /// Tells the connection that has been quiet for longest, and was not told yet, to end.
    fn evict_least_recently_used(&self) {
        let candidates = self
            .connections
            .values()
            .filter(|c| !c.is_protected && !c.evicted.is_cancelled());
        if let Some(oldest) = candidates.min_by_key(|c| c.last_active.load(Ordering::Relaxed)) {
            oldest.evicted.cancel();
        }
    }
}

impl ConnectionSlot {
    /// Notes that a request has come.
    pub(super) fn touch(&self) {
        let now = self.limits.activity.fetch_add(1, Ordering::Relaxed);
        self.last_active.store(now, Ordering::Relaxed);
    }

    /// Cancelled when the connection has to make room for another.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock();
        open.connections.remove(&self.id);
        if let Some(from_address) = open.per_ip.get_mut(&self.ip) {
            *from_address -= 1;
        }
        open.forget_if_none(self.ip);
        drop(open);
        self.limits.one_ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[tokio::test]
    async fn an_address_may_have_so_many_connections_and_no_more() {
        let limits = ConnectionLimits::new(10, 2);
        let first = limits.admit(HERE, false).await.unwrap();
        let _second = limits.admit(HERE, false).await.unwrap();
        assert!(limits.admit(HERE, false).await.is_err());
        assert!(limits.admit(HERE, true).await.is_err());
        let _other = limits.admit(THERE, false).await.unwrap();
        drop(first);
        let _third = limits.admit(HERE, false).await.unwrap();
        assert!(limits.admit(HERE, false).await.is_err());
    }

    #[tokio::test]
    async fn one_too_many_waits_until_another_ends() {
        let limits = ConnectionLimits::new(1, 10);
        let first = limits.admit(HERE, false).await.unwrap();
        let mut second = std::pin::pin!(limits.admit(THERE, false));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        let slot = second.await.unwrap();
        drop(slot);
        assert!(limits.open.lock().connections.is_empty() && limits.open.lock().per_ip.is_empty());
    }

    #[tokio::test]
    async fn the_protected_listener_gets_in_and_the_quietest_other_one_goes() {
        let limits = ConnectionLimits::new(3, 10);
        let protected = limits.admit(HERE, true).await.unwrap();
        let busy = limits.admit(HERE, false).await.unwrap();
        let quiet = limits.admit(HERE, false).await.unwrap();
        busy.touch();
        let _broker = limits.admit(HERE, true).await.unwrap();
        assert!(quiet.evicted().is_cancelled());
        assert!(!busy.evicted().is_cancelled() && !protected.evicted().is_cancelled());
        let _another = limits.admit(HERE, true).await.unwrap();
        assert!(busy.evicted().is_cancelled() && !protected.evicted().is_cancelled());
    }
}

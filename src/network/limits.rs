//! Limits the number of connections. Kafka 3.9: `ConnectionQuotas`.
//!
//! Above `max.connections`, an acceptor holds its new connection and accepts no other until a connection ends. The
//! inter-broker listener, if it is not the only listener, always accepts; instead the least recently used connection of
//! another listener is closed. Above `max.connections.per.ip`, or the limit for its address in
//! `max.connections.per.ip.overrides`, a connection is closed immediately. All three limits can change at run time:
//! open connections above a new limit stay, but no new ones are accepted.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::BrokerConfig;

/// Counts the connections of a broker.
pub struct ConnectionLimits {
    open: Mutex<Open>,
    /// Notified when a connection has ended or the limits have changed.
    room: Notify,
    /// Counts the requests of all connections. Only their order matters.
    activity: AtomicU64,
}

/// The limits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Maxima {
    total: usize,
    per_ip: usize,
    /// The limits of single addresses.
    overrides: HashMap<IpAddr, usize>,
}

struct Open {
    maxima: Maxima,
    per_ip: HashMap<IpAddr, usize>,
    connections: HashMap<u64, Entry>,
    next_id: u64,
}

struct Entry {
    is_protected: bool,
    last_active: Arc<AtomicU64>,
    evicted: CancellationToken,
}

/// The place of one connection. Dropping it frees the place.
pub(super) struct ConnectionSlot {
    limits: Arc<ConnectionLimits>,
    id: u64,
    ip: IpAddr,
    last_active: Arc<AtomicU64>,
    evicted: CancellationToken,
}

/// The address has reached its limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many connections from {ip}: max.connections.per.ip is {max}")]
pub(super) struct TooManyFromAddress {
    ip: IpAddr,
    max: usize,
}

impl ConnectionLimits {
    /// Creates the limits of a configuration. Resolves the host names in it, which may be slow.
    pub(super) fn new(config: &BrokerConfig) -> io::Result<Arc<Self>> {
        Ok(Self::with(Maxima::of(config)?))
    }

    fn with(maxima: Maxima) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::new(Open {
                maxima,
                per_ip: HashMap::new(),
                connections: HashMap::new(),
                next_id: 0,
            }),
            room: Notify::new(),
            activity: AtomicU64::new(0),
        })
    }

    /// Applies the limits of another configuration. Resolves the host names in it, which may be slow. If a name does
    /// not resolve, the current limits stay.
    pub fn reconfigure(&self, config: &BrokerConfig) {
        let maxima = match Maxima::of(config) {
            Ok(maxima) => maxima,
            Err(error) => {
                tracing::error!(%error, "max.connections.per.ip.overrides cannot be used, the limits stay as they are");
                return;
            }
        };
        let mut open = self.open.lock();
        if open.maxima != maxima {
            tracing::info!(?maxima, "there may be another number of connections");
            open.maxima = maxima;
            drop(open);
            self.room.notify_waiters();
        }
    }

    /// The current limits: `max.connections`, and `max.connections.per.ip` for an address.
    #[cfg(test)]
    pub fn maxima(&self, ip: IpAddr) -> (usize, usize) {
        let open = self.open.lock();
        (open.maxima.total, open.maxima.per_ip(ip))
    }

    /// Waits until one more connection is allowed. A protected listener never waits.
    pub(super) async fn admit(
        self: &Arc<Self>,
        ip: IpAddr,
        is_protected: bool,
    ) -> Result<ConnectionSlot, TooManyFromAddress> {
        loop {
            // Created before the check, so that it misses no notification after it.
            let room = self.room.notified();
            if let Some(admitted) = self.try_admit(ip, is_protected) {
                return admitted;
            }
            room.await;
        }
    }

    /// Returns `None` if the caller must wait.
    fn try_admit(
        self: &Arc<Self>,
        ip: IpAddr,
        is_protected: bool,
    ) -> Option<Result<ConnectionSlot, TooManyFromAddress>> {
        // Java also treats an IPv4 address in IPv6 form as IPv4.
        let ip = ip.to_canonical();
        let mut open = self.open.lock();
        if open.connections.len() >= open.maxima.total && !is_protected {
            return None;
        }
        let max = open.maxima.per_ip(ip);
        let from_address = open.per_ip.entry(ip).or_default();
        if *from_address >= max {
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
        if open.connections.len() > open.maxima.total {
            open.evict_least_recently_used();
        }
        Some(Ok(slot))
    }
}

impl Maxima {
    fn of(config: &BrokerConfig) -> io::Result<Self> {
        let mut overrides = HashMap::new();
        for (host, max) in &config.max_connections_per_ip_overrides {
            overrides.insert(resolve(host)?, *max);
        }
        Ok(Self {
            total: config.max_connections,
            per_ip: config.max_connections_per_ip,
            overrides,
        })
    }

    fn per_ip(&self, ip: IpAddr) -> usize {
        self.overrides.get(&ip).copied().unwrap_or(self.per_ip)
    }
}

/// Resolves a host. As in Kafka, the first of several addresses is used.
fn resolve(host: &str) -> io::Result<IpAddr> {
    let not_found = |why: &str| io::Error::new(io::ErrorKind::NotFound, format!("{host}: {why}"));
    let found = (host, 0)
        .to_socket_addrs()
        .map_err(|e| not_found(&e.to_string()))?;
    let mut addresses = found.map(|address| address.ip().to_canonical());
    addresses
        .next()
        .ok_or_else(|| not_found("the host has no address"))
}

impl Open {
    fn forget_if_none(&mut self, ip: IpAddr) {
        if self.per_ip.get(&ip) == Some(&0) {
            self.per_ip.remove(&ip);
        }
    }

    /// Tells the least recently used connection to end. Skips connections that were told already.
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
    /// The connection's number among all connections of the broker.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Records that a request has arrived.
    pub(super) fn touch(&self) {
        let now = self.limits.activity.fetch_add(1, Ordering::Relaxed);
        self.last_active.store(now, Ordering::Relaxed);
    }

    /// Cancelled when the connection must end so that another can be accepted.
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
        self.limits.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(total: usize, per_ip: usize) -> Arc<ConnectionLimits> {
        ConnectionLimits::with(Maxima {
            total,
            per_ip,
            overrides: HashMap::new(),
        })
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[tokio::test]
    async fn an_address_may_have_so_many_connections_and_no_more() {
        let limits = limits(10, 2);
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
        let limits = limits(1, 10);
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
        let limits = limits(3, 10);
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

    #[tokio::test]
    async fn an_address_may_have_a_limit_of_its_own() {
        let mut config = BrokerConfig::for_test(1, std::path::Path::new("unused"));
        config.max_connections_per_ip = 1;
        config.max_connections_per_ip_overrides = [("127.0.0.1".to_owned(), 2)].into();
        let limits = ConnectionLimits::new(&config).unwrap();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let _first = limits.admit(HERE, false).await.unwrap();
        let _second = limits.admit(mapped, false).await.unwrap();
        assert!(limits.admit(HERE, false).await.is_err());
        let _other = limits.admit(THERE, false).await.unwrap();
        assert!(limits.admit(THERE, false).await.is_err());
        config.max_connections_per_ip_overrides = [("no.such.host.invalid".to_owned(), 2)].into();
        assert!(ConnectionLimits::new(&config).is_err());
    }

    #[tokio::test]
    async fn limits_change_while_connections_are_open() {
        let mut config = BrokerConfig::for_test(1, std::path::Path::new("unused"));
        config.max_connections = 1;
        let limits = ConnectionLimits::new(&config).unwrap();
        let first = limits.admit(HERE, false).await.unwrap();
        let mut second = std::pin::pin!(limits.admit(THERE, false));
        assert!(futures::poll!(&mut second).is_pending());
        config.max_connections = 2;
        limits.reconfigure(&config);
        let second = second.await.unwrap();
        config.max_connections_per_ip = 1;
        config.max_connections = 3;
        limits.reconfigure(&config);
        assert!(limits.admit(HERE, false).await.is_err());
        config.max_connections = 1;
        limits.reconfigure(&config);
        drop(first);
        let mut third = std::pin::pin!(limits.admit(HERE, false));
        assert!(
            futures::poll!(&mut third).is_pending(),
            "one is open, and one may be"
        );
        assert!(!second.evicted().is_cancelled());
        drop(second);
        drop(third.await.unwrap());
        config.max_connections_per_ip_overrides = [("no.such.host.invalid".to_owned(), 2)].into();
        config.max_connections = 7;
        limits.reconfigure(&config);
        assert_eq!(limits.maxima(HERE), (1, 1));
    }
}

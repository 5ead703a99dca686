//! Starts ZooKeeper, barnabas and Apache Kafka nodes for tests, and talks to them as users do.
//!
//! The tests in `tests/` contain no code of barnabas: they see its binary, its sockets and its files. Environment
//! variables name the places; `scripts/test` sets them:
//!
//! | variable | what | default |
//! |---|---|---|
//! | `BARNABAS_BIN` | the binary under test | `target/release/barnabas` |
//! | `BARNABAS_ZOOKEEPER_IMAGE` | container image with ZooKeeper | `barnabas-zookeeper:3.8`, else without containers |
//! | `BARNABAS_CLIENTS` | folder with the installed clients of other languages | `.cache/clients` |
//! | `BARNABAS_OLD_ZOOKEEPER_LIBS` | folder with the jars of ZooKeeper 3.5 | `.cache/zookeeper-3.5` |
//! | `BARNABAS_KAFKA_LIBS` | folder with Apache Kafka's jars | `.cache/kafka-libs` |

pub mod broker;
pub mod certificates;
pub mod clients;
pub mod cluster;
pub mod load;
pub mod parity;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod replicas;
pub mod secured;
pub mod tools;
pub mod transactions;
pub mod wait;
pub mod zookeeper;

pub use broker::{Broker, Kind};
pub use cluster::Cluster;
pub use zookeeper::ZooKeeper;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
}

/// A TCP port on 127.0.0.1 that no process listens on at this moment.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of `count` consecutive free ports.
///
/// The ports lie below the range that the system gives to outgoing connections. So no connection takes a port while its
/// broker is down. Two calls in one process never return the same port.
pub fn free_ports(count: u16) -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Test processes that run at the same time begin at different ports.
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let taken = TAKEN.fetch_add(u32::from(count), Ordering::Relaxed);
        let first = (FIRST + offset.wrapping_add(taken) % COUNT) as u16;
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("loopback has no {count} free ports in a row");
}

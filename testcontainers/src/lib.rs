//! Starts ZooKeeper, barnabas and Apache Kafka nodes for tests, and talks to them as their users do.
//!
//! The tests in `tests/` contain no code of barnabas: they see its binary, its sockets and its files. Where
//! things are is told by environment variables, which `scripts/test` sets:
//!
//! | variable | what | default |
//! |---|---|---|
//! | `BARNABAS_BIN` | the binary under test | `target/release/barnabas` |
//! | `BARNABAS_ZOOKEEPER_IMAGE` | container image with ZooKeeper | `barnabas-zookeeper:3.8`, else without containers |
//! | `BARNABAS_CLIENTS` | folder with the installed clients of other languages | `.cache/clients` |
//! | `BARNABAS_KAFKA_LIBS` | folder with Apache Kafka's jars | `.cache/kafka-libs` |

pub mod broker;
pub mod clients;
pub mod cluster;
pub mod load;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod replicas;
pub mod tools;
pub mod wait;
pub mod zookeeper;

pub use broker::{Broker, Kind};
pub use cluster::Cluster;
pub use zookeeper::ZooKeeper;

use std::path::PathBuf;

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
}

/// A TCP port on 127.0.0.1 that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

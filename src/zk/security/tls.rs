//! Makes the TLS options of crate zookeeper-client from Kafka's settings. ZooKeeper: `ClientX509Util`.

use zookeeper_client::TlsOptions;

use crate::config::zookeeper::ZooKeeperTlsConfig;

/// The options for encrypted connections, or Kafka's text.
pub fn options(_config: &ZooKeeperTlsConfig) -> Result<TlsOptions, String> {
    Err("TLS to ZooKeeper is not built yet".to_owned())
}

//! Parser of `zookeeper.connect`: servers and chroot. Kafka 3.9: ZooKeeper's `ConnectStringParser`.

use crate::zk::store::ZkError;

/// The parts of `host:port,host:port/chroot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectString {
    /// `host:port,host:port`; a missing port means 2181.
    pub servers: String,
    /// `/chroot`, if there is one.
    pub chroot: Option<String>,
}

impl ConnectString {
    /// Parses a connect string. Blanks around the servers are ignored, as in Java; a single slash means no chroot.
    pub fn parse(text: &str) -> Result<Self, ZkError> {
        let invalid = |reason: &str| ZkError::InvalidConnectString {
            connect: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (servers, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let servers: Vec<_> = servers
            .split(',')
            .map(str::trim)
            .filter(|server| !server.is_empty())
            .collect();
        if servers.is_empty() {
            return Err(invalid("it names no server"));
        }
        let chroot = chroot.trim();
        if chroot.len() > 1 && (chroot.ends_with('/') || chroot.contains("//") || chroot.contains(',')) {
            return Err(invalid("its chroot is no path"));
        }
        Ok(Self {
            servers: servers.join(","),
            chroot: Some(chroot).filter(|chroot| chroot.len() > 1).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_chroot() {
        for (text, servers, chroot) in [
            ("h:2181", "h:2181", None),
            ("h", "h", None),
            ("h:1/", "h:1", None),
            (
                "a:1, b:2 ,[::1]:3/kafka/prod",
                "a:1,b:2,[::1]:3",
                Some("/kafka/prod"),
            ),
        ] {
            let parsed = ConnectString::parse(text).unwrap();
            assert_eq!(
                (parsed.servers.as_str(), parsed.chroot.as_deref()),
                (servers, chroot),
                "{text}"
            );
        }
        for broken in [
            "",
            " ",
            "/kafka",
            "h:1/kafka/",
            "h:1//kafka",
            "a:1/kafka,b:2/kafka",
        ] {
            assert!(ConnectString::parse(broken).is_err(), "{broken}");
        }
    }
}

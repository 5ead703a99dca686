//! `barnabas zk dump`: prints every znode of a cluster in a form that people can read, search and compare.
//!
//! Each znode is one line, parents before children, with four tab-separated columns: path; `v` and the data's version;
//! the owning session or `-`; data. With access control lists a fifth column has the list. The dump interprets nothing,
//! so it shows broken data as it is. It hides secrets, because the output is meant to be passed on.

use std::fmt::Write as _;
use std::io;

use bytes::Bytes;
use futures::future::join_all;
use serde_json::Value;

use super::recursive::walk;
use super::store::{Stat, ZkError, ZkStore};

/// How many znodes one request reads.
const BATCH: usize = 1000;
/// Replaces a secret, as in Kafka's logs.
const HIDDEN: &str = "[hidden]";

/// Why a dump stopped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the two sides of a dump")]
pub enum DumpError {
    #[error(transparent)]
    Zk(#[from] ZkError),
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}

/// Writes every znode below the chroot to `out`. Returns how many it wrote. Leaves out znodes that are deleted in the
/// meantime. `with_acls` adds the access control list of each.
pub async fn dump(
    store: &dyn ZkStore,
    with_acls: bool,
    out: &mut impl io::Write,
) -> Result<usize, DumpError> {
    let paths = walk(store, "/").await?;
    let mut count = 0;
    for batch in paths.chunks(BATCH) {
        let znodes = join_all(batch.iter().map(|path| store.get(path, false))).await;
        let acls = match with_acls {
            true => join_all(batch.iter().map(|path| store.acl(path))).await,
            false => Vec::new(),
        };
        let mut acls = acls.into_iter();
        for (path, znode) in batch.iter().zip(znodes) {
            let acl = acls.next().transpose()?.flatten();
            if let Some((data, stat)) = znode? {
                write!(out, "{}", line(path, &data, &stat))?;
                if let Some(acl) = acl {
                    let entries: Vec<String> = acl.iter().map(ToString::to_string).collect();
                    write!(out, "\t{}", entries.join(" "))?;
                }
                writeln!(out)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn line(path: &str, data: &Bytes, stat: &Stat) -> String {
    let mut line = format!("{path}\tv{}\t", stat.version);
    match stat.ephemeral_owner {
        0 => line.push('-'),
        // Writing to a string cannot fail.
        owner => drop(write!(line, "{owner:#x}")),
    }
    line.push('\t');
    line.push_str(&readable(path, data));
    line
}

/// The data as one line of text; bytes that are not text are escaped as in Rust.
fn readable(path: &str, data: &Bytes) -> String {
    match std::str::from_utf8(data) {
        Ok(text) if path.starts_with("/config/") => hide_secrets(text),
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => data.escape_ascii().to_string(),
    }
}

/// Hides passwords and SCRAM credentials of a configuration. They are encrypted or hashed, but that invites guessing.
fn hide_secrets(text: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<Value>(text) else {
        return text.escape_debug().to_string();
    };
    if let Some(Value::Object(config)) = json.get_mut("config") {
        for (_, value) in config.iter_mut().filter(|(key, _)| is_secret(key)) {
            *value = HIDDEN.into();
        }
    }
    json.to_string()
}

/// Whether Kafka treats a configuration of this name as a secret: type password, and SCRAM mechanisms.
fn is_secret(key: &str) -> bool {
    const ENDS: [&str; 5] = [
        "password",
        ".secret",
        "sasl.jaas.config",
        "keystore.key",
        "keystore.certificate.chain",
    ];
    key.starts_with("SCRAM-") || ENDS.iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;
    use crate::zk::memory::MemoryZooKeeper;
    use crate::zk::recursive::create_recursive;
    use crate::zk::store::CreateMode;

    #[tokio::test]
    async fn every_znode_is_a_line() {
        let store = MemoryZooKeeper::new(ManualClock::at(1)).connect();
        for (path, data) in [
            ("/brokers/topics/a", &br#"{"version":3}"#[..]),
            (
                "/config/users/alice",
                br#"{"version":1,"config":{"SCRAM-SHA-256":"salt=1","quota":"1"}}"#,
            ),
            (
                "/config/brokers/1",
                br#"{"version":1,"config":{"listener.name.x.ssl.key.password":"abc"}}"#,
            ),
            ("/config/changes/old", b"no\njson"),
            ("/odd", b"\xff\x00"),
        ] {
            create_recursive(&*store, path, Bytes::from_static(data))
                .await
                .unwrap();
        }
        let mode = CreateMode::Ephemeral;
        store
            .create("/controller", Bytes::from_static(b"{}"), mode)
            .await
            .unwrap();
        store
            .set("/controller", Bytes::from_static(b"{\"brokerid\":1}"), None)
            .await
            .unwrap();
        let mut out = Vec::new();
        let count = dump(&*store, false, &mut out).await.unwrap();
        let expected = [
            "/\tv0\t-\t",
            "/brokers\tv0\t-\t",
            "/brokers/topics\tv0\t-\t",
            "/brokers/topics/a\tv0\t-\t{\"version\":3}",
            "/config\tv0\t-\t",
            "/config/brokers\tv0\t-\t",
            "/config/brokers/1\tv0\t-\t{\"version\":1,\"config\":{\"listener.name.x.ssl.key.password\":\"[hidden]\"}}",
            "/config/changes\tv0\t-\t",
            "/config/changes/old\tv0\t-\tno\\njson",
            "/config/users\tv0\t-\t",
            "/config/users/alice\tv0\t-\t{\"version\":1,\"config\":{\"SCRAM-SHA-256\":\"[hidden]\",\"quota\":\"1\"}}",
            "/controller\tv1\t0x1001\t{\"brokerid\":1}",
            "/odd\tv0\t-\t\\xff\\x00",
        ];
        assert_eq!(
            String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(),
            expected
        );
        assert_eq!(count, expected.len());
    }
}

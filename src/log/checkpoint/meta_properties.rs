//! `meta.properties` of a log dir: the cluster and the broker that it belongs to. Kafka 3.9: `MetaProperties`,
//! `MetaPropertiesEnsemble`, in their ZooKeeper-mode form.
//!
//! ```text
//! #
//! broker.id=1
//! version=0
//! cluster.id=zS2kKUUVTwetGMDPpKvKvQ
//! directory.id=…        kept if it is there, never added
//! ```
//!
//! The broker reads the files of all log dirs first, checks them against each other, the configuration and ZooKeeper,
//! and rewrites those that are incomplete (start-up steps 3 to 7).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::common::ids::{BrokerId, TopicId, uuid_from_base64, uuid_to_base64};
use crate::config::properties::Properties;
use crate::log::fs::{Fs, corrupt};

/// Name of the file in a log dir.
pub const FILE_NAME: &str = "meta.properties";

/// The content of one such file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster's id as in `/cluster/id`.
    pub cluster_id: Option<String>,
    /// The broker that owns the log dir.
    pub broker_id: Option<BrokerId>,
    /// The directory's own id (KIP-858); only KRaft uses it.
    pub directory_id: Option<TopicId>,
}

impl MetaProperties {
    /// The file in `log_dir`; `None` if there is none.
    pub fn read(fs: &Fs, log_dir: &Path) -> io::Result<Option<Self>> {
        let path = log_dir.join(FILE_NAME);
        let bytes = match fs.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let properties = Properties::parse(&bytes, &path.to_string_lossy()).map_err(|e| corrupt(&path, e))?;
        match properties.get("version").unwrap_or("0") {
            "0" => {}
            version => {
                let reason = format!("version {version}; a ZooKeeper-mode broker only supports version 0");
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("{}: {reason}", path.display()),
                ));
            }
        }
        let broker_id = match properties.get("broker.id").map(|id| (id, id.trim().parse())) {
            None => None,
            Some((_, Ok(id))) => Some(id),
            Some((text, Err(_))) => return Err(corrupt(&path, format!("broker.id {text:?} is no number"))),
        };
        let directory_id = match properties
            .get("directory.id")
            .map(|id| (id, uuid_from_base64(id)))
        {
            None => None,
            Some((_, Some(id))) => Some(id),
            Some((text, None)) => return Err(corrupt(&path, format!("directory.id {text:?} is no id"))),
        };
        Ok(Some(Self {
            cluster_id: properties.get("cluster.id").map(str::to_owned),
            broker_id,
            directory_id,
        }))
    }

    /// Replaces the file in `log_dir`.
    pub fn write(&self, fs: &Fs, log_dir: &Path) -> io::Result<()> {
        fs.replace(&log_dir.join(FILE_NAME), self.to_text().as_bytes())
    }

    fn to_text(&self) -> String {
        let mut text = String::from("#\n");
        if let Some(id) = self.broker_id {
            let _ = writeln!(text, "broker.id={id}");
        }
        text.push_str("version=0\n");
        if let Some(id) = &self.cluster_id {
            let _ = writeln!(text, "cluster.id={}", escape(id));
        }
        if let Some(id) = self.directory_id {
            let _ = writeln!(text, "directory.id={}", uuid_to_base64(id));
        }
        text
    }
}

/// Puts a backslash before characters that `java.util.Properties` would not read back unchanged.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for unit in value.encode_utf16() {
        match char::from_u32(unit.into()) {
            Some(c @ ('\\' | '#' | '!' | '=' | ':')) => escaped.extend(['\\', c]),
            Some(c @ '!'..='~') => escaped.push(c),
            _ => {
                let _ = write!(escaped, "\\u{unit:04X}");
            }
        }
    }
    escaped
}

/// The files of all log dirs of a broker.
#[derive(Debug, Default)]
pub struct MetaPropertiesEnsemble {
    /// The files by log dir; `None` if there is no file yet.
    pub dirs: HashMap<PathBuf, Option<MetaProperties>>,
    /// Dirs whose file could not be read. They count as offline; the broker starts with the others.
    pub failed: HashMap<PathBuf, String>,
}

/// The files contradict each other, the configuration or ZooKeeper, so the broker must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MetaPropertiesError(String);

impl MetaPropertiesEnsemble {
    /// Reads the files of `log_dirs`. A missing directory counts as one without a file. At this step the only error is
    /// a version that a ZooKeeper-mode broker must not touch.
    pub fn load(fs: &Fs, log_dirs: &[PathBuf]) -> Result<Self, MetaPropertiesError> {
        let mut ensemble = Self::default();
        for dir in log_dirs {
            match MetaProperties::read(fs, dir) {
                Ok(properties) => {
                    ensemble.dirs.insert(dir.clone(), properties);
                }
                Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                    return Err(MetaPropertiesError(e.to_string()));
                }
                Err(e) => {
                    tracing::error!(dir = %dir.display(), error = %e, "cannot read meta.properties, taking the log dir offline");
                    ensemble.failed.insert(dir.clone(), e.to_string());
                }
            }
        }
        Ok(ensemble)
    }

    /// The broker id that the files agree on; `None` if no file has one.
    pub fn broker_id(&self) -> Option<BrokerId> {
        self.dirs
            .values()
            .flatten()
            .find_map(|properties| properties.broker_id)
    }

    /// Step 4 of start-up: every file must belong to this cluster and to one broker, which must be `broker_id` unless
    /// that is negative. No two dirs may have the same id.
    pub fn verify(&self, cluster_id: &str, broker_id: BrokerId) -> Result<(), MetaPropertiesError> {
        let mut expected = (broker_id >= 0).then_some((broker_id, "the configuration".to_owned()));
        let mut directory_ids: HashMap<TopicId, &Path> = HashMap::new();
        let mut dirs: Vec<_> = self.dirs.iter().collect();
        dirs.sort_unstable_by_key(|(dir, _)| *dir);
        for (dir, properties) in dirs {
            let Some(properties) = properties else { continue };
            let path = dir.join(FILE_NAME);
            let path = path.display();
            match &properties.cluster_id {
                Some(id) if id != cluster_id => {
                    return Err(MetaPropertiesError(format!(
                        "cluster.id is {id} in {path}, but ZooKeeper's cluster is {cluster_id}; \
                         the log dir or zookeeper.connect belongs to another cluster"
                    )));
                }
                _ => {}
            }
            match (properties.broker_id, &expected) {
                (Some(found), Some((id, origin))) if found != *id => {
                    return Err(MetaPropertiesError(format!(
                        "broker.id is {found} in {path}, but {id} in {origin}"
                    )));
                }
                (Some(found), None) => expected = Some((found, path.to_string())),
                _ => {}
            }
            if let Some(id) = properties.directory_id
                && let Some(other) = directory_ids.insert(id, dir)
            {
                return Err(MetaPropertiesError(format!(
                    "{} and {} have the same directory.id {}",
                    other.display(),
                    dir.display(),
                    uuid_to_base64(id)
                )));
            }
        }
        Ok(())
    }

    /// Step 7 of start-up: writes the incomplete files and creates their directories. Dirs where this fails move to
    /// [`Self::failed`].
    pub fn write_changed(&mut self, fs: &Fs, cluster_id: &str, broker_id: BrokerId) {
        for (dir, properties) in &mut self.dirs {
            let complete = MetaProperties {
                cluster_id: Some(cluster_id.to_owned()),
                broker_id: Some(broker_id),
                directory_id: properties.as_ref().and_then(|p| p.directory_id),
            };
            if properties.as_ref() == Some(&complete) {
                continue;
            }
            let written = fs.create_dir_all(dir).and_then(|()| complete.write(fs, dir));
            match written {
                Ok(()) => *properties = Some(complete),
                Err(e) => {
                    tracing::error!(dir = %dir.display(), error = %e, "cannot write meta.properties, taking the log dir offline");
                    self.failed.insert(dir.clone(), e.to_string());
                }
            }
        }
        self.dirs.retain(|dir, _| !self.failed.contains_key(dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str =
        "#\n#Sun Nov 22 13:38:14 UTC 2026\nbroker.id=1\nversion=0\ncluster.id=zS2kKUUVTwetGMDPpKvKvQ\n";
    const CLUSTER: &str = "zS2kKUUVTwetGMDPpKvKvQ";

    fn dirs_with(contents: &[Option<&str>]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let root = tempfile::tempdir().unwrap();
        let mut dirs = Vec::new();
        for (i, content) in contents.iter().enumerate() {
            let dir = root.path().join(format!("d{i}"));
            std::fs::create_dir(&dir).unwrap();
            if let Some(content) = content {
                std::fs::write(dir.join(FILE_NAME), content).unwrap();
            }
            dirs.push(dir);
        }
        (root, dirs)
    }

    fn verify(contents: &[Option<&str>], broker_id: BrokerId) -> Result<Option<BrokerId>, String> {
        let (_root, dirs) = dirs_with(contents);
        let ensemble = MetaPropertiesEnsemble::load(&Fs::default(), &dirs).map_err(|e| e.to_string())?;
        ensemble.verify(CLUSTER, broker_id).map_err(|e| e.to_string())?;
        Ok(ensemble.broker_id())
    }

    #[test]
    fn the_rules_of_start_up_hold() {
        let other = CAPTURED.replace("id=1", "id=2");
        let foreign = CAPTURED.replace("zS2k", "XXXX");
        let kraft = "version=1\nnode.id=1\ncluster.id=zS2kKUUVTwetGMDPpKvKvQ\n";
        let with_id = format!("{CAPTURED}directory.id=mZJDz3pZQ-OQQbw_-HYL_Q\n");
        assert_eq!(verify(&[Some(CAPTURED), None], -1), Ok(Some(1)));
        assert_eq!(verify(&[Some(CAPTURED), Some(CAPTURED)], 1), Ok(Some(1)));
        assert_eq!(verify(&[None, None], 7), Ok(None));
        assert_eq!(
            verify(&[Some("cluster.id=zS2kKUUVTwetGMDPpKvKvQ\n")], 3),
            Ok(None)
        );
        let refused = [
            (verify(&[Some(CAPTURED)], 2), "broker.id is 1"),
            (verify(&[Some(CAPTURED), Some(&other)], -1), "broker.id is 2"),
            (verify(&[Some(&foreign)], 1), "another cluster"),
            (verify(&[Some(kraft)], 1), "only supports version 0"),
            (verify(&[Some(&with_id), Some(&with_id)], 1), "same directory.id"),
        ];
        for (result, expected) in refused {
            let error = result.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_unreadable_file_fails_its_dir_only() {
        let (_root, dirs) = dirs_with(&[Some("broker.id=x\n"), Some(CAPTURED)]);
        let ensemble = MetaPropertiesEnsemble::load(&Fs::default(), &dirs).unwrap();
        assert_eq!(ensemble.failed.keys().collect::<Vec<_>>(), [&dirs[0]]);
        assert_eq!(ensemble.broker_id(), Some(1));
    }

    #[test]
    fn missing_properties_are_added_and_the_rest_kept() {
        let with_id = "version=0\ndirectory.id=mZJDz3pZQ-OQQbw_-HYL_Q\n";
        let (_root, mut dirs) = dirs_with(&[Some(with_id), Some(CAPTURED)]);
        dirs.push(dirs[0].with_file_name("new"));
        let fs = Fs::default();
        let mut ensemble = MetaPropertiesEnsemble::load(&fs, &dirs).unwrap();
        ensemble.write_changed(&fs, CLUSTER, 1);
        assert!(ensemble.failed.is_empty());
        let text = |i: usize| std::fs::read_to_string(dirs[i].join(FILE_NAME)).unwrap();
        assert_eq!(
            text(0),
            format!("#\nbroker.id=1\nversion=0\ncluster.id={CLUSTER}\ndirectory.id=mZJDz3pZQ-OQQbw_-HYL_Q\n")
        );
        assert_eq!(text(1), CAPTURED, "a complete file is left alone");
        assert_eq!(
            text(2),
            format!("#\nbroker.id=1\nversion=0\ncluster.id={CLUSTER}\n")
        );
    }

    #[test]
    fn odd_cluster_ids_survive() {
        let dir = tempfile::tempdir().unwrap();
        let properties = MetaProperties {
            cluster_id: Some(" a=b:c#d!\\é😀".to_owned()),
            broker_id: Some(5),
            directory_id: None,
        };
        let fs = Fs::default();
        properties.write(&fs, dir.path()).unwrap();
        assert_eq!(MetaProperties::read(&fs, dir.path()).unwrap(), Some(properties));
    }
}

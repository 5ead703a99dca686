//! What a check reads, and what it finds.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::zk::store::Stat;

/// All znodes below the chroot: data and stat by path.
pub(super) type Snapshot = BTreeMap<String, (Bytes, Stat)>;

/// Something that is wrong with a znode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The znode.
    pub path: String,
    /// The problem, as text for an operator.
    pub reason: String,
}

impl Finding {
    pub(super) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

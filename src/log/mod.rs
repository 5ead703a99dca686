//! The log on disk: segments, indexes, checkpoints, recovery, the cleaner. Imports `common`, `config` and `record`;
//! never the network, ZooKeeper or the protocol.
//!
//! Every byte here is Kafka's: a log dir can be handed to Apache Kafka 3.9 and back. All numbers are big-endian.
//! "Durable" below says when a file is known to be on disk; before that it may be lost.
//!
//! # In a log dir
//!
//! | name | content | written by | durable |
//! |---|---|---|---|
//! | `.lock` | empty; fcntl lock | [`dir_lock`], at start | no need |
//! | `meta.properties` | cluster id, broker id | [`checkpoint::meta_properties`], at start if incomplete | at once ¹ |
//! | `.kafka_cleanshutdown` | JSON that no broker reads | [`checkpoint::clean_shutdown`], the last write of a clean stop, the first removal at start | at once ¹ |
//! | `recovery-point-offset-checkpoint` | text, [`checkpoint::offset`]: flushed up to here | [`manager`], every minute, after a truncation, a deletion, at stop | at once ¹ |
//! | `log-start-offset-checkpoint` | the same: start of the log if it is above the first segment's | [`manager`], likewise | at once ¹ |
//! | `replication-offset-checkpoint` | the same: high watermarks | [`manager`] for the replica manager, every 5 s | at once ¹ |
//! | `cleaner-offset-checkpoint` | the same: cleaned up to here | [`cleaner`], after each clean; when a log is cut or deleted | at once ¹ |
//! | `TOPIC-N` | directory of partition N | [`manager`], when the replica is created | in the background |
//! | `TOPIC-N.HEX-delete` | a deleted partition; removed after `file.delete.delay.ms` | [`manager`] | at once |
//! | `TOPIC-N.HEX-future` | a copy that is to replace the log of another dir | [`manager`] for the replica layer, which fills it | before it takes that log's place |
//! | `TOPIC-N.HEX-stray` | a replica that the cluster does not know | | |
//!
//! # In a partition's directory
//!
//! `B` is the segment's base offset in twenty digits.
//!
//! | name | content | written by | durable |
//! |---|---|---|---|
//! | `B.log` | record batches, one behind the other | [`file_records`], each append | flush: after a roll, `flush.*`, at stop |
//! | `B.index` | [`index::offset`], 8 bytes an entry | [`segment`], every `index.interval.bytes`; preallocated with zeros while active, cut when rolled or closed | with the `.log` |
//! | `B.timeindex` | [`index::time`], 12 bytes an entry | likewise | with the `.log` |
//! | `B.txnindex` | [`index::transaction`], 34 bytes an entry; only there if a transaction was aborted | [`segment`], with an abort marker | with the `.log` |
//! | `N.snapshot` | [`producer_state`]: the producers before offset N | [`producer_log`], at each roll, at stop, when recovering | after a roll in the background, before the recovery point passes it; at stop at once |
//! | `leader-epoch-checkpoint` | text, [`checkpoint::leader_epoch`] | [`leader_epoch_cache`], on each new epoch before its first record; after a truncation | at once ¹ |
//! | `partition.metadata` | text, the topic's id | [`checkpoint::partition_metadata`], before the first record | at once ¹ |
//! | `*.deleted` | a file that will be removed | [`unified_log`] | no need |
//! | `*.cleaned`, `*.swap` | a segment being cleaned or split; one that replaces other segments | [`cleaner`], [`loader`] | before it replaces any |
//!
//! ¹ written to `NAME.tmp`, fsynced, renamed, directory fsynced ([`fs::Fs::replace`]).
//!
//! # Locks, outermost first
//!
//! The cleaner's states → a log's `writer` → its `view` → a segment's indexes → a file's handle. The manager does not
//! hold its map of logs while it works on a log. No lock is held over an fsync, except for the rare small files above.

pub mod checkpoint;
pub mod cleaner;
pub mod dir;
pub mod dir_lock;
pub mod error;
pub mod fetch_data;
pub mod file_records;
pub mod fs;
pub mod index;
pub mod leader_epoch_cache;
pub mod loader;
pub mod manager;
pub mod names;
pub mod offset_metadata;
pub mod producer_log;
mod producer_replay;
pub mod producer_state;
pub mod recovery;
pub mod scheduler;
pub mod segment;
pub mod segments;
#[cfg(test)]
pub mod simulated_disk;
mod split;
pub mod unified_log;

#[cfg(test)]
mod corruption_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod power_loss;
#[cfg(test)]
pub(crate) mod testing;

pub use dir::LogDir;
pub use error::{AppendError, LogDirsError, LogError};
pub use manager::LogManager;
pub use offset_metadata::LogOffsetMetadata;
pub use producer_state::{Verification, VerificationGuard};
pub use unified_log::{ActiveProducer, AppendOrigin, FetchIsolation, LogAppendInfo, UnifiedLog};

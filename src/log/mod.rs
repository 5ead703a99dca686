//! L2. The log on disk. Imports `common`, `config`, `record`; never the network, ZooKeeper or the protocol.

pub mod manager;
pub mod producer_state;
pub mod unified_log;

pub use manager::LogManager;
pub use unified_log::{
    AppendError, AppendOrigin, FetchDataInfo, FetchIsolation, FileSlice, LogAppendInfo, LogError,
    LogOffsetMetadata, UnifiedLog,
};

//! Encodes and decodes the keys and values of `__consumer_offsets`. Kafka 3.9: `GroupMetadataManager` (object),
//! `OffsetCommitKey`, `OffsetCommitValue`, `GroupMetadataKey`, `GroupMetadataValue`.
//!
//! All numbers are big-endian. Each key and value starts with an i16 version. A string is an i16 length and UTF-8,
//! bytes are an i32 length and bytes, an array is an i32 count and its elements; length -1 is null. From version 4 of
//! the values, lengths are unsigned varints of length + 1 and every struct ends with tagged fields. Such values are
//! read but, as in Kafka, not written. A record without value is a tombstone.
//!
//! ```text
//! offset key   0,1  version:i16 group:string topic:string partition:i32
//! offset value 0    version:i16 offset:i64 metadata:string commit_timestamp:i64
//!              1    version:i16 offset:i64 metadata:string commit_timestamp:i64 expire_timestamp:i64
//!              2    as 0
//!              3,4  version:i16 offset:i64 leader_epoch:i32 metadata:string commit_timestamp:i64
//! group key    2    version:i16 group:string
//! group value  0-4  version:i16 protocol_type:string generation:i32 protocol:string? leader:string?
//!                   [2+ current_state_timestamp:i64] members:array of
//!                   { member_id:string [3+ group_instance_id:string?] client_id:string client_host:string
//!                     [1+ rebalance_timeout:i32] session_timeout:i32 subscription:bytes assignment:bytes }
//! ```

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::offsets::OffsetAndMetadata;
pub use crate::coordinator::fields::LogFormatError;
use crate::coordinator::fields::{Reader, put_bytes, put_nullable_string, put_string};

const OFFSET_KEY_VERSION: i16 = 1;
const GROUP_KEY_VERSION: i16 = 2;
const OFFSET_VALUE_VERSION: i16 = 3;
/// The only version with an expiry timestamp, for commits that requested a retention.
const OFFSET_VALUE_VERSION_WITH_EXPIRY: i16 = 1;
const GROUP_VALUE_VERSION: i16 = 3;
const HIGHEST_VALUE_VERSION: i16 = 4;
const FIRST_FLEXIBLE_VERSION: i16 = 4;

/// A decoded record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// The offset that a group committed for a partition.
    Offset {
        /// The group.
        group: &'a str,
        /// The partition's topic.
        topic: &'a str,
        /// The partition's number.
        partition: i32,
    },
    /// The latest generation of a group.
    Group {
        /// The group.
        group: &'a str,
    },
    /// A key of another version, such as the groups of Kafka's new coordinator. The loader skips it.
    Unknown(i16),
}

/// A generation of a group, written when its assignment is known or when its last member has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of GroupMetadataValue")]
pub struct GroupMetadataValue {
    /// Empty if the group never had members.
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// When the group entered its state, in milliseconds since 1970. -1 in values of versions 0 and 1.
    pub current_state_timestamp: i64,
    pub members: Vec<MemberValue>,
}

/// One member within a [`GroupMetadataValue`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of GroupMetadataValue.MemberMetadata")]
pub struct MemberValue {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// The key of a committed offset.
pub fn offset_key(group: &str, topic: &str, partition: i32) -> Result<Bytes, LogFormatError> {
    let mut out = BytesMut::with_capacity(10 + group.len() + topic.len());
    out.put_i16(OFFSET_KEY_VERSION);
    put_string(&mut out, group)?;
    put_string(&mut out, topic)?;
    out.put_i32(partition);
    Ok(out.freeze())
}

/// The value of a committed offset: version 3, or version 1 if it has an expiry timestamp.
pub fn offset_value(value: &OffsetAndMetadata) -> Result<Bytes, LogFormatError> {
    let mut out = BytesMut::with_capacity(32 + value.metadata.len());
    match value.expire_timestamp_ms {
        Some(expire_timestamp_ms) => {
            out.put_i16(OFFSET_VALUE_VERSION_WITH_EXPIRY);
            out.put_i64(value.offset);
            put_string(&mut out, &value.metadata)?;
            out.put_i64(value.commit_timestamp_ms);
            out.put_i64(expire_timestamp_ms);
        }
        None => {
            out.put_i16(OFFSET_VALUE_VERSION);
            out.put_i64(value.offset);
            out.put_i32(value.leader_epoch);
            put_string(&mut out, &value.metadata)?;
            out.put_i64(value.commit_timestamp_ms);
        }
    }
    Ok(out.freeze())
}

/// The key of a group's generation.
pub fn group_key(group: &str) -> Result<Bytes, LogFormatError> {
    let mut out = BytesMut::with_capacity(4 + group.len());
    out.put_i16(GROUP_KEY_VERSION);
    put_string(&mut out, group)?;
    Ok(out.freeze())
}

/// The value of a group's generation, version 3.
pub fn group_value(value: &GroupMetadataValue) -> Result<Bytes, LogFormatError> {
    let mut out = BytesMut::with_capacity(64 + 256 * value.members.len());
    out.put_i16(GROUP_VALUE_VERSION);
    put_string(&mut out, &value.protocol_type)?;
    out.put_i32(value.generation);
    put_nullable_string(&mut out, value.protocol.as_deref())?;
    put_nullable_string(&mut out, value.leader.as_deref())?;
    out.put_i64(value.current_state_timestamp);
    out.put_i32(value.members.len() as i32);
    for member in &value.members {
        put_string(&mut out, &member.member_id)?;
        put_nullable_string(&mut out, member.group_instance_id.as_deref())?;
        put_string(&mut out, &member.client_id)?;
        put_string(&mut out, &member.client_host)?;
        out.put_i32(member.rebalance_timeout_ms);
        out.put_i32(member.session_timeout_ms);
        put_bytes(&mut out, &member.subscription);
        put_bytes(&mut out, &member.assignment);
    }
    Ok(out.freeze())
}

/// Reads a record's key.
pub fn read_key(bytes: &[u8]) -> Result<Key<'_>, LogFormatError> {
    let mut reader = Reader::new(bytes);
    match reader.i16()? {
        0..=OFFSET_KEY_VERSION => Ok(Key::Offset {
            group: reader.string()?,
            topic: reader.string()?,
            partition: reader.i32()?,
        }),
        GROUP_KEY_VERSION => Ok(Key::Group {
            group: reader.string()?,
        }),
        version => Ok(Key::Unknown(version)),
    }
}

/// Reads the value of a committed offset, versions 0 to 4.
pub fn read_offset_value(bytes: &[u8]) -> Result<OffsetAndMetadata, LogFormatError> {
    let (mut reader, version) = Reader::of_value(bytes, HIGHEST_VALUE_VERSION, FIRST_FLEXIBLE_VERSION)?;
    let offset = reader.i64()?;
    let leader_epoch = if version >= 3 { reader.i32()? } else { -1 };
    let metadata = shared_text(reader.string()?);
    let commit_timestamp_ms = reader.i64()?;
    let expire_timestamp_ms = match version {
        1 => Some(reader.i64()?).filter(|&ms| ms != -1),
        _ => None,
    };
    Ok(OffsetAndMetadata {
        offset,
        leader_epoch,
        metadata,
        commit_timestamp_ms,
        expire_timestamp_ms,
    })
}

/// Shares one empty string. Most metadata strings are empty, and millions are loaded; each would cost an allocation.
pub fn shared_text(text: &str) -> Arc<str> {
    match text {
        "" => Arc::default(),
        text => text.into(),
    }
}

/// Reads the value of a group's generation, versions 0 to 4.
pub fn read_group_value(bytes: &[u8]) -> Result<GroupMetadataValue, LogFormatError> {
    let (mut reader, version) = Reader::of_value(bytes, HIGHEST_VALUE_VERSION, FIRST_FLEXIBLE_VERSION)?;
    let protocol_type = reader.string()?.to_owned();
    let generation = reader.i32()?;
    let protocol = reader.nullable_string()?.map(str::to_owned);
    let leader = reader.nullable_string()?.map(str::to_owned);
    let current_state_timestamp = if version >= 2 { reader.i64()? } else { -1 };
    let count = reader.array_length()?;
    // The count may be wrong, so nothing is preallocated for it.
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(read_member(&mut reader, version)?);
    }
    Ok(GroupMetadataValue {
        protocol_type,
        generation,
        protocol,
        leader,
        current_state_timestamp,
        members,
    })
}

fn read_member(reader: &mut Reader<'_>, version: i16) -> Result<MemberValue, LogFormatError> {
    let member_id = reader.string()?.to_owned();
    let group_instance_id = match version {
        3.. => reader.nullable_string()?.map(str::to_owned),
        _ => None,
    };
    let client_id = reader.string()?.to_owned();
    let client_host = reader.string()?.to_owned();
    let rebalance_timeout_ms = if version >= 1 { Some(reader.i32()?) } else { None };
    let session_timeout_ms = reader.i32()?;
    let subscription = Bytes::copy_from_slice(reader.bytes()?);
    let assignment = Bytes::copy_from_slice(reader.bytes()?);
    reader.tagged_fields()?;
    Ok(MemberValue {
        member_id,
        group_instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
        session_timeout_ms,
        subscription,
        assignment,
    })
}

/// The topics in a `ConsumerProtocolSubscription`. `None` if the bytes are not one.
///
/// Every version begins like version 0: version:i16, topics:array of string, user_data:bytes?.
pub fn read_subscribed_topics(subscription: &[u8]) -> Option<Vec<&str>> {
    let mut reader = Reader::new(subscription);
    if reader.i16().ok()? < 0 {
        return None;
    }
    let count = reader.array_length().ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        topics.push(reader.string().ok()?);
    }
    reader.nullable_bytes().ok()?;
    Some(topics)
}

#[cfg(test)]
mod tests;

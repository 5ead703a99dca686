//! Fetch responses, versions 0 to 17. This module encodes them itself around ranges of files, so that records go from
//! the page cache directly to the socket. Kafka 3.9: `FetchResponse`, `MultiRecordsSend`.
//!
//! ```text
//! response  = throttle_time_ms i32 (1+) | error_code i16 (7+) | session_id i32 (7+) | [topic]
//!             | tags (12+): 0 node_endpoints (16+)
//! topic     = name string (0-12) | topic_id uuid (13+) | [partition] | tags (12+)
//! partition = index i32 | error_code i16 | high_watermark i64 | last_stable_offset i64 (4+)
//!             | log_start_offset i64 (5+) | nullable [producer_id i64, first_offset i64, tags (12+)] (4+)
//!             | preferred_read_replica i32 (11+) | records
//!             | tags (12+): 0 diverging_epoch, 1 current_leader
//! ```
//! From version 12 on lengths and counts are varints of the value plus 1; 0 means null.

use bytes::{BufMut, BytesMut};

use super::codec::EncodeError;
use super::response::{Chunk, Response};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId, TopicName};

/// First version with compact lengths and tagged fields.
const FIRST_FLEXIBLE: i16 = 12;
/// First version with topic ids in place of names.
const FIRST_WITH_TOPIC_IDS: i16 = 13;
/// First version with the addresses of the leaders that it names.
const FIRST_WITH_NODE_ENDPOINTS: i16 = 16;

/// The response to a Fetch request.
#[derive(Clone, Debug)]
pub struct FetchResponse {
    /// How long the client was throttled because of its quota.
    pub throttle_time_ms: i32,
    /// The error of the whole request.
    pub error: ErrorCode,
    /// The fetch session, 0 for none.
    pub session_id: i32,
    /// The topics with partitions to report.
    pub topics: Vec<FetchTopicResponse>,
    /// The addresses of the brokers in `current_leader` (KIP-951).
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic.
#[derive(Clone, Debug)]
pub struct FetchTopicResponse {
    /// Written up to version 12.
    pub name: TopicName,
    /// Written from version 13 on.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<FetchPartitionResponse>,
}

/// One partition.
#[derive(Clone, Debug)]
pub struct FetchPartitionResponse {
    /// The partition's number.
    pub index: i32,
    /// The partition's error.
    pub error: ErrorCode,
    /// -1 if unknown; the same holds for the next two fields.
    pub high_watermark: Offset,
    /// Written from version 4 on.
    pub last_stable_offset: Offset,
    /// Written from version 5 on.
    pub log_start_offset: Offset,
    /// Largest epoch not above the follower's last fetched one, and its end (KIP-595); from version 12.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// The partition's actual leader (KIP-951); from version 12, in Kafka only set from 16 on.
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
    /// Producer ids and first offsets; `None` unless the consumer reads committed data. From version 4 on.
    pub aborted_transactions: Option<Vec<(ProducerId, Offset)>>,
    /// The replica that the consumer should prefer (KIP-392), or -1; from version 11.
    pub preferred_read_replica: BrokerId,
    /// Whole batches in order; empty for an error.
    pub records: Vec<Chunk>,
    /// Kafka returns null for records that it refuses to convert, and an empty field in all other cases.
    pub records_are_null: bool,
}

/// The address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct NodeEndpoint {
    pub id: BrokerId,
    pub host: String,
    pub port: u16,
    pub rack: Option<String>,
}

impl FetchPartitionResponse {
    /// A partition with only an error.
    #[cfg(test)]
    pub fn error(index: i32, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            current_leader: None,
            aborted_transactions: None,
            preferred_read_replica: crate::common::ids::NO_BROKER,
            records: vec![],
            records_are_null: false,
        }
    }

    /// Bytes of records.
    pub fn records_size(&self) -> usize {
        self.records.iter().map(Chunk::len).sum()
    }
}

impl FetchResponse {
    /// A response with only an error.
    pub fn error(error: ErrorCode) -> Self {
        Self {
            throttle_time_ms: 0,
            error,
            session_id: 0,
            topics: vec![],
            node_endpoints: vec![],
        }
    }

    /// The encoded response in one of the versions 0 to 17.
    pub fn into_response(self, version: i16, correlation_id: i32) -> Result<Response, EncodeError> {
        let mut layout = Layout::new(version);
        // The length is filled in at the end.
        layout.bytes.put_i32(0);
        layout.bytes.put_i32(correlation_id);
        if layout.is_flexible() {
            layout.tags(0);
        }
        layout.response(self);
        layout.finish()
    }
}

/// A response under construction: finished chunks, and the bytes after them.
struct Layout {
    version: i16,
    chunks: Vec<Chunk>,
    bytes: BytesMut,
}

impl Layout {
    fn new(version: i16) -> Self {
        Self {
            version,
            chunks: vec![],
            bytes: BytesMut::with_capacity(256),
        }
    }

    fn is_flexible(&self) -> bool {
        self.version >= FIRST_FLEXIBLE
    }

    fn response(&mut self, response: FetchResponse) {
        if self.version >= 1 {
            self.bytes.put_i32(response.throttle_time_ms);
        }
        if self.version >= 7 {
            self.bytes.put_i16(response.error.code());
            self.bytes.put_i32(response.session_id);
        }
        self.length(Some(response.topics.len()));
        for topic in response.topics {
            self.topic(topic);
        }
        if self.version >= FIRST_WITH_NODE_ENDPOINTS && !response.node_endpoints.is_empty() {
            self.tags(1);
            let mut inner = Self::new(self.version);
            inner.node_endpoints(&response.node_endpoints);
            self.tag(0, &inner.bytes);
        } else if self.is_flexible() {
            self.tags(0);
        }
    }

    fn topic(&mut self, topic: FetchTopicResponse) {
        if self.version >= FIRST_WITH_TOPIC_IDS {
            self.bytes.put_slice(topic.id.as_bytes());
        } else {
            self.string(Some(&topic.name));
        }
        self.length(Some(topic.partitions.len()));
        for partition in topic.partitions {
            self.partition(partition);
        }
        if self.is_flexible() {
            self.tags(0);
        }
    }

    fn partition(&mut self, partition: FetchPartitionResponse) {
        self.bytes.put_i32(partition.index);
        self.bytes.put_i16(partition.error.code());
        self.bytes.put_i64(partition.high_watermark);
        if self.version >= 4 {
            self.bytes.put_i64(partition.last_stable_offset);
        }
        if self.version >= 5 {
            self.bytes.put_i64(partition.log_start_offset);
        }
        if self.version >= 4 {
            self.length(partition.aborted_transactions.as_ref().map(Vec::len));
            for (producer_id, first_offset) in partition.aborted_transactions.iter().flatten() {
                self.bytes.put_i64(*producer_id);
                self.bytes.put_i64(*first_offset);
                if self.is_flexible() {
                    self.tags(0);
                }
            }
        }
        if self.version >= 11 {
            self.bytes.put_i32(partition.preferred_read_replica);
        }
        let size = partition.records_size();
        self.length((!partition.records_are_null).then_some(size));
        for chunk in partition.records {
            self.chunk(chunk);
        }
        if self.is_flexible() {
            let diverging_epoch = partition.diverging_epoch;
            let current_leader = partition.current_leader;
            self.tags(usize::from(diverging_epoch.is_some()) + usize::from(current_leader.is_some()));
            if let Some((epoch, end_offset)) = diverging_epoch {
                let mut inner = BytesMut::with_capacity(13);
                inner.put_i32(epoch);
                inner.put_i64(end_offset);
                inner.put_u8(0);
                self.tag(0, &inner);
            }
            if let Some((leader, epoch)) = current_leader {
                let mut inner = BytesMut::with_capacity(9);
                inner.put_i32(leader);
                inner.put_i32(epoch);
                inner.put_u8(0);
                self.tag(1, &inner);
            }
        }
    }

    fn node_endpoints(&mut self, endpoints: &[NodeEndpoint]) {
        self.length(Some(endpoints.len()));
        for endpoint in endpoints {
            self.bytes.put_i32(endpoint.id);
            self.string(Some(&endpoint.host));
            self.bytes.put_i32(i32::from(endpoint.port));
            self.string(endpoint.rack.as_deref());
            self.tags(0);
        }
    }

    fn string(&mut self, text: Option<&str>) {
        if self.is_flexible() {
            self.length(text.map(str::len));
        } else {
            self.bytes.put_i16(text.map_or(-1, |text| text.len() as i16));
        }
        self.bytes.put_slice(text.unwrap_or_default().as_bytes());
    }

    /// Writes the length of an array or of bytes; `None` for null.
    fn length(&mut self, length: Option<usize>) {
        if self.is_flexible() {
            self.varint(length.map_or(0, |length| length + 1));
        } else {
            self.bytes.put_i32(length.map_or(-1, |length| length as i32));
        }
    }

    /// Writes the number of the tagged fields that follow.
    fn tags(&mut self, count: usize) {
        self.varint(count);
    }

    fn tag(&mut self, tag: usize, content: &[u8]) {
        self.varint(tag);
        self.varint(content.len());
        self.bytes.put_slice(content);
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    fn chunk(&mut self, chunk: Chunk) {
        if !chunk.is_empty() {
            let before = self.bytes.split().freeze();
            self.chunks.push(Chunk::Bytes(before));
            self.chunks.push(chunk);
        }
    }

    fn finish(mut self) -> Result<Response, EncodeError> {
        self.chunks.push(Chunk::Bytes(self.bytes.freeze()));
        let size = self.chunks.iter().map(Chunk::len).sum::<usize>() - super::frame::LENGTH_BYTES;
        let length = i32::try_from(size).map_err(|_| EncodeError {
            message: "FetchResponse",
            version: self.version,
            reason: format!("its {size} bytes do not fit into a frame"),
        })?;
        if let Some(Chunk::Bytes(first)) = self.chunks.first_mut() {
            let mut with_length = BytesMut::from(std::mem::take(first));
            with_length[..super::frame::LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
            *first = with_length.freeze();
        }
        Ok(Response::of_chunks(self.chunks))
    }
}

#[cfg(test)]
mod tests;

//! Builder of batches of format 2, for coordinators, transaction markers, re-encoding and tests. Kafka 3.9:
//! `MemoryRecordsBuilder`.

use bytes::{Bytes, BytesMut};

use super::batch::{
    BatchHeader, CURRENT_MAGIC, LOG_OVERHEAD, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    RECORD_BATCH_OVERHEAD, attributes_of,
};
use super::compression::Compression;
use super::control::EndTransactionMarker;
use super::record::Headers;
use super::varint::{put_varint, put_varlong};
use crate::common::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset, ProducerId};
use crate::config::TimestampType;

/// A batch of format 2 under construction.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    base_offset: Offset,
    next_offset: Offset,
    partition_leader_epoch: LeaderEpoch,
    compression: Compression,
    level: Option<i32>,
    log_append_time: Option<i64>,
    is_transactional: bool,
    is_control: bool,
    producer: (ProducerId, i16, i32),
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    count: i32,
    records: Vec<u8>,
    body: Vec<u8>,
}

impl BatchBuilder {
    /// A batch whose first record has `base_offset`; 0 if a leader will set it.
    pub fn new(base_offset: Offset) -> Self {
        Self {
            base_offset,
            next_offset: base_offset,
            partition_leader_epoch: NO_LEADER_EPOCH,
            compression: Compression::None,
            level: None,
            log_append_time: None,
            is_transactional: false,
            is_control: false,
            producer: (NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE),
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            count: 0,
            records: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The one-record control batch that ends a transaction on a partition.
    pub fn end_transaction_marker(
        marker: EndTransactionMarker,
        producer_id: ProducerId,
        producer_epoch: i16,
        timestamp: i64,
    ) -> Bytes {
        let mut builder = Self::new(0)
            .producer(producer_id, producer_epoch, NO_SEQUENCE)
            .transactional(true)
            .control();
        builder.append(timestamp, Some(&marker.key()), Some(&marker.value()), &[]);
        builder.build()
    }

    /// Compresses the records; `level` is the result of [`Compression::level`].
    pub fn compression(mut self, compression: Compression, level: Option<i32>) -> Self {
        (self.compression, self.level) = (compression, level);
        self
    }

    /// Gives the batch the leader's time instead of the records' own timestamps.
    pub fn log_append_time(mut self, log_append_time: Option<i64>) -> Self {
        self.log_append_time = log_append_time;
        self
    }

    /// Sets the batch's producer and the sequence number of its first record.
    pub fn producer(mut self, id: ProducerId, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    /// Marks the batch as part of a transaction.
    pub fn transactional(mut self, is_transactional: bool) -> Self {
        self.is_transactional = is_transactional;
        self
    }

    /// Marks the batch as one that holds a control record.
    pub fn control(mut self) -> Self {
        self.is_control = true;
        self
    }

    /// Sets the epoch of the leader that writes the batch.
    pub fn partition_leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.partition_leader_epoch = epoch;
        self
    }

    /// Adds a record at the next offset.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let mut bytes = Vec::new();
        for (key, value) in headers {
            put_nullable(&mut bytes, Some(key.as_bytes()));
            put_nullable(&mut bytes, *value);
        }
        let count = i32::try_from(headers.len()).expect("fewer than 2^31 headers");
        self.append_with_offset(
            self.next_offset,
            timestamp,
            key,
            value,
            Headers { count, bytes: &bytes },
        );
    }

    /// Adds a record with encoded headers. Its offset must not be less than the next one.
    pub fn append_with_offset(
        &mut self,
        offset: Offset,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) {
        assert!(
            offset >= self.next_offset,
            "offset {offset} after {}",
            self.next_offset - 1
        );
        let offset_delta =
            i32::try_from(offset - self.base_offset).expect("a batch spans fewer than 2^31 offsets");
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        self.body.clear();
        self.body.push(0);
        put_varlong(&mut self.body, timestamp.wrapping_sub(base_timestamp));
        put_varint(&mut self.body, offset_delta);
        put_nullable(&mut self.body, key);
        put_nullable(&mut self.body, value);
        put_varint(&mut self.body, headers.count);
        self.body.extend_from_slice(headers.bytes);
        put_varint(
            &mut self.records,
            i32::try_from(self.body.len()).expect("a record of less than 2 GiB"),
        );
        self.records.extend_from_slice(&self.body);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.next_offset = offset + 1;
        self.count += 1;
    }

    /// Number of records added so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Size of the batch if it were built now without compression.
    pub fn uncompressed_size(&self) -> usize {
        RECORD_BATCH_OVERHEAD + self.records.len()
    }

    /// The header, and the records that follow it. The batch must have a record.
    pub fn build_parts(self) -> (BatchHeader, Bytes) {
        assert!(self.count > 0, "a batch has a record");
        let records = match self.compression {
            Compression::None => self.records,
            compression => compression.compress(self.level, CURRENT_MAGIC, &self.records),
        };
        let timestamp_type = match self.log_append_time {
            None => TimestampType::CreateTime,
            Some(_) => TimestampType::LogAppendTime,
        };
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let mut header = BatchHeader {
            base_offset: self.base_offset,
            length: i32::try_from(RECORD_BATCH_OVERHEAD - LOG_OVERHEAD + records.len())
                .expect("a batch of less than 2 GiB"),
            partition_leader_epoch: self.partition_leader_epoch,
            magic: CURRENT_MAGIC,
            crc: 0,
            attributes: attributes_of(
                self.compression,
                timestamp_type,
                self.is_transactional,
                self.is_control,
            ),
            last_offset_delta: (self.next_offset - self.base_offset - 1) as i32,
            base_timestamp: self.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp: self.log_append_time.unwrap_or(self.max_timestamp),
            producer_id,
            producer_epoch,
            base_sequence,
            count: self.count,
        };
        header.seal(&records);
        (header, Bytes::from(records))
    }

    /// The whole batch.
    pub fn build(self) -> Bytes {
        let (header, records) = self.build_parts();
        let mut batch = BytesMut::with_capacity(RECORD_BATCH_OVERHEAD + records.len());
        batch.extend_from_slice(&header.encode());
        batch.extend_from_slice(&records);
        batch.freeze()
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        return put_varint(out, -1);
    };
    put_varint(
        out,
        i32::try_from(bytes.len()).expect("a field of less than 2 GiB"),
    );
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;

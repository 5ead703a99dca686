//! Records of format 2 as byte ranges, not fully decoded: the cleaner reads a record's key and copies the record
//! unchanged. Kafka 3.9: `DefaultRecord`, which Kafka's cleaner decodes and encodes again.

use super::error::RecordError;
use super::varint::{put_varint, put_varlong, read_varint, read_varlong};

/// One record of a batch, not decoded further.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// The whole record, including its length.
    pub bytes: &'a [u8],
    /// Its offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Its timestamp minus the batch's base timestamp.
    pub timestamp_delta: i64,
    /// `None` means null.
    pub key: Option<&'a [u8]>,
    /// Whether its value is not null; a record without a value is a tombstone.
    pub has_value: bool,
    attributes: u8,
    /// The bytes after the timestamp delta.
    rest: &'a [u8],
}

impl<'a> RawRecord<'a> {
    fn parse(bytes: &'a [u8], body: &'a [u8]) -> Option<Self> {
        let (&attributes, mut rest) = body.split_first()?;
        let timestamp_delta = read_varlong(&mut rest)?;
        let after_timestamp = rest;
        let offset_delta = read_varint(&mut rest)?;
        let key = match usize::try_from(read_varint(&mut rest)?) {
            Ok(length) => Some(rest.split_off(..length)?),
            Err(_) => None,
        };
        let value_length = usize::try_from(read_varint(&mut rest)?);
        if let Ok(length) = value_length {
            rest.split_off(..length)?;
        }
        Some(Self {
            bytes,
            offset_delta,
            timestamp_delta,
            key,
            has_value: value_length.is_ok(),
            attributes,
            rest: after_timestamp,
        })
    }

    /// Appends the record with another timestamp delta, for a batch whose base timestamp has changed.
    pub fn put_with_timestamp_delta(&self, timestamp_delta: i64, out: &mut Vec<u8>) {
        const VARLONG_MAX: usize = 10;
        let mut head = Vec::with_capacity(1 + VARLONG_MAX);
        head.push(self.attributes);
        put_varlong(&mut head, timestamp_delta);
        let length = i32::try_from(head.len() + self.rest.len()).expect("a record of less than 2 GiB");
        put_varint(out, length);
        out.extend_from_slice(&head);
        out.extend_from_slice(self.rest);
    }
}

/// Iterates over the records of a batch, which are already unpacked.
pub struct RawRecords<'a> {
    rest: &'a [u8],
    remaining: i32,
}

impl<'a> RawRecords<'a> {
    /// `count` records that fill all of `bytes`.
    pub fn new(count: i32, bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            remaining: count,
        }
    }

    fn read(&mut self) -> Option<RawRecord<'a>> {
        let start = self.rest;
        let length = usize::try_from(read_varint(&mut self.rest)?).ok()?;
        let body = self.rest.split_off(..length)?;
        RawRecord::parse(&start[..start.len() - self.rest.len()], body)
    }
}

impl<'a> Iterator for RawRecords<'a> {
    type Item = Result<RawRecord<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining <= 0 {
            let left = std::mem::take(&mut self.rest).len();
            return (left > 0).then(|| Err(RecordError::invalid("more bytes than the batch's records need")));
        }
        self.remaining -= 1;
        let record = self.read();
        if record.is_none() {
            (self.remaining, self.rest) = (0, &[]);
        }
        Some(record.ok_or_else(|| RecordError::invalid("a record does not fill its length")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, RecordBatch, RecordReader};

    #[test]
    fn raw_records_are_those_that_the_reader_finds() {
        let mut builder = BatchBuilder::new(7);
        builder.append(100, Some(b"a"), Some(b"1"), &[("h", Some(b"x")), ("i", None)]);
        builder.append(90, None, Some(&[b'v'; 300]), &[]);
        builder.append(170, Some(b""), None, &[]);
        let bytes = builder.build();
        let batch = RecordBatch::parse(&bytes).unwrap().unwrap();
        let mut reader = RecordReader::new(&batch, 1000).unwrap();
        let mut copied = Vec::new();
        for raw in RawRecords::new(3, batch.records()) {
            let raw = raw.unwrap();
            let record = reader.next().unwrap().unwrap();
            assert_eq!(record.offset, 7 + i64::from(raw.offset_delta));
            assert_eq!(record.timestamp, 100 + raw.timestamp_delta);
            assert_eq!((record.key, record.value.is_some()), (raw.key, raw.has_value));
            copied.extend_from_slice(raw.bytes);
        }
        assert_eq!(copied, batch.records());
    }

    #[test]
    fn what_does_not_fill_the_batch_is_refused() {
        let mut builder = BatchBuilder::new(0);
        builder.append(0, Some(b"key"), Some(b"value"), &[]);
        let bytes = builder.build();
        let records = RecordBatch::parse(&bytes).unwrap().unwrap().records();
        for cut in 1..records.len() {
            let walked: Vec<_> = RawRecords::new(1, &records[..cut]).collect();
            assert!(walked.len() == 1 && walked[0].is_err(), "cut at {cut}");
        }
        assert!(RawRecords::new(0, records).next().unwrap().is_err());
        assert!(RawRecords::new(2, records).nth(1).unwrap().is_err());
    }
}

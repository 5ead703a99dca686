//! The printed form of one record. Kafka 3.9: the inner loop of `DumpLogSegments.dumpLog`.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::batch_scan::FoundBatch;
use super::decoders::{Decoded, Decoder};
use super::java::{increment_sequence, text_of};
use crate::config::TimestampType;
use crate::record::batch::NO_SEQUENCE;
use crate::record::{BatchHeader, ControlRecordType, EndTransactionMarker, Record};

/// The names of KRaft's control record types in `ControlRecordType`, from 2 on.
const KRAFT_CONTROL_TYPES: [&str; 5] = [
    "LEADER_CHANGE",
    "SNAPSHOT_HEADER",
    "SNAPSHOT_FOOTER",
    "KRAFT_VERSION",
    "KRAFT_VOTERS",
];

/// The name of the batch's timestamp type in Kafka's `TimestampType`.
pub(super) fn timestamp_type_name(header: &BatchHeader) -> &'static str {
    match (header.magic(), header.timestamp_type()) {
        (0, _) => "NoTimestampType",
        (_, TimestampType::CreateTime) => "CreateTime",
        (_, TimestampType::LogAppendTime) => "LogAppendTime",
    }
}

/// The content of a control record.
enum Control {
    Marker(EndTransactionMarker),
    Other { name: &'static str, id: i16 },
}

impl Control {
    fn read(record: &Record<'_>) -> Result<Self, String> {
        let id = match record.key.unwrap_or_default() {
            [a, b, c, d, ..] if i16::from_be_bytes([*a, *b]) >= 0 => i16::from_be_bytes([*c, *d]),
            _ => return Err("the key is not that of a control record".to_owned()),
        };
        if let 0 | 1 = id {
            let marker = EndTransactionMarker::from_record(record).map_err(|error| error.to_string())?;
            return Ok(Self::Marker(marker));
        }
        let known = usize::try_from(id)
            .ok()
            .and_then(|id| KRAFT_CONTROL_TYPES.get(id.checked_sub(2)?));
        Ok(Self::Other {
            name: known.copied().unwrap_or("UNKNOWN"),
            id,
        })
    }
}

/// One record, and which parts of it are printed.
pub(super) struct RecordLine<'a> {
    batch: &'a FoundBatch,
    record: &'a Record<'a>,
    /// In formats 0 and 1 each message has its own checksum: the checksum and whether it is right.
    message_crc: Option<(u32, bool)>,
    skip_metadata: bool,
    control: Option<Control>,
    key: Option<Decoded>,
    payload: Option<Decoded>,
}

impl<'a> RecordLine<'a> {
    /// The record without its key, value and marker.
    pub(super) fn new(
        batch: &'a FoundBatch,
        record: &'a Record<'a>,
        message_crc: Option<(u32, bool)>,
        skip_metadata: bool,
    ) -> Self {
        Self {
            batch,
            record,
            message_crc,
            skip_metadata,
            control: None,
            key: None,
            payload: None,
        }
    }

    /// Reads the parts to print: a marker, or key and value. After an error the line holds the parts before it, as in
    /// Kafka's tool.
    pub(super) fn read_content(&mut self, decoder: &Decoder, prints_data: bool) -> Result<(), String> {
        if self.batch.header.is_control_batch() && self.batch.magic >= 2 {
            if !self.skip_metadata {
                self.control = Some(Control::read(self.record)?);
            }
        } else if prints_data {
            (self.key, self.payload) = decoder.decode(self.record)?;
        }
        Ok(())
    }

    fn sequence(&self) -> i32 {
        match self.batch.header.base_sequence() {
            ..=NO_SEQUENCE => NO_SEQUENCE,
            base => {
                let delta = self.record.offset.wrapping_sub(self.batch.header.base_offset());
                increment_sequence(base, delta as i32)
            }
        }
    }

    fn header_keys(&self) -> impl Iterator<Item = String> + '_ {
        self.record.headers.iter().map(|(key, _)| text_of(key))
    }

    fn write_metadata(&self, out: &mut dyn Write) -> io::Result<()> {
        let size_of = |field: Option<&[u8]>| field.map_or(-1, |bytes| bytes.len() as i64);
        write!(
            out,
            "| offset: {} {}: {} keySize: {} valueSize: {}",
            self.record.offset,
            timestamp_type_name(&self.batch.header),
            self.record.timestamp,
            size_of(self.record.key),
            size_of(self.record.value),
        )?;
        if self.batch.magic >= 2 {
            let keys: Vec<_> = self.header_keys().collect();
            write!(
                out,
                " sequence: {} headerKeys: [{}]",
                self.sequence(),
                keys.join(",")
            )?;
        }
        if let Some((crc, is_valid)) = self.message_crc {
            // Kafka's tool prints one brace too many, too.
            write!(out, " isValid: {is_valid} crc: {crc}}}")?;
        }
        match &self.control {
            Some(Control::Marker(marker)) => write!(
                out,
                " endTxnMarker: {} coordinatorEpoch: {}",
                marker_name(marker),
                marker.coordinator_epoch
            ),
            Some(Control::Other { name, id }) => write!(out, " controlType: {name}({id})"),
            None => Ok(()),
        }
    }
}

fn marker_name(marker: &EndTransactionMarker) -> &'static str {
    match marker.control_type {
        ControlRecordType::Abort => "ABORT",
        ControlRecordType::Commit => "COMMIT",
    }
}

impl super::report::Line for RecordLine<'_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut prefix = "| ";
        if !self.skip_metadata {
            self.write_metadata(out)?;
            prefix = " ";
        }
        if let Some(key) = &self.key {
            write!(out, "{prefix}key: {}", key.text())?;
        }
        if let Some(payload) = &self.payload {
            write!(out, " payload: {}", payload.text())?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("kind".into(), "record".into());
        object.insert("offset".into(), self.record.offset.into());
        if !self.skip_metadata {
            object.insert("timestamp".into(), self.record.timestamp.into());
            object.insert("keySize".into(), self.record.key.map(<[u8]>::len).into());
            object.insert("valueSize".into(), self.record.value.map(<[u8]>::len).into());
            if self.batch.magic >= 2 {
                object.insert("sequence".into(), self.sequence().into());
                object.insert("headerKeys".into(), self.header_keys().collect());
            }
            if let Some((crc, is_valid)) = self.message_crc {
                object.insert("crc".into(), crc.into());
                object.insert("isValid".into(), is_valid.into());
            }
            match &self.control {
                Some(Control::Marker(marker)) => {
                    object.insert("endTxnMarker".into(), marker_name(marker).into());
                    object.insert("coordinatorEpoch".into(), marker.coordinator_epoch.into());
                }
                Some(Control::Other { name, id }) => {
                    object.insert("controlType".into(), json!({ "name": name, "id": id }));
                }
                None => {}
            }
        }
        for (name, content) in [("key", &self.key), ("payload", &self.payload)] {
            if let Some(content) = content {
                object.insert(name.into(), content.json());
            }
        }
        Value::Object(object)
    }
}

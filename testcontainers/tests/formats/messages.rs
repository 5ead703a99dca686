//! Builds valid and invalid messages of formats 0 and 1, and describes the content of all three formats.

use anyhow::{Context, Result};
use barnabas::parts::{Compression, RecordBatch, RecordBatches, RecordReader};
use bytes::Bytes;

const UNPACKED_MAX: usize = 1 << 20;
const APPEND_TIME: u8 = 8;

/// The parts of a message.
#[derive(Clone, Copy)]
struct Message<'a> {
    offset: i64,
    magic: i8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

/// The checksum of formats 0 and 1.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (!(crc & 1)).wrapping_add(1));
        }
    }
    !crc
}

impl Message<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut body = vec![self.magic as u8, self.attributes];
        if self.magic > 0 {
            body.extend(self.timestamp.to_be_bytes());
        }
        for field in [self.key, self.value] {
            body.extend(field.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
            body.extend(field.unwrap_or_default());
        }
        let mut message = self.offset.to_be_bytes().to_vec();
        message.extend((body.len() as i32 + 4).to_be_bytes());
        message.extend(crc32(&body).to_be_bytes());
        message.extend(body);
        message
    }
}

fn message(offset: i64, magic: i8) -> Message<'static> {
    Message {
        offset,
        magic,
        attributes: 0,
        timestamp: 1_000 + offset % 2,
        key: Some(b"key"),
        value: Some(b"value"),
    }
}

/// The bytes of messages with these offsets.
fn messages(offsets: &[i64], magic: i8) -> Vec<u8> {
    let encoded = offsets.iter().map(|&offset| message(offset, magic).encode());
    encoded.collect::<Vec<_>>().concat()
}

fn wrapper(offset: i64, magic: i8, codec: Compression, inner: &[u8]) -> Vec<u8> {
    let value = codec.compress(None, magic, inner);
    Message {
        attributes: codec.id() as u8,
        key: None,
        value: Some(&value),
        timestamp: 5_000,
        ..message(offset, magic)
    }
    .encode()
}

/// Valid and invalid records that producers send, by name.
pub fn shapes(codecs: &[Compression]) -> Vec<(String, Bytes)> {
    let mut shapes = Vec::new();
    for magic in 0..2 {
        let mut add = |name: String, bytes: Vec<u8>| {
            shapes.push((format!("format {magic}: {name}"), Bytes::from(bytes)));
        };
        plain(magic, &mut add);
        for &codec in &codecs[1..] {
            wrapped(magic, codec, &mut |name, bytes| {
                add(format!("{}, {name}", codec.name()), bytes)
            });
        }
        let nested = wrapper(2, magic, Compression::Gzip, &messages(&[0, 1, 2], magic));
        add(
            "a wrapper in a wrapper".into(),
            wrapper(2, magic, Compression::Snappy, &nested),
        );
        add(
            "zstd".into(),
            wrapper(2, magic, Compression::Zstd, &messages(&[0, 1, 2], magic)),
        );
    }
    shapes
}

fn plain(magic: i8, add: &mut impl FnMut(String, Vec<u8>)) {
    let first = message(0, magic);
    let mut flipped = first.encode();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let cut = messages(&[0, 1], magic);
    let cases = [
        ("three messages", messages(&[0, 1, 2], magic)),
        ("offsets of no use", messages(&[7, 7, 3], magic)),
        ("negative offsets", messages(&[-1, -5], magic)),
        ("a flipped byte", flipped),
        ("a cut message", cut[..cut.len() - 3].to_vec()),
        ("nothing whole", cut[..20].to_vec()),
        ("nothing", Vec::new()),
        (
            "both formats",
            [messages(&[0], magic), messages(&[1], 1 - magic)].concat(),
        ),
        ("no key", Message { key: None, ..first }.encode()),
        ("no value", Message { value: None, ..first }.encode()),
        (
            "append time",
            Message {
                attributes: APPEND_TIME,
                ..first
            }
            .encode(),
        ),
        (
            "no timestamp",
            Message {
                timestamp: -1,
                ..first
            }
            .encode(),
        ),
        (
            "a negative timestamp",
            Message {
                timestamp: -7,
                ..first
            }
            .encode(),
        ),
        (
            "an unknown codec",
            Message {
                attributes: 5,
                ..first
            }
            .encode(),
        ),
        (
            "unknown attributes",
            Message {
                attributes: 0x70,
                ..first
            }
            .encode(),
        ),
    ];
    for (name, bytes) in cases {
        add(name.into(), bytes);
    }
}

fn wrapped(magic: i8, codec: Compression, add: &mut impl FnMut(&str, Vec<u8>)) {
    let wrap = |offset, inner: &[u8]| wrapper(offset, magic, codec, inner);
    let three = messages(&[0, 1, 2], magic);
    let garbage = Message {
        attributes: codec.id() as u8,
        value: Some(b"garbage"),
        ..message(0, magic)
    };
    add("three messages", wrap(2, &three));
    add("offset 0", wrap(0, &three));
    add("absolute offsets", wrap(9, &messages(&[7, 8, 9], magic)));
    add("gaps", wrap(9, &messages(&[0, 2, 9], magic)));
    add("equal offsets", wrap(0, &messages(&[0, 0, 0], magic)));
    add("no message", wrap(0, &[]));
    add("a cut message", wrap(2, &three[..three.len() - 3]));
    add(
        "the other format inside",
        wrap(2, &messages(&[0, 1, 2], 1 - magic)),
    );
    add("two wrappers", [wrap(2, &three), wrap(5, &three)].concat());
    add(
        "a message before it",
        [messages(&[0], magic), wrap(3, &three)].concat(),
    );
    add(
        "a message behind it",
        [wrap(2, &three), messages(&[3], magic)].concat(),
    );
    add("garbage", garbage.encode());
    add(
        "no value",
        Message {
            value: None,
            ..garbage
        }
        .encode(),
    );
    add(
        "append time",
        Message {
            attributes: garbage.attributes | APPEND_TIME,
            value: Some(&codec.compress(None, magic, &three)),
            ..garbage
        }
        .encode(),
    );
    let mut bad = message(1, magic).encode();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    add(
        "a flipped byte inside",
        wrap(1, &[messages(&[0], magic), bad].concat()),
    );
}

/// Describes all whole batches or messages. Returns the text and the offset after them. Two implementations of a codec
/// may compress differently, so compressed messages are shown uncompressed, with only the beginning of the frame as it
/// is. For an old client, the bytes after the last whole message are not described: Kafka fixes the size of the
/// response before it converts the messages, and fills the rest with a part of a message.
pub fn describe(bytes: &[u8], is_old: bool) -> Result<(String, Option<i64>)> {
    let mut text = String::new();
    let mut next = None;
    let mut batches = RecordBatches::new(bytes);
    for batch in batches.by_ref() {
        let batch = batch.context("a batch that cannot be read")?;
        next = Some(batch.next_offset());
        describe_batch(&batch, &mut text)?;
    }
    let rest = bytes.len() - batches.valid_bytes();
    if rest > 0 && !is_old {
        text += "half a batch\n";
    }
    Ok((text, next))
}

fn describe_batch(batch: &RecordBatch<'_>, text: &mut String) -> Result<()> {
    let codec = batch.compression().context("a codec")?;
    *text += &format!(
        "{}-{} m{} {} attributes {} max time {}{} ",
        batch.base_offset(),
        batch.last_offset(),
        batch.magic(),
        codec.name(),
        batch.attributes(),
        shown_time(batch, batch.max_timestamp()),
        if batch.is_valid_crc() { "" } else { " BAD CRC" },
    );
    let mut reader = RecordReader::new(batch, UNPACKED_MAX).context("records")?;
    while let Some(record) = reader.next().context("a record")? {
        let text_of = |bytes: Option<&[u8]>| bytes.map(|bytes| bytes.escape_ascii().to_string());
        *text += &format!(
            "({} {} {:?} {:?} {})",
            record.offset,
            shown_time(batch, record.timestamp),
            text_of(record.key),
            text_of(record.value),
            record.headers.len(),
        );
    }
    if batch.magic() < 2 && codec != Compression::None {
        *text += &inside(batch, codec)?;
    }
    *text += "\n";
    Ok(())
}

/// The time of a record. A time that the broker has set is shown as "now", because the two brokers' clocks differ.
fn shown_time(batch: &RecordBatch<'_>, timestamp: i64) -> String {
    match batch.timestamp_type() {
        barnabas::parts::TimestampType::LogAppendTime if timestamp > 0 => "now".into(),
        _ => timestamp.to_string(),
    }
}

/// The compressed messages of a batch, with their relative offsets as stored.
fn inside(batch: &RecordBatch<'_>, codec: Compression) -> Result<String> {
    let header = if batch.magic() == 0 { 18 } else { 26 };
    let packed = &batch.bytes()[header + 8..];
    let frame = match codec {
        // Magic number, flags, block size, and the header checksum, which old Kafka versions computed wrongly.
        Compression::Lz4 => &packed[..7],
        // The header of Xerial's snappy format.
        Compression::Snappy => &packed[..16],
        _ => &[],
    };
    let unpacked = codec
        .decompress(batch.magic(), packed, UNPACKED_MAX)
        .context("unpacking")?;
    let mut text = format!(" frame {} holds", frame.escape_ascii());
    for message in RecordBatches::new(&unpacked) {
        let message = message.context("a packed message")?;
        let is_whole = if message.is_valid_crc() { "" } else { " BAD CRC" };
        text += &format!(
            " {}/{}/{}{is_whole}",
            message.base_offset(),
            message.magic(),
            message.attributes()
        );
    }
    Ok(text)
}

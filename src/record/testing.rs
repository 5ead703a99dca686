//! Messages of formats 0 and 1 for tests: in the broker only the down-conversion writes such messages.

use super::compression::Compression;

/// A message as an old client or broker wrote it.
pub fn legacy_message(
    offset: i64,
    magic: i8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    message(offset, magic, 0, timestamp, key, value)
}

/// A message that holds other, compressed messages.
pub fn wrapper_message(
    offset: i64,
    magic: i8,
    timestamp: i64,
    codec: Compression,
    messages: &[u8],
) -> Vec<u8> {
    let value = codec.compress(None, magic, messages);
    message(offset, magic, codec.id() as u8, timestamp, None, Some(&value))
}

fn message(
    offset: i64,
    magic: i8,
    attributes: u8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut message = vec![magic as u8, attributes];
    if magic == 1 {
        message.extend(timestamp.to_be_bytes());
    }
    for field in [key, value] {
        message.extend(field.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        message.extend(field.unwrap_or_default());
    }
    let mut crc = flate2::Crc::new();
    crc.update(&message);
    let length = message.len() as i32 + 4;
    [
        &offset.to_be_bytes()[..],
        &length.to_be_bytes(),
        &crc.sum().to_be_bytes(),
        &message,
    ]
    .concat()
}

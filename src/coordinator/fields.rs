//! Encodes and decodes the fields of coordinator records, in Kafka's two layouts. Kafka 3.9: `MessageUtil`,
//! `ByteBufferAccessor`.
//!
//! All numbers are big-endian. A string is an i16 length and UTF-8, bytes are an i32 length and bytes, an array is an
//! i32 count and its elements; length -1 is null. In flexible versions, lengths are unsigned varints of length + 1 and
//! every struct ends with tagged fields. Such values are read but, as in Kafka 3.9, not written.

use bytes::{BufMut, BytesMut};

/// A key or value that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFormatError {
    /// The bytes end before the last field.
    #[error("truncated at byte {0}")]
    Truncated(usize),
    /// The version is unknown in Kafka 3.9 too.
    #[error("unknown value version {0}")]
    UnknownVersion(i16),
    /// No transaction state has this number.
    #[error("unknown transaction state {0}")]
    UnknownState(i8),
    /// A length below -1, a null in a non-nullable field, or text that is not UTF-8.
    #[error("malformed at byte {0}")]
    Malformed(usize),
    /// The string is too long for an i16 length.
    #[error("a string of {0} bytes is too long for a record")]
    StringTooLong(usize),
}

pub(super) fn put_string(out: &mut BytesMut, text: &str) -> Result<(), LogFormatError> {
    let length = i16::try_from(text.len()).map_err(|_| LogFormatError::StringTooLong(text.len()))?;
    out.put_i16(length);
    out.put_slice(text.as_bytes());
    Ok(())
}

pub(super) fn put_nullable_string(out: &mut BytesMut, text: Option<&str>) -> Result<(), LogFormatError> {
    match text {
        Some(text) => put_string(out, text),
        None => {
            out.put_i16(-1);
            Ok(())
        }
    }
}

/// The length fits: the bytes came in one request, and requests are limited to far less than 2 GiB.
pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

/// Reads a key or value and never reads past its end.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            flexible: false,
        }
    }

    /// Creates a reader that is positioned after the value's version.
    pub(super) fn of_value(
        bytes: &'a [u8],
        highest_version: i16,
        first_flexible_version: i16,
    ) -> Result<(Self, i16), LogFormatError> {
        let mut reader = Self::new(bytes);
        let version = reader.i16()?;
        if !(0..=highest_version).contains(&version) {
            return Err(LogFormatError::UnknownVersion(version));
        }
        reader.flexible = version >= first_flexible_version;
        Ok((reader, version))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], LogFormatError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let taken = rest
            .get(..length)
            .ok_or(LogFormatError::Truncated(self.position))?;
        self.position += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LogFormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn i8(&mut self) -> Result<i8, LogFormatError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, LogFormatError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, LogFormatError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, LogFormatError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn unsigned_varint(&mut self) -> Result<u32, LogFormatError> {
        let start = self.position;
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(LogFormatError::Malformed(start))
    }

    /// Reads a length. -1 is null.
    fn length(
        &mut self,
        fixed: impl FnOnce(&mut Self) -> Result<i32, LogFormatError>,
    ) -> Result<Option<usize>, LogFormatError> {
        let start = self.position;
        if self.flexible {
            return Ok((self.unsigned_varint()? as usize).checked_sub(1));
        }
        match fixed(self)? {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map(Some)
                .map_err(|_| LogFormatError::Malformed(start)),
        }
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<&'a str>, LogFormatError> {
        let start = self.position;
        let Some(length) = self.length(|r| r.i16().map(i32::from))? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| LogFormatError::Malformed(start))?;
        Ok(Some(text))
    }

    pub(super) fn string(&mut self) -> Result<&'a str, LogFormatError> {
        let start = self.position;
        self.nullable_string()?.ok_or(LogFormatError::Malformed(start))
    }

    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, LogFormatError> {
        match self.length(Self::i32)? {
            Some(length) => self.take(length).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], LogFormatError> {
        let start = self.position;
        self.nullable_bytes()?.ok_or(LogFormatError::Malformed(start))
    }

    pub(super) fn nullable_array_length(&mut self) -> Result<Option<usize>, LogFormatError> {
        self.length(Self::i32)
    }

    pub(super) fn array_length(&mut self) -> Result<usize, LogFormatError> {
        let start = self.position;
        self.nullable_array_length()?
            .ok_or(LogFormatError::Malformed(start))
    }

    /// Skips the tagged fields at the end of a struct of a flexible version.
    pub(super) fn tagged_fields(&mut self) -> Result<(), LogFormatError> {
        if self.flexible {
            for _ in 0..self.unsigned_varint()? {
                self.unsigned_varint()?;
                let size = self.unsigned_varint()? as usize;
                self.take(size)?;
            }
        }
        Ok(())
    }
}

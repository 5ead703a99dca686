//! Reader of the fields of keys and values: big-endian numbers, strings with an i16 length, bytes with an i32 length,
//! arrays with an i32 count; length -1 is null. `None` means that the bytes end too soon.

/// Reads fields from the front of the bytes.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// `length` bytes; the inner `None` means null.
    fn bytes_of(&mut self, length: i32) -> Option<Option<&'a [u8]>> {
        match length {
            -1 => Some(None),
            length => self.0.split_off(..usize::try_from(length).ok()?).map(Some),
        }
    }

    pub(super) fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        let length = self.i32()?;
        self.bytes_of(length)
    }

    pub(super) fn nullable_string(&mut self) -> Option<Option<&'a str>> {
        let length = self.i16()?;
        match self.bytes_of(length.into())? {
            Some(bytes) => std::str::from_utf8(bytes).ok().map(Some),
            None => Some(None),
        }
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.nullable_string()?
    }

    /// The number of elements that an array claims to have.
    pub(super) fn count(&mut self) -> Option<usize> {
        self.i32()?.try_into().ok()
    }
}

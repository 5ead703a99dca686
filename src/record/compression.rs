//! How the records of a batch are compressed. Kafka 3.9: `CompressionType`.

/// A codec, by its number in the attributes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in Kafka")]
#[repr(u8)]
pub enum Compression {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

/// A number that names no codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression type {0}")]
pub struct UnknownCompression(pub i16);

impl Compression {
    /// Every codec.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with this number.
    pub fn from_id(id: i16) -> Result<Self, UnknownCompression> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.id() == id)
            .ok_or(UnknownCompression(id))
    }

    /// The codec's number in the attributes.
    pub fn id(self) -> i16 {
        self as i16
    }
}

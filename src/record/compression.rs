//! Compression of a batch's records. Kafka 3.9: `CompressionType`, package `compress`.
//!
//! The codecs are standard crates; two framings around them are Kafka's:
//!
//! ```text
//! snappy, xerial framing: 82 "SNAPPY" 00 · i32 version 1 · i32 compatible version 1, then per block
//!                         i32 compressed length · one raw snappy block. A producer may also send one raw block.
//! lz4, format 0 only:     the frame's header checksum is taken over the magic number as well, because the
//!                         first Java client did so; a reader of format 0 therefore ignores it.
//! ```
//!
//! No buffer is allocated from a length that the bytes merely claim, except for zstd's window. The frame's header sets
//! its size, up to 128 MiB, but only the part that is really unpacked is ever touched.

use std::io::{self, BufReader, Read, Take, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use crate::config::{CompressionType, LogConfig};

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

/// A number without a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression type {0}")]
pub struct UnknownCompression(pub i16);

/// An error while unpacking.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// The unpacked bytes would exceed this size.
    #[error("more than {0} bytes when unpacked")]
    TooLarge(usize),
    /// The bytes are not valid for the codec.
    #[error("{0}")]
    Corrupt(String),
}

/// The unpacked bytes of a payload, one buffer at a time.
pub type Decompressor<'a> = BufReader<Take<Box<dyn Read + 'a>>>;

/// Size of the buffer between a codec and the parser of records: most records fit into it.
const STREAM_BUFFER_BYTES: usize = 32 * 1024;

const GZIP_MAGIC: &[u8] = b"\x1f\x8b";

const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = XERIAL_MAGIC.len() + 2 * size_of::<i32>();
const XERIAL_VERSION: i32 = 1;
/// Size of the blocks into which the Java client cuts its input.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// Snappy needs at least three bytes for a copy of 64 bytes, so no block grows by more than this factor.
const SNAPPY_MAX_EXPANSION: usize = 22;

const LZ4_FLAGS_AT: usize = 4;
const LZ4_FLAG_DICTIONARY: u8 = 0x01;
const LZ4_FLAG_CONTENT_SIZE: u8 = 0x08;

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

    /// The codec's name in configurations and in Kafka's tools.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec in which the log stores a batch that was compressed with `source`, under `compression.type`.
    pub fn target(compression_type: CompressionType, source: Self) -> Self {
        match compression_type {
            CompressionType::Producer => source,
            CompressionType::Uncompressed => Self::None,
            CompressionType::Gzip => Self::Gzip,
            CompressionType::Snappy => Self::Snappy,
            CompressionType::Lz4 => Self::Lz4,
            CompressionType::Zstd => Self::Zstd,
        }
    }

    /// The compression level that the topic configures. Snappy has none. `compression.lz4.level` has no effect, because
    /// the lz4 crate supports only one level, Kafka's default.
    pub fn level(self, config: &LogConfig) -> Option<i32> {
        match self {
            Self::None | Self::Snappy | Self::Lz4 => None,
            Self::Gzip => Some(config.compression_gzip_level),
            Self::Zstd => Some(config.compression_zstd_level),
        }
    }

    /// Compresses `bytes` for a batch of format `magic`; `level` as in [`Self::level`], `None` for Kafka's default.
    pub fn compress(self, level: Option<i32>, magic: i8, bytes: &[u8]) -> Vec<u8> {
        let packed = match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => compress_gzip(level, bytes),
            Self::Snappy => compress_xerial(bytes),
            Self::Lz4 => compress_lz4(magic, bytes),
            Self::Zstd => zstd::bulk::compress(bytes, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)),
        };
        packed.expect("packing bytes from memory into memory does not fail")
    }

    /// Unpacks all of `bytes`, up to `limit` unpacked bytes.
    pub fn decompress(self, magic: i8, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
        let mut unpacked = Vec::with_capacity(bytes.len().saturating_mul(2).min(limit));
        self.decompress_into(magic, bytes, limit, &mut unpacked)?;
        Ok(unpacked)
    }

    /// Does [`Self::decompress`] into `unpacked`, which must be empty.
    pub fn decompress_into(
        self,
        magic: i8,
        bytes: &[u8],
        limit: usize,
        unpacked: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        let result = self
            .reader(magic, bytes, limit.saturating_add(1))
            .and_then(|mut reader| reader.read_to_end(unpacked));
        if unpacked.len() > limit {
            return Err(DecompressError::TooLarge(limit));
        }
        result
            .map(drop)
            .map_err(|error| DecompressError::Corrupt(format!("{self:?} payload: {error}")))
    }

    /// Unpacks `bytes` in steps; after `limit` unpacked bytes it reports the end.
    pub fn reader(self, magic: i8, bytes: &[u8], limit: usize) -> io::Result<Decompressor<'_>> {
        let reader: Box<dyn Read + '_> = match self {
            Self::None => Box::new(bytes),
            Self::Gzip => Box::new(GzipReader(GzDecoder::new(bytes))),
            Self::Snappy => Box::new(SnappyReader::new(bytes)),
            Self::Lz4 if magic == 0 => Box::new(FrameDecoder::new(io::Cursor::new(mend_lz4_header(bytes)))),
            Self::Lz4 => Box::new(FrameDecoder::new(bytes)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(bytes)?),
        };
        Ok(BufReader::with_capacity(
            STREAM_BUFFER_BYTES,
            reader.take(limit as u64),
        ))
    }
}

fn compress_gzip(level: Option<i32>, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let level = match level {
        Some(level @ 0..=9) => flate2::Compression::new(level as u32),
        _ => flate2::Compression::default(),
    };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn compress_xerial(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend(XERIAL_VERSION.to_be_bytes());
    out.extend(XERIAL_VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(XERIAL_BLOCK_BYTES) {
        let packed = encoder.compress_vec(block)?;
        out.extend((packed.len() as i32).to_be_bytes());
        out.extend(packed);
    }
    Ok(out)
}

fn compress_lz4(magic: i8, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let frame = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(bytes)?;
    let mut out = encoder.finish()?;
    // An encoder without input has not written its header yet, so its frame has no checksum to change.
    if magic == 0
        && let Some(checksum_at) = lz4_header_checksum_at(&out)
    {
        out[checksum_at] = lz4_header_checksum(&out[..checksum_at]);
    }
    Ok(out)
}

/// Position of the one-byte checksum of a frame's header, if the bytes reach that far.
fn lz4_header_checksum_at(frame: &[u8]) -> Option<usize> {
    let flags = *frame.get(LZ4_FLAGS_AT)?;
    let content_size = if flags & LZ4_FLAG_CONTENT_SIZE != 0 { 8 } else { 0 };
    let dictionary = if flags & LZ4_FLAG_DICTIONARY != 0 { 4 } else { 0 };
    let at = LZ4_FLAGS_AT + 2 + content_size + dictionary;
    (at < frame.len()).then_some(at)
}

fn lz4_header_checksum(covered: &[u8]) -> u8 {
    (XxHash32::oneshot(0, covered) >> 8) as u8
}

/// The same frame with the header checksum that the lz4 specification demands.
fn mend_lz4_header(frame: &[u8]) -> Vec<u8> {
    let mut mended = frame.to_vec();
    if let Some(at) = lz4_header_checksum_at(frame) {
        mended[at] = lz4_header_checksum(&frame[LZ4_FLAGS_AT..at]);
    }
    mended
}

/// Unpacks one gzip member after the other. Bytes after the last member are ignored, as in Java.
struct GzipReader<'a>(GzDecoder<&'a [u8]>);

impl Read for GzipReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(out)?;
            let rest = *self.0.get_ref();
            if read > 0 || out.is_empty() || !rest.starts_with(GZIP_MAGIC) {
                return Ok(read);
            }
            self.0 = GzDecoder::new(rest);
        }
    }
}

/// Unpacks xerial framing block by block, or a single raw block if the framing's magic is missing.
struct SnappyReader<'a> {
    packed: &'a [u8],
    is_framed: bool,
    block: Vec<u8>,
    position: usize,
}

impl<'a> SnappyReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let is_framed = bytes.len() >= XERIAL_HEADER_BYTES && bytes.starts_with(XERIAL_MAGIC);
        let packed = if is_framed {
            &bytes[XERIAL_HEADER_BYTES..]
        } else {
            bytes
        };
        Self {
            packed,
            is_framed,
            block: Vec::new(),
            position: 0,
        }
    }

    fn next_packed(&mut self) -> io::Result<&'a [u8]> {
        if !self.is_framed {
            return Ok(std::mem::take(&mut self.packed));
        }
        let (length, rest) = self
            .packed
            .split_first_chunk()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = i32::from_be_bytes(*length);
        let length = usize::try_from(length).map_err(|_| corrupt_snappy("negative block length"))?;
        let (packed, rest) = rest
            .split_at_checked(length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.packed = rest;
        Ok(packed)
    }

    fn fill_block(&mut self) -> io::Result<()> {
        let packed = self.next_packed()?;
        let length = snap::raw::decompress_len(packed)?;
        if length > packed.len().saturating_mul(SNAPPY_MAX_EXPANSION) {
            return Err(corrupt_snappy("block claims an impossible length"));
        }
        self.block.resize(length, 0);
        self.position = 0;
        snap::raw::Decoder::new().decompress(packed, &mut self.block)?;
        Ok(())
    }
}

fn corrupt_snappy(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.block.len() {
            if self.packed.is_empty() {
                return Ok(0);
            }
            self.fill_block()?;
        }
        let read = (&self.block[self.position..]).read(out)?;
        self.position += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;

use proptest::prelude::*;

use super::*;

const CODECS: [Compression; 5] = Compression::ALL;

#[test]
fn xerial_framing_and_a_raw_block_are_both_read() {
    let bytes: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
    let framed = Compression::Snappy.compress(None, 2, &bytes);
    assert!(framed.starts_with(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"));
    assert_eq!(
        Compression::Snappy.decompress(2, &framed, bytes.len()),
        Ok(bytes.clone())
    );
    let raw = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    assert_eq!(Compression::Snappy.decompress(2, &raw, bytes.len()), Ok(bytes));
}

#[test]
fn gzip_members_are_joined_and_what_follows_is_ignored() {
    let one = Compression::Gzip.compress(None, 2, b"one ");
    let two = Compression::Gzip.compress(None, 2, b"two");
    for tail in [&b""[..], b"12345", &[0; 3]] {
        let packed = [&one[..], &two, tail].concat();
        assert_eq!(
            Compression::Gzip.decompress(2, &packed, 100),
            Ok(b"one two".to_vec())
        );
    }
    let empty = Compression::Gzip.compress(None, 2, b"");
    assert_eq!(
        Compression::Gzip.decompress(2, &[&empty[..], &two].concat(), 100),
        Ok(b"two".to_vec())
    );
    assert!(
        Compression::Gzip
            .decompress(2, &[&one[..], b"\x1f\x8b"].concat(), 100)
            .is_err()
    );
    assert!(
        Compression::Gzip
            .decompress(2, &one[..one.len() - 1], 100)
            .is_err()
    );
}

#[test]
fn lz4_of_format_0_has_the_old_checksum() {
    // Kafka's own constants for an empty descriptor of 64 KiB independent blocks.
    let old = Compression::Lz4.compress(None, 0, b"some bytes");
    let new = Compression::Lz4.compress(None, 1, b"some bytes");
    assert_eq!(old[..6], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40]);
    assert_eq!(new[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    assert_eq!(old[6], 0x1a, "taken over the magic number as well");
    assert_eq!(old[7..], new[7..]);
    for frame in [&old, &new] {
        assert_eq!(
            Compression::Lz4.decompress(0, frame, 100),
            Ok(b"some bytes".to_vec())
        );
    }
    assert!(
        Compression::Lz4.decompress(1, &old, 100).is_err(),
        "format 1 insists on the checksum"
    );
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    for codec in CODECS {
        let packed = codec.compress(None, 2, &zeros);
        assert_eq!(
            codec.decompress(2, &packed, zeros.len() - 1),
            Err(DecompressError::TooLarge(zeros.len() - 1))
        );
        assert_eq!(
            codec.decompress(2, &packed, zeros.len()).map(|bytes| bytes.len()),
            Ok(zeros.len())
        );
    }
}

#[test]
fn a_snappy_block_that_lies_about_its_length_allocates_nothing() {
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61];
    let error = Compression::Snappy
        .decompress(2, &lie, usize::MAX - 1)
        .unwrap_err();
    assert!(error.to_string().contains("impossible length"), "{error}");
}

#[test]
fn levels_come_from_the_topic() {
    let config = LogConfig {
        compression_gzip_level: 1,
        compression_zstd_level: 19,
        ..LogConfig::default()
    };
    assert_eq!(Compression::Gzip.level(&config), Some(1));
    assert_eq!(Compression::Zstd.level(&config), Some(19));
    let text: Vec<u8> = (0..20_000u32)
        .flat_map(|n| (n * n).to_string().into_bytes())
        .collect();
    for codec in [Compression::Gzip, Compression::Zstd] {
        let fast = codec.compress(Some(1), 2, &text).len();
        let small = codec
            .compress(Some(if codec == Compression::Gzip { 9 } else { 19 }), 2, &text)
            .len();
        assert!(small < fast, "{codec:?}: {small} against {fast}");
    }
}

#[test]
fn compression_type_chooses_the_target() {
    for codec in CODECS {
        assert_eq!(Compression::target(CompressionType::Producer, codec), codec);
        assert_eq!(
            Compression::target(CompressionType::Uncompressed, codec),
            Compression::None
        );
        assert_eq!(Compression::target(CompressionType::Lz4, codec), Compression::Lz4);
        assert_eq!(Compression::from_id(codec.id()), Ok(codec));
    }
    assert_eq!(Compression::from_id(5), Err(UnknownCompression(5)));
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(bytes in proptest::collection::vec(0u8..4, 0..100_000), magic in 0i8..3) {
        for codec in CODECS {
            let packed = codec.compress(None, magic, &bytes);
            prop_assert_eq!(codec.decompress(magic, &packed, bytes.len()).unwrap(), &bytes[..]);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), magic in 0i8..3) {
        for codec in CODECS {
            let _ = codec.decompress(magic, &bytes, 1 << 20);
            // The same bytes behind a valid beginning.
            let mut packed = codec.compress(None, magic, b"a beginning");
            packed.truncate(packed.len() / 2);
            packed.extend(&bytes);
            let _ = codec.decompress(magic, &packed, 1 << 20);
        }
    }
}

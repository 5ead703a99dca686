use proptest::prelude::*;

use super::*;
use crate::record::testing::{legacy_message, wrapper_message};
use crate::record::{BatchBuilder, Compression, RecordBatches};

const LIMIT: usize = 1 << 20;
const ORDERS: [&[u8]; 2] = [
    include_bytes!("../testdata/orders-0.log"),
    include_bytes!("../testdata/orders-1.log"),
];

/// Offset, timestamp, value.
type Read = (Offset, i64, Option<Vec<u8>>);

fn drain(batch: &RecordBatch<'_>) -> Result<Vec<Read>, RecordError> {
    let mut reader = RecordReader::new(batch, LIMIT)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push((record.offset, record.timestamp, record.value.map(<[u8]>::to_vec)));
    }
    Ok(records)
}

#[test]
fn captured_records_of_every_codec_are_read() {
    let mut codecs = std::collections::HashSet::new();
    for batch in ORDERS
        .into_iter()
        .flat_map(RecordBatches::new)
        .map(Result::unwrap)
    {
        let records = drain(&batch).unwrap();
        assert_eq!(records.len() as i32, batch.count().unwrap());
        assert_eq!(records.first().unwrap().0, batch.base_offset());
        assert_eq!(records.last().unwrap().0, batch.last_offset());
        assert_eq!(
            records.iter().map(|record| record.1).max().unwrap(),
            batch.max_timestamp()
        );
        codecs.insert(batch.compression().unwrap());
    }
    assert_eq!(
        codecs.len(),
        Compression::ALL.len(),
        "the capture has every codec"
    );
}

/// Written by Kafka's own `MemoryRecordsBuilder`: offsets 100–102 uncompressed, 110–112 in gzip (with append time 5000
/// if the format has it), 120–122 in snappy, 130–132 in lz4.
#[test]
fn old_messages_of_the_java_client_are_read() {
    let logs: [&[u8]; 2] = [
        include_bytes!("../testdata/magic-0.log"),
        include_bytes!("../testdata/magic-1.log"),
    ];
    for (magic, log) in logs.into_iter().enumerate() {
        let mut walk = RecordBatches::new(log);
        let mut found = Vec::new();
        for batch in walk.by_ref().map(Result::unwrap) {
            assert!(batch.is_valid_crc());
            assert_eq!(batch.magic(), magic as i8);
            found.extend(drain(&batch).unwrap());
            assert_eq!(found.last().unwrap().0, batch.last_offset());
        }
        assert_eq!(walk.valid_bytes(), log.len());
        let expected = [100, 110, 120, 130].into_iter().flat_map(|base| {
            (0..3).map(move |n| {
                let timestamp = match (magic, base) {
                    (0, _) => NO_TIMESTAMP,
                    (_, 110) => 5000,
                    _ => 1000 + n,
                };
                (
                    base + n,
                    timestamp,
                    (n < 2).then(|| format!("value value value value {n}").into_bytes()),
                )
            })
        });
        assert!(found.into_iter().eq(expected), "format {magic}");
    }
}

#[test]
fn a_record_larger_than_the_buffer_is_gathered_up_to_the_limit() {
    let value: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        builder.append(1, None, Some(b"small"), &[]);
        builder.append(1, None, Some(&value), &[]);
        builder.append(1, None, Some(b"after"), &[]);
        let bytes = builder.build();
        let batch = RecordBatch::parse(&bytes).unwrap().unwrap();
        let values: Vec<_> = drain(&batch)
            .unwrap()
            .into_iter()
            .map(|record| record.2.unwrap())
            .collect();
        assert_eq!(values, [&b"small"[..], &value, b"after"]);
        let mut reader = RecordReader::new(&batch, value.len()).unwrap();
        assert!(reader.next().unwrap().is_some());
        let is_refused = reader.next() == Err(RecordError::TooLarge(value.len()));
        assert_eq!(
            is_refused,
            codec != Compression::None,
            "what lies in the batch already costs nothing"
        );
    }
}

#[test]
fn the_count_must_fit_the_records() {
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        builder.append(1, None, Some(b"one"), &[]);
        builder.append(1, None, Some(b"two"), &[]);
        let (header, records) = builder.build_parts();
        for (count, fits) in [
            (2, true),
            (1, false),
            (3, false),
            (0, false),
            (-1, false),
            (i32::MAX, false),
        ] {
            let header = BatchHeader { count, ..header };
            let bytes = [&header.encode()[..], &records].concat();
            assert_eq!(
                drain(&RecordBatch::parse(&bytes).unwrap().unwrap()).is_ok(),
                fits,
                "{codec:?} {count}"
            );
        }
    }
}

#[test]
fn lying_lengths_are_refused_without_allocating() {
    let header = BatchBuilder::new(0);
    let mut header = {
        let mut b = header;
        b.append(0, None, None, &[]);
        b.build_parts().0
    };
    header.count = 1;
    let bodies: [&[u8]; 6] = [
        b"\xfe\xff\xff\xff\x0f",                   // a record of 2^31-1 bytes
        b"\x01",                                   // of -1 byte
        b"\x0e\0\0\0\x01\x01\xfe\xff",             // a header count that does not end
        b"\x14\0\0\0\x01\x01\xfe\xff\xff\xff\x0f", // 2^31-1 headers
        b"\x0c\0\0\0\x01\x01\x01",                 // -1 headers
        b"\x0c\0\0\0\xfe\xff\xff",                 // a key longer than the record
    ];
    for body in bodies {
        let mut reader = RecordReader::from_parts(header, body, LIMIT).unwrap();
        assert!(matches!(reader.next(), Err(RecordError::Invalid(_))), "{body:?}");
    }
}

#[test]
fn messages_of_format_0_and_1_are_records() {
    let old = legacy_message(5, 0, 0, None, Some(b"x"));
    assert_eq!(
        drain(&RecordBatch::parse(&old).unwrap().unwrap()),
        Ok(vec![(5, NO_TIMESTAMP, Some(b"x".to_vec()))])
    );
    let new = legacy_message(6, 1, 99, Some(b"k"), None);
    assert_eq!(
        drain(&RecordBatch::parse(&new).unwrap().unwrap()),
        Ok(vec![(6, 99, None)])
    );
}

#[test]
fn wrappers_give_offsets_counted_from_their_last_message() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        let inner = |magic, offset, timestamp| legacy_message(offset, magic, timestamp, None, Some(b"v"));
        let v = || Some(b"v".to_vec());
        let relative = [inner(1, 0, 10), inner(1, 1, 20), inner(1, 2, 15)].concat();
        let wrapper = wrapper_message(102, 1, 20, codec, &relative);
        let batch = RecordBatch::parse(&wrapper).unwrap().unwrap();
        assert_eq!(
            drain(&batch),
            Ok(vec![(100, 10, v()), (101, 20, v()), (102, 15, v())]),
            "{codec:?}"
        );
        let unplaced = wrapper_message(0, 1, 20, codec, &relative);
        let offsets = drain(&RecordBatch::parse(&unplaced).unwrap().unwrap()).unwrap();
        assert!(offsets.iter().map(|record| record.0).eq(0..3));
        let absolute = [inner(0, 70, 0), inner(0, 75, 0)].concat();
        let wrapper = wrapper_message(75, 0, 0, codec, &absolute);
        let batch = RecordBatch::parse(&wrapper).unwrap().unwrap();
        assert_eq!(drain(&batch), Ok(vec![(70, -1, v()), (75, -1, v())]), "{codec:?}");
    }
}

#[test]
fn malformed_wrappers_are_refused() {
    let message = legacy_message(3, 1, 10, None, Some(b"v"));
    let corrupt = {
        let mut bytes = message.clone();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let nested = wrapper_message(3, 1, 10, Compression::Gzip, &message);
    let cases = [
        ("empty", wrapper_message(3, 1, 10, Compression::Gzip, b"")),
        (
            "offset before its messages",
            wrapper_message(2, 1, 10, Compression::Gzip, &message),
        ),
        (
            "another format inside",
            wrapper_message(3, 0, 10, Compression::Gzip, &message),
        ),
        ("nested", wrapper_message(3, 1, 10, Compression::Gzip, &nested)),
        (
            "corrupt inside",
            wrapper_message(3, 1, 10, Compression::Gzip, &corrupt),
        ),
    ];
    for (name, bytes) in cases {
        assert!(
            drain(&RecordBatch::parse(&bytes).unwrap().unwrap()).is_err(),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn corrupted_batches_never_panic(
        log in 0usize..2,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = ORDERS[log].to_vec();
        for (index, value) in flips {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        for batch in RecordBatches::new(&bytes).map_while(Result::ok) {
            let _ = drain(&batch);
        }
    }

    #[test]
    fn garbage_records_never_panic(
        body in proptest::collection::vec(any::<u8>(), 0..400),
        magic in 0i8..3,
        attributes in 0i16..8,
        count in any::<i32>(),
    ) {
        let mut builder = BatchBuilder::new(0);
        builder.append(0, None, None, &[]);
        let (header, _) = builder.build_parts();
        let header = BatchHeader { magic, attributes, count, ..header };
        if let Ok(mut reader) = RecordReader::from_parts(header, &body, LIMIT) {
            while let Ok(Some(_)) = reader.next() {}
        }
    }
}

//! Tests the keys and values of `__consumer_offsets` against records that Kafka wrote.

use proptest::prelude::*;

use super::*;
use crate::record::{RecordBatches, RecordReader};

/// Records that Kafka 3.9.1 wrote for group `g1`: a generation, two commits of two partitions, the empty group.
const CAPTURED: &[u8] = include_bytes!("testdata/consumer-offsets-2.log");

#[test]
fn captured_records_are_read_and_written_byte_for_byte() {
    let mut seen = Vec::new();
    for batch in RecordBatches::new(CAPTURED).map(Result::unwrap) {
        let mut records = RecordReader::new(&batch, 1 << 20).unwrap();
        while let Some(record) = records.next().unwrap() {
            let (key, value) = (record.key.unwrap(), record.value.unwrap());
            match read_key(key).unwrap() {
                Key::Offset {
                    group,
                    topic,
                    partition,
                } => {
                    let offset = read_offset_value(value).unwrap();
                    assert_eq!(offset_key(group, topic, partition).unwrap(), key);
                    assert_eq!(offset_value(&offset).unwrap(), value);
                    seen.push(format!(
                        "{group} {topic}-{partition} {} @{}",
                        offset.offset, offset.leader_epoch
                    ));
                }
                Key::Group { group } => {
                    let generation = read_group_value(value).unwrap();
                    assert_eq!(group_key(group).unwrap(), key);
                    assert_eq!(group_value(&generation).unwrap(), value);
                    let hosts = generation.members.iter().map(|m| &*m.client_host);
                    seen.push(format!(
                        "{group} {} {:?}",
                        generation.generation,
                        hosts.collect::<Vec<_>>()
                    ));
                }
                Key::Unknown(version) => panic!("key version {version}"),
            }
        }
    }
    let commit = ["g1 orders-0 100 @0", "g1 orders-1 17 @0"];
    assert_eq!(seen[..1], [r#"g1 1 ["/127.0.0.1"]"#]);
    assert_eq!(seen[1..5], [commit, commit].concat());
    assert_eq!(seen[5..], ["g1 2 []"]);
}

/// Builds a value by hand, in the layout of the table at the top of the module.
#[derive(Default)]
struct Layout(Vec<u8>);

impl Layout {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    fn i16(self, value: i16) -> Self {
        self.bytes(&value.to_be_bytes())
    }
    fn i32(self, value: i32) -> Self {
        self.bytes(&value.to_be_bytes())
    }
    fn i64(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }
    fn text(self, text: &str) -> Self {
        self.i16(text.len() as i16).bytes(text.as_bytes())
    }
    fn compact(self, text: &str) -> Self {
        self.bytes(&[text.len() as u8 + 1]).bytes(text.as_bytes())
    }
}

#[test]
fn offset_values_of_every_version_are_read() {
    let v = |version| Layout::default().i16(version).i64(42);
    let expected = |leader_epoch, expire_timestamp_ms| OffsetAndMetadata {
        offset: 42,
        leader_epoch,
        metadata: "note".into(),
        commit_timestamp_ms: 7,
        expire_timestamp_ms,
    };
    let cases = [
        (v(0).text("note").i64(7), expected(-1, None)),
        (v(1).text("note").i64(7).i64(9), expected(-1, Some(9))),
        (v(1).text("note").i64(7).i64(-1), expected(-1, None)),
        (v(2).text("note").i64(7), expected(-1, None)),
        (v(3).i32(5).text("note").i64(7), expected(5, None)),
        (v(4).i32(5).compact("note").i64(7).bytes(&[0]), expected(5, None)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read_offset_value(&bytes.0), Ok(expected), "{:?}", bytes.0);
    }
    assert_eq!(read_offset_value(&v(5).0), Err(LogFormatError::UnknownVersion(5)));
    assert_eq!(
        offset_value(&expected(5, Some(9))).unwrap(),
        v(1).text("note").i64(7).i64(9).0
    );
}

#[test]
fn group_values_of_every_version_are_read() {
    let head = |version| {
        Layout::default()
            .i16(version)
            .text("consumer")
            .i32(3)
            .text("range")
            .text("m")
    };
    let tail = |layout: Layout| layout.i32(6000).i32(2).bytes(b"su").i32(1).bytes(b"a");
    let expected = |instance: Option<&str>, rebalance_timeout_ms, timestamp| GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 3,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        current_state_timestamp: timestamp,
        members: vec![MemberValue {
            member_id: "m".into(),
            group_instance_id: instance.map(Into::into),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms,
            session_timeout_ms: 6000,
            subscription: Bytes::from_static(b"su"),
            assignment: Bytes::from_static(b"a"),
        }],
    };
    let who = |layout: Layout| layout.text("c").text("/h");
    let v4 = Layout::default()
        .i16(4)
        .compact("consumer")
        .i32(3)
        .compact("range")
        .compact("m")
        .i64(8);
    let v4 = v4
        .bytes(&[2])
        .compact("m")
        .compact("i")
        .compact("c")
        .compact("/h")
        .i32(9000)
        .i32(6000);
    // Bytes of lengths 2 and 1, one unknown tagged field of the member, no tagged field of the value.
    let v4 = v4
        .bytes(&[3])
        .bytes(b"su")
        .bytes(&[2])
        .bytes(b"a")
        .bytes(&[1, 7, 2, 0, 0, 0]);
    let cases = [
        (tail(who(head(0).i32(1).text("m"))), expected(None, 6000, -1)),
        (
            tail(who(head(1).i32(1).text("m")).i32(9000)),
            expected(None, 9000, -1),
        ),
        (
            tail(who(head(2).i64(8).i32(1).text("m")).i32(9000)),
            expected(None, 9000, 8),
        ),
        (
            tail(who(head(3).i64(8).i32(1).text("m").text("i")).i32(9000)),
            expected(Some("i"), 9000, 8),
        ),
        (v4, expected(Some("i"), 9000, 8)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read_group_value(&bytes.0), Ok(expected), "{:?}", bytes.0);
    }
}

#[test]
fn keys_of_other_versions_are_told_apart() {
    let old = Layout::default().i16(0).text("g").text("t").i32(1);
    assert_eq!(
        read_key(&old.0),
        Ok(Key::Offset {
            group: "g",
            topic: "t",
            partition: 1
        })
    );
    for version in [-1, 3, 4, 100] {
        assert_eq!(
            read_key(&Layout::default().i16(version).0),
            Ok(Key::Unknown(version))
        );
    }
    assert_eq!(read_key(&[]), Err(LogFormatError::Truncated(0)));
}

#[test]
fn a_count_that_lies_allocates_nothing() {
    let lie = Layout::default()
        .i16(3)
        .text("")
        .i32(0)
        .i16(-1)
        .i16(-1)
        .i64(0)
        .i32(i32::MAX);
    assert!(matches!(
        read_group_value(&lie.0),
        Err(LogFormatError::Truncated(_))
    ));
    let lie = Layout::default().i16(0).i32(i32::MAX);
    assert_eq!(read_subscribed_topics(&lie.0), None);
}

#[test]
fn what_does_not_fit_is_refused() {
    let long = "x".repeat(1 << 15);
    assert_eq!(group_key(&long), Err(LogFormatError::StringTooLong(1 << 15)));
    assert!(group_key(&long[1..]).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in -1..6_i16) {
        let mut bytes = bytes;
        if bytes.len() >= 2 {
            bytes[..2].copy_from_slice(&version.to_be_bytes());
        }
        let _ = read_key(&bytes);
        let _ = read_offset_value(&bytes);
        let _ = read_group_value(&bytes);
        let _ = read_subscribed_topics(&bytes);
    }

    #[test]
    fn a_value_that_is_cut_is_never_taken_for_whole(cut in 0..60_usize) {
        let value = GroupMetadataValue {
            protocol_type: "consumer".into(),
            members: vec![MemberValue { member_id: "m".into(), ..MemberValue::default() }],
            ..GroupMetadataValue::default()
        };
        let bytes = group_value(&value).unwrap();
        prop_assert_eq!(read_group_value(&bytes), Ok(value));
        let cut = cut % bytes.len();
        prop_assert!(read_group_value(&bytes[..cut]).is_err());
    }
}

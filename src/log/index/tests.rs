//! Tests that compare the indexes with simple maps.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::common::ids::Offset;
use crate::log::fs::Fs;

const BASE: Offset = 5_000_000_000;

/// A change of an index: an entry with a higher key, a truncation, or closing and opening it again.
#[derive(Clone, Debug)]
enum Step {
    Append(u16, u16),
    Truncate(u16),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..500u16, 0..500u16).prop_map(|(a, b)| Step::Append(a, b)),
        1 => any::<u16>().prop_map(Step::Truncate),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 0..120)
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_offset_index_is_a_sorted_map(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        let mut index = OffsetIndex::create(&Fs::default(), path.clone(), BASE, 1000).unwrap();
        let mut model: BTreeMap<Offset, u64> = BTreeMap::new();
        let (mut offset, mut position) = (BASE - 1, 0);
        for step in steps {
            match step {
                Step::Append(..) if index.is_full() => prop_assert_eq!(model.len(), 125),
                Step::Append(by, bytes) => {
                    offset += Offset::from(by);
                    position += u64::from(bytes) + 1;
                    index.append(offset, position).unwrap();
                    model.insert(offset, position);
                }
                Step::Truncate(at) => {
                    offset = BASE + Offset::from(at);
                    model.split_off(&offset);
                    index.truncate_to(offset).unwrap();
                    offset -= 1;
                    position = model.values().last().copied().unwrap_or(0);
                }
                Step::Reopen => {
                    index.trim().unwrap();
                    prop_assert_eq!(length(&path), model.len() as u64 * 8);
                    index = OffsetIndex::open(&Fs::default(), path.clone(), length(&path), BASE, 1000);
                    index.check_sanity().unwrap();
                }
            }
            prop_assert_eq!(index.entries(), model.len());
            let last = model.keys().last().copied().unwrap_or(BASE);
            prop_assert_eq!(index.last_offset().unwrap(), last);
        }
        for target in model.keys().flat_map(|o| [o - 1, *o, o + 1]).chain([BASE, Offset::MAX]) {
            let expected = model.range(..=target).next_back().map_or((BASE, 0), |(o, p)| (*o, *p));
            let found = index.lookup(target).unwrap();
            prop_assert_eq!((found.offset, found.position), expected);
            let bound = index.upper_bound(found, 300).unwrap().map(|e| e.offset);
            let beyond = model.iter().find(|(_, p)| **p >= found.position + 300);
            prop_assert_eq!(bound, beyond.map(|(o, _)| *o));
        }
    }

    #[test]
    fn a_time_index_is_a_sorted_map(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let mut index = TimeIndex::create(&Fs::default(), path.clone(), BASE, 1200).unwrap();
        let mut model: Vec<(i64, Offset)> = Vec::new();
        let (mut timestamp, mut offset) = (0, BASE);
        for step in steps {
            match step {
                Step::Append(..) if index.is_full() => prop_assert_eq!(model.len(), 99),
                Step::Append(by, ms) => {
                    offset += Offset::from(by);
                    // Sometimes older than the last one: the index ignores such an entry.
                    timestamp += i64::from(ms) - 100;
                    index.maybe_append(timestamp, offset, false).unwrap();
                    if timestamp > model.last().map_or(-1, |(t, _)| *t) {
                        model.push((timestamp, offset));
                    }
                }
                Step::Truncate(at) => {
                    offset = BASE + Offset::from(at);
                    model.retain(|(_, o)| *o < offset);
                    index.truncate_to(offset).unwrap();
                    timestamp = model.last().map_or(0, |(t, _)| *t);
                }
                Step::Reopen => {
                    index.trim().unwrap();
                    prop_assert_eq!(length(&path), model.len() as u64 * 12);
                    index = TimeIndex::open(&Fs::default(), path.clone(), length(&path), BASE, 1200);
                    index.check_sanity().unwrap();
                }
            }
            let last = index.last().unwrap();
            prop_assert_eq!((last.timestamp, last.offset), model.last().copied().unwrap_or((-1, BASE)));
        }
        for target in model.iter().flat_map(|(t, _)| [t - 1, *t, t + 1]).chain([0, i64::MAX]) {
            let expected = model.iter().rev().find(|(t, _)| *t <= target).copied().unwrap_or((-1, BASE));
            let found = index.lookup(target).unwrap();
            prop_assert_eq!((found.timestamp, found.offset), expected);
        }
    }

    #[test]
    fn a_transaction_index_finds_what_overlaps(
        transactions in prop::collection::vec((1..9i64, 1..50i64, 0..3i64), 0..700),
        fetch in 0..9000i64,
        size in 1..3000i64,
        cut in 0..9000i64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut index = TransactionIndex::open(&Fs::default(), path.clone(), 0, 0);
        prop_assert!(index.is_empty() && !path.exists());
        let mut model = Vec::new();
        let mut last_offset = 0;
        for (step, span, open) in transactions {
            last_offset += step;
            let transaction = AbortedTxn {
                producer_id: open,
                first_offset: (last_offset - span).max(0),
                last_offset,
                // The last stable offset never decreases.
                last_stable_offset: last_offset - open.min(step - 1),
            };
            index.append(&transaction).unwrap();
            model.push(transaction);
        }
        index.check_sanity().unwrap();
        let mut found = Vec::new();
        let complete = index.collect(fetch, fetch + size, &mut found).unwrap();
        let end = model.iter().position(|t| t.last_stable_offset >= fetch + size);
        prop_assert_eq!(complete, end.is_some());
        let seen = &model[..end.map_or(model.len(), |i| i + 1)];
        let overlaps = |t: &&AbortedTxn| t.last_offset >= fetch && t.first_offset < fetch + size;
        let expected: Vec<_> = seen.iter().filter(overlaps).copied().collect();
        prop_assert_eq!(found, expected);
        index.truncate_to(cut).unwrap();
        model.retain(|t| t.last_offset < cut);
        prop_assert_eq!(index.all().unwrap(), model);
    }
}

#[test]
fn entries_have_kafkas_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let fs = Fs::default();
    let mut offsets = OffsetIndex::create(&fs, dir.path().join("i"), BASE, 64).unwrap();
    offsets.append(BASE + 0x0102, 0x0304_0506).unwrap();
    offsets.trim().unwrap();
    assert_eq!(read("i"), [0, 0, 1, 2, 3, 4, 5, 6]);
    let mut times = TimeIndex::create(&fs, dir.path().join("t"), BASE, 64).unwrap();
    times
        .maybe_append(0x0102_0304_0506_0708, BASE + 9, false)
        .unwrap();
    times.trim().unwrap();
    assert_eq!(read("t"), [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
    let captured = include_bytes!("../testdata/broker1/orders-1/00000000000000000000.txnindex");
    std::fs::write(dir.path().join("x"), captured).unwrap();
    let mut aborted = TransactionIndex::open(&fs, dir.path().join("x"), captured.len() as u64, 0);
    let all = aborted.all().unwrap();
    assert_eq!(
        (all[0].first_offset, all[0].last_offset, all[0].last_stable_offset),
        (6, 11, 12)
    );
    assert_eq!(
        (all[1].producer_id, all[1].first_offset, all[1].last_offset),
        (2, 18, 23)
    );
    aborted.reset().unwrap();
    all.iter().for_each(|t| aborted.append(t).unwrap());
    assert_eq!(read("x"), captured);
}

#[test]
fn impossible_entries_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::default();
    let mut offsets = OffsetIndex::create(&fs, dir.path().join("i"), BASE, 800).unwrap();
    offsets.append(BASE + 5, 10).unwrap();
    for (offset, position) in [
        (BASE + 5, 20),
        (BASE + 4, 20),
        (BASE + 1 + i64::from(i32::MAX), 20),
        (BASE + 6, 1 << 31),
    ] {
        assert!(offsets.append(offset, position).is_err(), "{offset} {position}");
    }
    let mut times = TimeIndex::create(&fs, dir.path().join("t"), BASE, 36).unwrap();
    times.maybe_append(10, BASE + 5, false).unwrap();
    assert!(times.maybe_append(11, BASE + 4, false).is_err());
    times.maybe_append(11, BASE + 5, false).unwrap();
    assert!(times.is_full() && times.maybe_append(12, BASE + 6, false).is_err());
    times.maybe_append(12, BASE + 6, true).unwrap();
    assert!(times.maybe_append(13, BASE + 7, true).is_err());
    for (bytes, ok) in [
        (&[0; 7][..], false),
        (&[0xff; 8], false),
        (&[0; 8], true),
        (&[], true),
    ] {
        let path = dir.path().join("j");
        std::fs::write(&path, bytes).unwrap();
        let mut index = OffsetIndex::open(&fs, path, bytes.len() as u64, BASE, 800);
        assert_eq!(index.check_sanity().is_ok(), ok, "{bytes:?}");
    }
}

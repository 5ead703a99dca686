//! Tests with full disks, corrupt batches, and batches and offsets that do not fit.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::log::fs::{Call, Faults, Verdict};
use crate::log::segment::OFFSET_SPAN_MAX;
use crate::log::testing::leader_batch;

/// A disk without space for the cleaner's files while it is full.
#[derive(Default)]
struct FullDisk(AtomicBool);

impl Faults for FullDisk {
    fn before(&self, call: Call, path: &Path) -> Verdict {
        let is_cleaned = path.to_string_lossy().ends_with(".cleaned");
        let takes_space = matches!(call, Call::Write(_) | Call::Sync);
        match is_cleaned && takes_space && self.0.load(Ordering::SeqCst) {
            true => Verdict::Fail(io::ErrorKind::StorageFull.into()),
            false => Verdict::Proceed,
        }
    }
}

#[test]
fn a_full_disk_costs_nothing_but_time() {
    let disk = Arc::new(FullDisk::default());
    let root = Arc::new(tempfile::tempdir().unwrap());
    let test = TestLog::open(root, compacted(), CLEAN, Fs::with_faults(disk.clone())).unwrap();
    let mut cleaning = Cleaning::of(test, &CONFIG);
    for i in 0..8u8 {
        cleaning.put(&[i % 2], Some(&[i; 100]));
    }
    disk.0.store(true, Ordering::SeqCst);
    assert!(!cleaning.roll_and_clean().cleaned);
    assert!(cleaning.test.failures.take().is_empty(), "the dir stays online");
    assert!(cleaning.unfinished_files().is_empty());
    assert_eq!(cleaning.offsets(), (0..8).collect::<Vec<_>>());
    let reason = cleaning.quarantine_reason().unwrap();
    assert!(
        reason.contains(".cleaned") && reason.contains("space"),
        "{reason}"
    );
    assert!(cleaning.manager.uncleanable_bytes(cleaning.test.root.path()) > 800);
    cleaning.put(b"\0", Some(b"still writable"));
    disk.0.store(false, Ordering::SeqCst);
    assert!(!cleaning.clean().cleaned, "not yet");
    cleaning.test.clock.advance(60_000);
    assert!(cleaning.clean().cleaned);
    assert_eq!(cleaning.offsets(), [6, 7, 8]);
    assert_eq!(cleaning.quarantine_reason(), None);
}

#[test]
fn a_corrupt_batch_puts_the_partition_in_quarantine_until_it_is_mended() {
    let mut cleaning = Cleaning::new(compacted());
    for i in 0..8u8 {
        cleaning.put(&[i % 2], Some(&[i; 100]));
    }
    cleaning.test.commit();
    cleaning.test.log.roll().unwrap();
    let path = cleaning.test.path().join("00000000000000000000.log");
    let good = std::fs::read(&path).unwrap();
    let size = good.len() / 8;
    // A flipped byte in a value, one in a batch's length, and a length that reaches beyond the end.
    let cases: [(usize, u8); 3] = [(3 * size + 100, 0xff), (3 * size + 11, 7), (3 * size + 8, 0x7f)];
    for (at, byte) in cases {
        let mut bad = good.clone();
        bad[at] = byte;
        std::fs::write(&path, &bad).unwrap();
        assert!(!cleaning.clean().cleaned);
        let reason = cleaning.quarantine_reason().unwrap();
        assert!(
            reason.contains("00000000000000000000.log") && reason.contains("byte"),
            "{reason}"
        );
        let shown = cleaning.metrics.exposition();
        assert!(
            shown.contains("uncleanable_partition{topic=\"t\",partition=\"0\""),
            "{shown}"
        );
        assert!(cleaning.test.failures.take().is_empty());
        assert!(cleaning.unfinished_files().is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), bad, "the log is as it was");
        cleaning.manager.on_topic_config_change("t", &[]);
    }
    std::fs::write(&path, &good).unwrap();
    assert!(
        cleaning.clean().cleaned,
        "a changed configuration had it tried again at once"
    );
    assert_eq!(cleaning.offsets(), [6, 7]);
    assert_eq!(cleaning.metrics.exposition(), "");
    // In the clean part, too, a corrupt batch causes no removal.
    let mut bad = std::fs::read(&path).unwrap();
    bad[70] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    cleaning.put(b"\0", Some(b"new"));
    assert!(!cleaning.roll_and_clean().cleaned);
    assert!(cleaning.quarantine_reason().unwrap().contains("checksum"));
}

#[test]
fn a_batch_larger_than_the_buffer_is_cleaned_all_the_same() {
    let mut cleaning = Cleaning::new(compacted());
    for i in 0..6u8 {
        let mut builder = BatchBuilder::new(0);
        builder.append(NOW_MS, Some(&[i % 2]), Some(&vec![i; 300_000]), &[]);
        builder.append(NOW_MS, Some(&[9]), Some(&[i; 10]), &[]);
        cleaning.test.append(builder.build(), 0);
    }
    let mut modest = CONFIG;
    modest.max_message_bytes = 100_000;
    cleaning.cleaner = Cleaner::new(&modest, cleaning.test.clock.clone());
    // A batch larger than the trusted size is accepted only if its checksum is right.
    cleaning.test.commit();
    cleaning.test.log.roll().unwrap();
    let path = cleaning.test.path().join("00000000000000000000.log");
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[9] = 0x0a;
    std::fs::write(&path, &bad).unwrap();
    assert!(!cleaning.clean().cleaned);
    let reason = cleaning.quarantine_reason().unwrap();
    assert!(reason.contains("fails its checksum"), "{reason}");
    std::fs::write(&path, &good).unwrap();
    cleaning.manager.on_topic_config_change("t", &[]);
    assert!(cleaning.clean().cleaned);
    assert_eq!(cleaning.offsets(), [8, 10, 11]);
}

#[test]
fn a_segment_whose_offsets_lie_too_far_apart_becomes_two() {
    let far = OFFSET_SPAN_MAX + 100;
    let records = [0, 5, far, far + 1].map(|offset| {
        let mut builder = BatchBuilder::new(offset);
        builder.append(NOW_MS, Some(&[u8::from(offset == 5)]), Some(b"v"), &[]);
        builder.build()
    });
    let root = Arc::new(tempfile::tempdir().unwrap());
    let dir = root.path().join("t-0");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("00000000000000000000.log"), records.concat()).unwrap();
    for index in ["index", "timeindex"] {
        std::fs::write(dir.join(format!("00000000000000000000.{index}")), b"").unwrap();
    }
    let next = leader_batch(far + 2, 1, 0);
    std::fs::write(dir.join(format!("{:020}.log", far + 2)), next).unwrap();
    let test = TestLog::open(root, compacted(), CLEAN, Fs::default()).unwrap();
    test.commit();
    let mut cleaning = Cleaning::of(test, &CONFIG);
    assert!(cleaning.clean().cleaned);
    assert_eq!(cleaning.offsets(), [5, far + 1, far + 2]);
    let bases: Vec<_> = cleaning
        .test
        .log
        .cleaning_view()
        .segments
        .iter()
        .map(|s| s.base_offset())
        .collect();
    assert_eq!(bases, [0, far + 1, far + 2]);
    let reopened = cleaning.reopen(CLEAN);
    assert_eq!(
        reopened.test.read_all(6, FetchIsolation::LogEnd),
        [far + 1, far + 2]
    );
    reopened.test.log.check_indexes_thoroughly().unwrap();
}

#[test]
fn records_without_a_key_go() {
    let mut cleaning = Cleaning::new(compacted());
    let log = cleaning.test.log.clone();
    log.append_as_follower(leader_batch(0, 3, 0), 0).unwrap();
    cleaning.put(b"k", Some(b"v"));
    let stats = cleaning.roll_and_clean().stats.unwrap();
    assert_eq!((stats.invalid_messages_read, cleaning.offsets()), (3, vec![3]));
}

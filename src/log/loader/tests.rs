//! Crash tests of the loader: files as a crash may leave them, and the log that the loader makes of them.

use std::path::Path;
use std::sync::Arc;

use crate::common::ids::Offset;
use crate::config::LogConfig;
use crate::log::FetchIsolation;
use crate::log::names::segment_file;
use crate::log::testing::{CLEAN, NOW_MS, Opening, TestLog, UNCLEAN, batch, copy_dir, leader_batch};

mod gaps;

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 200,
        segment_index_bytes: 1200,
        ..LogConfig::default()
    }
}

/// A log of ten batches in four segments, closed in order: its directory.
fn ten_batches() -> TestLog {
    let test = TestLog::new(config());
    for i in 0..10 {
        test.append(batch(1, NOW_MS + i, 200), (i / 4) as i32);
    }
    test.scheduler.run_due();
    test.log.close().unwrap();
    test
}

/// Opens a copy of a log after some damage to its files.
fn open_after(test: &TestLog, opening: Opening, damage: impl FnOnce(&Path)) -> TestLog {
    let root = crate::log::testing::root();
    copy_dir(test.root.path(), root.path());
    damage(&root.path().join("t-0"));
    TestLog::open(root, test.config.clone(), opening, Default::default()).unwrap()
}

fn offsets(test: &TestLog) -> Vec<Offset> {
    test.read_all(test.log.log_start_offset(), FetchIsolation::LogEnd)
}

fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_batch() {
    let test = ten_batches();
    let active = segment_file(Path::new(""), 9, ".log");
    let size = std::fs::metadata(test.path().join(&active)).unwrap().len();
    for kept in 0..=size {
        let test = open_after(&test, UNCLEAN, |dir| {
            overwrite(&dir.join(&active), |bytes| bytes.truncate(kept as usize));
        });
        let expected = if kept == size { 10 } else { 9 };
        assert_eq!(offsets(&test), (0..expected).collect::<Vec<_>>(), "{kept} bytes");
        assert_eq!(test.log.log_end_offset(), expected);
        test.log.check_indexes_thoroughly().unwrap();
        test.append(batch(1, NOW_MS, 10), 7);
        assert_eq!(test.log.log_end_offset(), expected + 1);
    }
}

#[test]
fn any_flipped_byte_leaves_the_longest_valid_prefix() {
    let test = ten_batches();
    let second = segment_file(Path::new(""), 3, ".log");
    let size = std::fs::metadata(test.path().join(&second)).unwrap().len() as usize;
    let batch_size = size / 3;
    for byte in (0..size).step_by(5) {
        let test = open_after(&test, UNCLEAN, |dir| {
            overwrite(&dir.join(&second), |bytes| bytes[byte] ^= 0x20);
        });
        let intact = 3 + (byte / batch_size) as Offset;
        let within = byte % batch_size;
        let found = offsets(&test);
        // Base offset and leader epoch are outside the checksum, so a changed value may still be valid.
        let unprotected = within < 8 || (12..16).contains(&within);
        if unprotected && found.len() as Offset != intact {
            continue;
        }
        assert_eq!(found, (0..intact).collect::<Vec<_>>(), "byte {byte}");
        assert_eq!(test.log.log_end_offset(), intact);
        assert!(test.log.number_of_segments() <= 2, "later segments are gone");
        assert!(
            test.files()
                .iter()
                .all(|f| !f.starts_with("00000000000000000006"))
        );
        test.log.check_indexes_thoroughly().unwrap();
    }
}

#[test]
fn zeros_of_preallocation_are_cut() {
    let test = ten_batches();
    let test = open_after(&test, UNCLEAN, |dir| {
        overwrite(&segment_file(dir, 9, ".log"), |bytes| bytes.resize(4096, 0));
        overwrite(&segment_file(dir, 9, ".index"), |bytes| bytes.resize(1200, 0));
        overwrite(&segment_file(dir, 9, ".timeindex"), |bytes| bytes.resize(1200, 0));
    });
    assert_eq!(offsets(&test), (0..10).collect::<Vec<_>>());
    let preallocating = TestLog::new(LogConfig {
        preallocate: true,
        ..config()
    });
    preallocating.fill(2, 100);
    let path = segment_file(&preallocating.path(), 0, ".log");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1000);
    let after_kill = open_after(&preallocating, UNCLEAN, |_| {});
    assert_eq!(offsets(&after_kill), [0, 1]);
    let size = preallocating.log.size();
    preallocating.log.close().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), size);
}

#[test]
fn only_what_lies_beyond_the_recovery_point_is_read() {
    let test = ten_batches();
    let opening = Opening {
        recovery_point: Some(6),
        ..UNCLEAN
    };
    let flip = |dir: &Path| overwrite(&segment_file(dir, 3, ".log"), |bytes| bytes[100] ^= 1);
    let known_good = open_after(&test, opening, flip);
    assert_eq!(known_good.log.log_end_offset(), 10);
    assert_eq!(known_good.log.recovery_point(), 6);
    let unknown = open_after(
        &test,
        Opening {
            recovery_point: Some(5),
            ..UNCLEAN
        },
        flip,
    );
    assert_eq!(
        (unknown.log.log_end_offset(), unknown.log.recovery_point()),
        (3, 3)
    );
}

#[test]
fn missing_and_impossible_indexes_are_rebuilt() {
    let test = ten_batches();
    let before = |name: &str| std::fs::read(test.path().join(name)).unwrap();
    type Damage = fn(&Path);
    let damages: [Damage; 5] = [
        |dir| std::fs::remove_file(segment_file(dir, 3, ".timeindex")).unwrap(),
        |dir| std::fs::remove_file(segment_file(dir, 3, ".index")).unwrap(),
        |dir| overwrite(&segment_file(dir, 3, ".index"), |bytes| bytes.truncate(5)),
        |dir| overwrite(&segment_file(dir, 3, ".timeindex"), |bytes| bytes.push(0)),
        |dir| overwrite(&segment_file(dir, 3, ".index"), |bytes| bytes.resize(1200, 0)),
    ];
    for opening in [CLEAN, UNCLEAN] {
        for (i, damage) in damages.iter().enumerate() {
            let again = open_after(&test, opening, damage);
            assert_eq!(offsets(&again), (0..10).collect::<Vec<_>>(), "damage {i}");
            for name in ["00000000000000000003.index", "00000000000000000003.timeindex"] {
                let rebuilt = std::fs::read(again.path().join(name)).unwrap();
                assert_eq!(rebuilt, before(name), "damage {i} {name}");
            }
        }
    }
    let orphaned = open_after(&test, CLEAN, |dir| {
        std::fs::write(segment_file(dir, 77, ".index"), b"").unwrap();
        std::fs::write(segment_file(dir, 77, ".txnindex"), b"").unwrap();
        std::fs::write(dir.join("notes.txt"), b"").unwrap();
    });
    let files = orphaned.files();
    assert!(!files.iter().any(|f| f.contains("77")) && files.contains(&"notes.txt".to_owned()));
}

#[test]
fn a_log_that_ends_before_its_start_is_emptied() {
    let test = ten_batches();
    for opening in [CLEAN, UNCLEAN] {
        let test = open_after(
            &test,
            Opening {
                log_start_offset: 50,
                ..opening
            },
            |_| {},
        );
        let log = &test.log;
        assert_eq!(
            (log.log_start_offset(), log.log_end_offset(), log.size()),
            (50, 50, 0)
        );
        assert_eq!((log.latest_epoch(), log.number_of_segments()), (None, 1));
    }
}

#[test]
fn epochs_that_the_file_lacks_are_found_and_those_beyond_the_end_dropped() {
    let test = ten_batches();
    let lost = open_after(&test, UNCLEAN, |dir| {
        std::fs::remove_file(dir.join("leader-epoch-checkpoint")).unwrap();
    });
    let ends: Vec<_> = (0..3).map(|e| lost.log.end_offset_for_epoch(e)).collect();
    assert_eq!(ends, [(0, 4), (1, 8), (2, 10)]);
    let stale = open_after(&test, UNCLEAN, |dir| {
        std::fs::write(dir.join("leader-epoch-checkpoint"), "0\n3\n0 0\n1 4\n9 10\n").unwrap();
    });
    assert_eq!(stale.log.latest_epoch(), Some(1));
}

#[test]
fn a_torn_epoch_file_or_topic_id_fails_the_dir() {
    let test = ten_batches();
    for name in ["leader-epoch-checkpoint", "partition.metadata"] {
        let root = Arc::new(tempfile::tempdir().unwrap());
        copy_dir(test.root.path(), root.path());
        std::fs::write(root.path().join("t-0").join(name), "0\n5\n0 0\n").unwrap();
        let error = TestLog::open(root, config(), CLEAN, Default::default())
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// A segment of an old cleaner that ignored the distance between offsets, and a segment behind it.
fn overflowed(config: &LogConfig) -> (TestLog, Vec<Offset>) {
    let far = Offset::from(i32::MAX);
    let offsets = vec![0, 5, far, far + 1, 2 * far, 3 * far + 7, 3 * far + 8];
    let test = TestLog::new(LogConfig {
        segment_bytes: 100_000,
        ..config.clone()
    });
    for &offset in &offsets {
        test.log
            .append_as_follower(leader_batch(offset, 1, 0), 0)
            .unwrap();
    }
    test.log.roll().unwrap();
    test.append(batch(1, NOW_MS, 10), 0);
    test.log.close().unwrap();
    let mut bases: Vec<Offset> = Vec::new();
    for name in test.files() {
        if let Some(base) = name.strip_suffix(".log") {
            bases.push(base.parse().unwrap());
        }
    }
    let (last, overflowing) = bases.split_last().unwrap();
    assert!(overflowing.len() > 2, "{bases:?}");
    let mut bytes = Vec::new();
    for &base in overflowing {
        for suffix in [".log", ".index", ".timeindex"] {
            let path = segment_file(&test.path(), base, suffix);
            if suffix == ".log" {
                bytes.extend(std::fs::read(&path).unwrap());
            }
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::write(segment_file(&test.path(), 0, ".log"), bytes).unwrap();
    let all = offsets.iter().chain([last]).copied().collect();
    (test, all)
}

fn compacted() -> LogConfig {
    let mut config = config();
    config.cleanup_policy.compact = true;
    config.cleanup_policy.delete = false;
    config
}

#[test]
fn a_segment_whose_offsets_lie_too_far_apart_is_split() {
    let (test, all) = overflowed(&compacted());
    for opening in [UNCLEAN, CLEAN] {
        let split = open_after(&test, opening, |_| {});
        assert_eq!(offsets(&split), all);
        assert_eq!(split.log.number_of_segments(), 4);
        split.log.check_indexes_thoroughly().unwrap();
        assert!(
            !split
                .files()
                .iter()
                .any(|f| f.contains("swap") || f.contains("cleaned"))
        );
    }
    // Without compaction such an offset is a flipped bit.
    let (test, _) = overflowed(&config());
    assert_eq!(
        offsets(&open_after(&test, UNCLEAN, |_| {})),
        [0, 5, Offset::from(i32::MAX)]
    );
}

#[test]
fn a_split_survives_death_at_any_call() {
    let (test, all) = overflowed(&compacted());
    for calls in 0.. {
        let root = crate::log::testing::root();
        copy_dir(test.root.path(), root.path());
        // A torn end stays the end of the log.
        let last = segment_file(&root.path().join("t-0"), *all.last().unwrap(), ".log");
        overwrite(&last, |bytes| bytes.push(7));
        let fs = crate::log::testing::Dying::after(calls, 4);
        let survived = TestLog::open(Arc::clone(&root), compacted(), UNCLEAN, fs).is_ok();
        let test = TestLog::open(root, compacted(), UNCLEAN, Default::default()).unwrap();
        assert_eq!(offsets(&test), all, "{calls} calls");
        if survived {
            assert!(calls > 20);
            break;
        }
    }
}

#[test]
fn a_corrupt_middle_leaves_no_hole_whenever_the_recovery_dies() {
    let test = ten_batches();
    for calls in 0.. {
        let root = crate::log::testing::root();
        copy_dir(test.root.path(), root.path());
        overwrite(&segment_file(&root.path().join("t-0"), 3, ".log"), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let fs = crate::log::testing::Dying::after(calls, 4);
        let survived = TestLog::open(Arc::clone(&root), config(), UNCLEAN, fs).is_ok();
        let test = TestLog::open(root, config(), UNCLEAN, Default::default()).unwrap();
        assert_eq!(offsets(&test), [0, 1, 2, 3], "{calls} calls");
        if survived {
            assert!(calls > 10);
            break;
        }
    }
}

#[test]
fn an_index_that_leads_nowhere_is_not_followed() {
    let test = TestLog::new(config());
    for i in 0..40 {
        test.append(batch(1, NOW_MS + i, 100), 0);
    }
    test.log.close().unwrap();
    let all: Vec<Offset> = (0..40).collect();
    for base in test.files().iter().filter_map(|name| name.strip_suffix(".log")) {
        let base: Offset = base.parse().unwrap();
        let size = std::fs::metadata(segment_file(&test.path(), base, ".index"))
            .unwrap()
            .len();
        for byte in 0..size as usize {
            let flipped = open_after(&test, CLEAN, |dir| {
                overwrite(&segment_file(dir, base, ".index"), |bytes| bytes[byte] ^= 0x41);
            });
            assert_eq!(flipped.log.log_end_offset(), 40, "segment {base}, byte {byte}");
            for offset in 0..40 {
                let expected = &all[offset as usize..];
                assert_eq!(flipped.read_all(offset, FetchIsolation::LogEnd), expected);
            }
        }
    }
}

#[test]
fn a_torn_end_is_noticed_even_after_a_clean_stop() {
    let test = ten_batches();
    let test = open_after(&test, CLEAN, |dir| {
        overwrite(&segment_file(dir, 9, ".log"), |bytes| {
            bytes.truncate(bytes.len() - 1)
        });
    });
    assert_eq!(test.log.log_end_offset(), 9);
    test.append(batch(1, NOW_MS, 10), 7);
    assert_eq!(offsets(&test), (0..10).collect::<Vec<_>>());
}

/// Copies the files of the segment at `from` to names of the segment at `base` with a suffix.
fn copy_segment(dir: &Path, from: Offset, base: Offset, suffix: &str) {
    for kind in [".log", ".index", ".timeindex"] {
        let target = segment_file(dir, base, &format!("{kind}{suffix}"));
        std::fs::copy(segment_file(dir, from, kind), target).unwrap();
    }
}

/// A cleaned segment at 0 that replaces those at 0 and 3: the batches 3, 4 and 5.
fn cleaned(dir: &Path, suffix: &str) {
    copy_segment(dir, 3, 0, suffix);
    for kind in [".index", ".timeindex"] {
        // The index would count from another base offset; a rebuilt one counts from 0.
        std::fs::write(segment_file(dir, 0, &format!("{kind}{suffix}")), b"").unwrap();
    }
}

#[test]
fn every_window_of_a_swap_ends_with_one_of_both_versions() {
    let test = ten_batches();
    let all: Vec<Offset> = (0..10).collect();
    let compacted: Vec<Offset> = (3..10).collect();
    type Window = (&'static str, fn(&Path), bool);
    let windows: [Window; 6] = [
        ("cleaning", |dir| cleaned(dir, ".cleaned"), false),
        (
            "renaming to swap",
            |dir| {
                cleaned(dir, ".swap");
                std::fs::rename(
                    segment_file(dir, 0, ".log.swap"),
                    segment_file(dir, 0, ".log.cleaned"),
                )
                .unwrap();
            },
            false,
        ),
        ("swap complete", |dir| cleaned(dir, ".swap"), true),
        (
            "some originals deleted",
            |dir| {
                cleaned(dir, ".swap");
                let log = segment_file(dir, 0, ".log");
                std::fs::rename(&log, log.with_extension("log.deleted")).unwrap();
            },
            true,
        ),
        (
            "some swaps in place",
            |dir| {
                cleaned(dir, ".swap");
                for base in [0, 3] {
                    for kind in [".log", ".index", ".timeindex"] {
                        std::fs::remove_file(segment_file(dir, base, kind)).unwrap();
                    }
                }
                std::fs::rename(
                    segment_file(dir, 0, ".index.swap"),
                    segment_file(dir, 0, ".index"),
                )
                .unwrap();
            },
            true,
        ),
        (
            "originals marked deleted",
            |dir| {
                cleaned(dir, "");
                for kind in [".log", ".index", ".timeindex"] {
                    let path = segment_file(dir, 3, kind);
                    std::fs::rename(&path, segment_file(dir, 3, &format!("{kind}.deleted"))).unwrap();
                }
            },
            true,
        ),
    ];
    for (name, window, is_compacted) in windows {
        let test = open_after(&test, UNCLEAN, window);
        let expected = if is_compacted { &compacted } else { &all };
        assert_eq!(&test.read_all(0, FetchIsolation::LogEnd), expected, "{name}");
        let files = test.files();
        let leftover = |f: &String| [".swap", ".cleaned", ".deleted"].iter().any(|s| f.ends_with(s));
        assert!(!files.iter().any(leftover), "{name}: {files:?}");
        test.log.check_indexes_thoroughly().unwrap();
    }
}

#[test]
fn a_kill_at_any_call_while_loading_does_no_harm() {
    let test = ten_batches();
    let mut calls = 0;
    loop {
        let root = Arc::new(tempfile::tempdir().unwrap());
        copy_dir(test.root.path(), root.path());
        let dir = root.path().join("t-0");
        cleaned(&dir, ".swap");
        overwrite(&segment_file(&dir, 9, ".log"), |bytes| bytes.truncate(100));
        let fs = crate::log::testing::Dying::after(calls, 4);
        let survived = TestLog::open(Arc::clone(&root), config(), UNCLEAN, fs).is_ok();
        let test = TestLog::open(root, config(), UNCLEAN, Default::default()).unwrap();
        assert_eq!(
            test.read_all(0, FetchIsolation::LogEnd),
            (3..9).collect::<Vec<_>>(),
            "{calls} calls"
        );
        if survived {
            break;
        }
        calls += 1;
        assert!(calls < 10_000, "loading never comes to an end");
    }
    assert!(calls > 20);
}

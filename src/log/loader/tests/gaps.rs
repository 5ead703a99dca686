//! Tests of missing offsets between two segments after a crash: the loader must tell removed records from lost ones.

use std::path::Path;

use super::{compacted, config, offsets, open_after, overwrite, ten_batches};
use crate::common::ids::Offset;
use crate::log::names::segment_file;
use crate::log::testing::{NOW_MS, Opening, TestLog, UNCLEAN, batch, copy_dir, leader_batch};

#[test]
fn a_segment_that_lost_whole_batches_leaves_no_hole_unless_a_cleaner_may_have_made_it() {
    let test = ten_batches();
    let second = segment_file(Path::new(""), 3, ".log");
    for kept in 0..3 {
        let lose = |dir: &Path| overwrite(&dir.join(&second), |bytes| bytes.truncate(bytes.len() * kept / 3));
        let recovered = open_after(&test, UNCLEAN, lose);
        let end = 3 + kept as Offset;
        assert_eq!(
            offsets(&recovered),
            (0..end).collect::<Vec<_>>(),
            "{kept} batches"
        );
        assert_eq!(recovered.log.log_end_offset(), end);
        recovered.append(batch(1, NOW_MS, 10), 7);
        assert_eq!(recovered.log.log_end_offset(), end + 1);

        let root = crate::log::testing::root();
        copy_dir(test.root.path(), root.path());
        lose(&root.path().join("t-0"));
        let compacted = TestLog::open(root, compacted(), UNCLEAN, Default::default()).unwrap();
        let expected: Vec<_> = (0..end).chain(6..10).collect();
        assert_eq!(offsets(&compacted), expected, "{kept} batches");
    }
}

#[test]
fn a_hole_may_be_a_cleaners_if_one_was_there_or_nobody_knows_what_was_flushed() {
    let test = ten_batches();
    let with_hole = [0, 1, 2, 3, 4, 6, 7, 8, 9];
    for (recovery_point, cleaned_to, expected) in [
        (Some(0), None, &with_hole[..5]),
        (Some(5), None, &with_hole[..5]),
        (Some(5), Some(5), &with_hole[..5]),
        (Some(5), Some(6), &with_hole),
        (Some(6), None, &with_hole),
        (None, None, &with_hole),
    ] {
        let opening = Opening {
            recovery_point,
            cleaned_to,
            ..UNCLEAN
        };
        let recovered = open_after(&test, opening, |dir| {
            overwrite(&segment_file(dir, 3, ".log"), |bytes| {
                bytes.truncate(bytes.len() / 3 * 2);
            });
        });
        let case = format!("{recovery_point:?}, {cleaned_to:?}");
        assert_eq!(offsets(&recovered), expected, "{case}");
        // With the recovery point that is checkpointed now, another crash does not cut the log again.
        let recovery_point = Some(recovered.log.recovery_point());
        let again = recovered.reopen(Opening {
            recovery_point,
            ..UNCLEAN
        });
        assert_eq!(offsets(&again), expected, "{case}, again");
    }
}

/// Appends as a follower of a leader whose log was cleaned.
fn follow(test: &TestLog, offset: Offset) {
    let records = leader_batch(offset, 1, 0);
    test.log.append_as_follower(records, 0).unwrap();
}

/// Base offsets of the segments.
fn bases(test: &TestLog) -> Vec<Offset> {
    let names = test.files();
    let logs = names.iter().filter_map(|name| name.strip_suffix(".log"));
    logs.map(|base| base.parse().unwrap()).collect()
}

#[test]
fn gaps_where_a_follower_rolls_are_kept_and_lost_ends_are_cut() {
    let test = TestLog::new(config());
    let sent: Vec<Offset> = (0..60).map(|i| i * i).collect();
    sent.iter().for_each(|&offset| follow(&test, offset));
    let bases = bases(&test);
    assert!(bases.len() > 4, "{bases:?}");
    assert_eq!(offsets(&open_after(&test, UNCLEAN, |_| {})), sent);
    let batch_size = leader_batch(0, 1, 0).len();
    for lost in 1..3 {
        for pair in bases.windows(2) {
            let recovered = open_after(&test, UNCLEAN, |dir| {
                overwrite(&segment_file(dir, pair[0], ".log"), |bytes| {
                    bytes.truncate(bytes.len() - lost * batch_size);
                });
            });
            let before = sent.partition_point(|&offset| offset < pair[1]);
            assert_eq!(offsets(&recovered), sent[..before - lost], "{pair:?}");
        }
    }
}

#[test]
fn a_log_cut_within_a_gap_rolls_without_another_one() {
    let test = TestLog::new(config());
    follow(&test, 0);
    follow(&test, 10);
    assert!(test.log.truncate_to(5).unwrap());
    assert_eq!(test.log.log_end_offset(), 5);
    test.log.roll().unwrap();
    assert_eq!(test.log.log_end_offset(), 5);
    follow(&test, 7);
    assert_eq!(bases(&test), [0, 1]);
    assert_eq!(offsets(&test), [0, 7]);
    assert_eq!(offsets(&open_after(&test, UNCLEAN, |_| {})), [0, 7]);
    // As a leader the log goes on where it was cut.
    test.log.truncate_to(6).unwrap();
    test.append(batch(1, NOW_MS, 10), 1);
    assert_eq!(offsets(&test), [0, 6]);
}

#[test]
fn a_gap_beyond_what_an_index_spans_begins_a_segment() {
    let test = TestLog::new(config());
    let far = 1 + (1 << 31);
    follow(&test, 0);
    follow(&test, far);
    assert_eq!(bases(&test), [0, far - i64::from(i32::MAX)]);
    follow(&test, far + 1);
    assert_eq!(offsets(&test), [0, far, far + 1]);
}

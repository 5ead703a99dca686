//! Tests with a disk that fails at any call of a clean, as when the process is killed there.

use super::*;
use crate::log::testing::{Dying, UNCLEAN, copy_dir};

/// A log of several segments with tombstones and aborted data.
fn prepared() -> Cleaning {
    let cleaning = Cleaning::new(LogConfig {
        segment_bytes: 700,
        ..compacted()
    });
    for i in 0..24u8 {
        let value = [i; 40];
        cleaning.put(&[i % 5], (i % 7 != 6).then_some(&value[..]));
        if i % 8 == 3 {
            let mut builder = BatchBuilder::new(0)
                .producer(7, 0, i32::from(i / 8))
                .transactional(true);
            builder.append(NOW_MS, Some(&[i % 5]), Some(b"aborted"), &[]);
            cleaning.test.append(builder.build(), 0);
            cleaning.end_transaction(7, ControlRecordType::Abort);
        }
    }
    cleaning.test.commit();
    cleaning.test.log.roll().unwrap();
    cleaning.test.log.flush().unwrap();
    cleaning.test.scheduler.run_due();
    cleaning
}

/// The last committed value of each key, which must never change.
fn state(cleaning: &Cleaning) -> HashMap<Vec<u8>, (Offset, Option<Vec<u8>>)> {
    let committed = cleaning.committed().into_iter();
    committed
        .map(|(offset, key, value, _)| (key, (offset, value)))
        .collect()
}

#[test]
fn whenever_it_dies_nothing_is_lost_and_nothing_comes_back() {
    let original = prepared();
    let (before, expected) = (original.contents(), state(&original));
    let recovery_point = original.test.log.recovery_point();
    let opening = Opening {
        recovery_point: Some(recovery_point),
        ..UNCLEAN
    };
    let mut after = prepared();
    assert!(after.clean().cleaned);
    let after = after.contents();
    assert!(after.len() < before.len());
    let (mut calls, mut completed) = (0, false);
    let mut between = std::collections::BTreeSet::new();
    while !completed {
        for cut in [0, 20].into_iter().take(1 + usize::from(calls % 3 == 0)) {
            let root = Arc::new(tempfile::tempdir().unwrap());
            copy_dir(original.test.root.path(), root.path());
            let config = original.test.config.clone();
            let Ok(test) = TestLog::open(root.clone(), config.clone(), opening, Dying::after(calls, cut))
            else {
                continue;
            };
            test.commit();
            let mut cleaning = Cleaning::of(test, &CONFIG);
            let round = cleaning.clean();
            cleaning.test.scheduler.run_due();
            completed = round.cleaned && cleaning.test.failures.take().is_empty();
            // A new process opens the files.
            let reopened = cleaning.reopen(opening);
            assert_eq!(state(&reopened), expected, "after {calls} calls");
            let contents = reopened.contents();
            assert!(contents.iter().all(|record| before.contains(record)));
            assert!(
                after.iter().all(|record| contents.contains(record)),
                "after {calls} calls"
            );
            assert!(reopened.unfinished_files().is_empty());
            between.insert(contents.len());
            let mut again = reopened;
            let _ = again.clean();
            assert_eq!(state(&again), expected, "cleaned after {calls} calls");
            assert_eq!(again.contents(), after, "cleaned after {calls} calls");
        }
        calls += 1;
        assert!(calls < 10_000, "no clean is completed");
    }
    assert!(calls > 60, "{calls}");
    assert!(
        between.len() > 2,
        "some deaths leave the log cleaned in part: {between:?}"
    );
}

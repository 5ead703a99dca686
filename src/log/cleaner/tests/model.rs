//! Model test: after any sequence of appends, tombstones, transactions, configuration changes, cleans and restarts the
//! log holds exactly the records that the definition of compaction demands.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::log::testing::UNCLEAN;

#[derive(Clone, Debug)]
enum Step {
    /// Append a batch of (key, value or tombstone) in a codec.
    Append(Vec<(u8, Option<u8>)>, usize),
    /// The same within a transaction of one of three producers.
    Transactional(i64, Vec<(u8, Option<u8>)>),
    End(i64, bool),
    Roll,
    Advance(i64),
    Configure {
        segment_bytes: i32,
        delete_retention_ms: i64,
        min_lag_ms: i64,
    },
    Clean,
    Restart {
        clean: bool,
    },
}

fn records() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
    prop::collection::vec((0..6u8, prop::option::weighted(0.8, any::<u8>())), 1..5)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (records(), 0..5usize).prop_map(|(records, codec)| Step::Append(records, codec)),
        3 => (1..4i64, records()).prop_map(|(producer, records)| Step::Transactional(producer, records)),
        3 => (1..4i64, any::<bool>()).prop_map(|(producer, commit)| Step::End(producer, commit)),
        2 => Just(Step::Roll),
        2 => (0..800i64).prop_map(Step::Advance),
        1 => (300..2000i32, 0..1500i64, prop_oneof![Just(0i64), 0..500i64]).prop_map(
            |(segment_bytes, delete_retention_ms, min_lag_ms)| Step::Configure {
                segment_bytes, delete_retention_ms, min_lag_ms
            }),
        4 => Just(Step::Clean),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
    ]
}

/// An appended batch, and the part of it that should still be in the log.
struct ModelBatch {
    producer: Option<i64>,
    aborted: bool,
    horizon: Option<i64>,
    records: Vec<Found>,
}

/// The model, which follows the definition: batches by their first offset.
#[derive(Default)]
struct Model {
    batches: BTreeMap<Offset, ModelBatch>,
    sequences: HashMap<i64, i32>,
    /// First offsets of the batches of open transactions.
    open: HashMap<i64, Vec<Offset>>,
}

impl Model {
    /// Cleans everything below `end`.
    fn clean(&mut self, end: Offset, now: i64, delete_retention_ms: i64) {
        let mut last: HashMap<Vec<u8>, Offset> = HashMap::new();
        for (_, batch) in self.batches.range(..end).filter(|(_, batch)| !batch.aborted) {
            for (offset, key, ..) in &batch.records {
                last.insert(key.clone(), *offset);
            }
        }
        for (_, batch) in self.batches.range_mut(..end) {
            let spent = batch.horizon.is_some_and(|horizon| horizon <= now);
            let aborted = batch.aborted;
            batch.records.retain(|(offset, key, value, _)| {
                !aborted && last[key] == *offset && (value.is_some() || !spent)
            });
            if batch.horizon.is_none() && batch.records.iter().any(|(_, _, value, _)| value.is_none()) {
                batch.horizon = Some(now + delete_retention_ms);
            }
        }
    }

    fn contents(&self) -> Vec<Found> {
        self.batches
            .values()
            .flat_map(|batch| batch.records.clone())
            .collect()
    }

    /// The records that a `read_committed` consumer may see below the last stable offset.
    fn committed(&self, last_stable: Offset) -> Vec<Found> {
        let committed = self.batches.values().filter(|batch| !batch.aborted);
        let records = committed.flat_map(|batch| batch.records.clone());
        records.filter(|(offset, ..)| *offset < last_stable).collect()
    }
}

struct Run {
    cleaning: Cleaning,
    config: LogConfig,
    model: Model,
}

impl Run {
    fn append(&mut self, producer: Option<i64>, records: &[(u8, Option<u8>)], codec: usize) {
        let mut builder = BatchBuilder::new(0).compression(Compression::ALL[codec], None);
        if let Some(producer) = producer {
            let sequence = self.model.sequences.entry(producer).or_default();
            builder = builder.producer(producer, 0, *sequence).transactional(true);
            *sequence += records.len() as i32;
        }
        let now = self.cleaning.now();
        let mut found = Vec::new();
        for (i, (key, value)) in records.iter().enumerate() {
            let value = value.map(|byte| vec![byte; 30]);
            let timestamp = now - 3 * i as i64;
            builder.append(
                timestamp,
                Some(&[*key]),
                value.as_deref(),
                &[("h", Some(&[*key]))],
            );
            found.push((i as i64, vec![*key], value, timestamp));
        }
        let first = self.cleaning.test.append(builder.build(), 0).first_offset;
        found.iter_mut().for_each(|record| record.0 += first);
        let batch = ModelBatch {
            producer,
            aborted: false,
            horizon: None,
            records: found,
        };
        self.model.batches.insert(first, batch);
        if let Some(producer) = producer {
            self.model.open.entry(producer).or_default().push(first);
        }
        self.cleaning.test.commit();
    }

    fn end(&mut self, producer: i64, commit: bool) {
        let Some(batches) = self.model.open.remove(&producer) else {
            return;
        };
        let control_type = match commit {
            true => ControlRecordType::Commit,
            false => ControlRecordType::Abort,
        };
        self.cleaning.end_transaction(producer, control_type);
        self.cleaning.test.commit();
        for first in batches {
            let batch = self.model.batches.get_mut(&first).unwrap();
            assert_eq!(batch.producer, Some(producer));
            batch.aborted = !commit;
        }
    }

    fn clean(&mut self) -> Result<(), TestCaseError> {
        let log = self.cleaning.test.log.clone();
        let partition = log.topic_partition().clone();
        let round = self.cleaning.clean();
        prop_assert_eq!(self.cleaning.quarantine_reason(), None);
        if round.cleaned {
            let end = self.cleaning.manager.checkpointed(&partition).unwrap();
            prop_assert!(end <= log.last_stable_offset());
            self.model
                .clean(end, self.cleaning.now(), self.config.delete_retention_ms);
        }
        Ok(())
    }

    fn restart(self, clean: bool) -> Self {
        let producers = self.cleaning.test.log.active_producers();
        if clean {
            self.cleaning.test.log.close().unwrap();
        }
        let mut cleaning = self.cleaning;
        cleaning.test.config = self.config.clone();
        let cleaning = cleaning.reopen(if clean { CLEAN } else { UNCLEAN });
        let known = |producers: &[crate::log::unified_log::ActiveProducer]| -> Vec<_> {
            let facts = producers.iter().map(|p| {
                (
                    p.producer_id,
                    p.producer_epoch,
                    p.last_sequence,
                    p.current_txn_first_offset,
                )
            });
            facts.collect()
        };
        assert_eq!(known(&cleaning.test.log.active_producers()), known(&producers));
        Self { cleaning, ..self }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.cleaning.contents(), self.model.contents());
        let last_stable = self.cleaning.test.log.last_stable_offset();
        prop_assert_eq!(self.cleaning.committed(), self.model.committed(last_stable));
        prop_assert!(self.cleaning.unfinished_files().is_empty());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_log_holds_what_the_definition_says(steps in prop::collection::vec(step(), 1..60)) {
        let config = LogConfig { segment_bytes: 700, index_interval_bytes: 100, ..compacted() };
        let mut run = Run { cleaning: Cleaning::new(config.clone()), config, model: Model::default() };
        for step in steps {
            match step {
                Step::Append(records, codec) => run.append(None, &records, codec),
                Step::Transactional(producer, records) => run.append(Some(producer), &records, 0),
                Step::End(producer, commit) => run.end(producer, commit),
                Step::Roll => run.cleaning.test.log.roll().unwrap(),
                Step::Advance(by) => run.cleaning.test.clock.advance(by),
                Step::Configure { segment_bytes, delete_retention_ms, min_lag_ms } => {
                    let config = &mut run.config;
                    config.segment_bytes = segment_bytes;
                    config.delete_retention_ms = delete_retention_ms;
                    config.min_compaction_lag_ms = min_lag_ms;
                    run.cleaning.test.log.update_config(Arc::new(config.clone()));
                }
                Step::Clean => run.clean()?,
                Step::Restart { clean } => run = run.restart(clean),
            }
            run.check()?;
        }
    }
}

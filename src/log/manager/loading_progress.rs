//! The progress of loading: gauges that exist only while a broker starts. Kafka 3.9:
//! `LogManager.addLogRecoveryMetrics`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::metrics::name;
use crate::metrics::{MetricName, Registry};

/// The remaining work of one dir.
#[derive(Clone)]
pub(super) struct LoadingProgress {
    /// Logs that have not been loaded yet.
    pub(super) logs: Arc<AtomicUsize>,
    /// For each thread: the number of unflushed segments in its current log.
    pub(super) segments: Vec<Arc<AtomicUsize>>,
}

/// The gauges of all dirs; they are removed when this is dropped.
pub(super) struct ShownProgress<'a> {
    registry: &'a Registry,
    names: Vec<MetricName>,
}

impl<'a> ShownProgress<'a> {
    /// Progress without gauges.
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            names: Vec::new(),
        }
    }

    /// Adds gauges for a dir that so many threads will load.
    pub(super) fn add_dir(&mut self, dir: &Path, threads: usize) -> LoadingProgress {
        let progress = LoadingProgress {
            logs: Arc::default(),
            segments: (0..threads).map(|_| Arc::default()).collect(),
        };
        let dir = dir.display();
        let logs = name("remainingLogsToRecover").tag("dir", &dir);
        self.show(logs, Arc::clone(&progress.logs));
        for (thread, segments) in progress.segments.iter().enumerate() {
            let name = name("remainingSegmentsToRecover").tag("dir", &dir);
            self.show(name.tag("threadNum", thread), Arc::clone(segments));
        }
        progress
    }

    fn show(&mut self, name: MetricName, count: Arc<AtomicUsize>) {
        let value = move || count.load(Ordering::Relaxed) as f64;
        self.registry.gauge(name.clone(), value);
        self.names.push(name);
    }
}

impl Drop for ShownProgress<'_> {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| self.registry.remove(name));
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::super::{LogManager, opening};
    use super::*;
    use crate::common::clock::ManualClock;
    use crate::common::ids::TopicPartition;
    use crate::config::{BrokerConfig, LogConfig};
    use crate::log::fs::{Call, Faults, Fs, Verdict};
    use crate::log::testing::{self, NOW_MS, batch};
    use crate::log::unified_log::AppendOrigin;

    /// Injects no faults; records what a scrape at each file call would show.
    struct Scraper {
        registry: Registry,
        seen: Mutex<Vec<[f64; 2]>>,
    }

    impl Faults for Scraper {
        fn before(&self, _call: Call, _path: &Path) -> Verdict {
            let text = self.registry.exposition();
            let value = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name))?;
                line.rsplit(' ').next()?.parse().ok()
            };
            let logs = value("kafka_log_logmanager_remaininglogstorecover{dir=");
            let segments = value("kafka_log_logmanager_remainingsegmentstorecover{dir=");
            if let (Some(logs), Some(segments)) = (logs, segments) {
                let mut seen = self.seen.lock();
                if seen.last() != Some(&[logs, segments]) {
                    seen.push([logs, segments]);
                }
            }
            Verdict::Proceed
        }
    }

    #[test]
    fn what_is_left_is_shown_while_loading_lasts() {
        let root = testing::root();
        let config = BrokerConfig::for_test(1, root.path());
        let open = |registry: &Registry, fs| -> Arc<LogManager> {
            let topic_config = |_: &str| LogConfig::default();
            opening::open(&config, &topic_config, ManualClock::at(NOW_MS), registry, fs).unwrap()
        };
        let manager = open(&Registry::default(), Fs::default());
        for (partition, segments) in [(0, 3), (1, 1)] {
            let partition = TopicPartition::new("t", partition);
            let log = manager.get_or_create_log(&partition, None, true, LogConfig::default());
            let log = log.unwrap();
            for _ in 0..segments {
                log.roll().unwrap();
                log.append_as_leader(batch(1, NOW_MS, 10), 0, AppendOrigin::Client)
                    .unwrap();
            }
        }
        // The broker was killed before it flushed anything.
        manager.scheduler.stop();
        drop(manager);
        let registry = Registry::default();
        let scraper = Arc::new(Scraper {
            registry: registry.clone(),
            seen: Mutex::default(),
        });
        drop(open(&registry, Fs::with_faults(scraper.clone())));
        let seen = scraper.seen.lock();
        let expected = [
            [0, 0],
            [2, 0],
            [2, 3],
            [2, 2],
            [2, 1],
            [2, 0],
            [1, 0],
            [1, 1],
            [1, 0],
            [0, 0],
        ];
        assert_eq!(*seen, expected.map(|pair| pair.map(f64::from)));
        let after = registry.exposition();
        assert!(!after.contains("torecover"), "{after}");
    }
}

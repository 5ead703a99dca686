//! `cargo bench --bench log_append [-- GIGABYTES]`: CPU-seconds per gigabyte on the leader's log path: validation, one
//! write, indexes, rolls and the flushes that follow them. For comparison the benchmark also measures the same writes
//! alone, which is the operating system's share and the minimum for any log.
//!
//! The benchmark runs inside the process, because a measurement from outside includes the network. Kafka 3.9 has no
//! counterpart.

use std::fs::File;
use std::io::Write;

use barnabas::parts::BatchBuilder;
use barnabas::parts::Registry;
use barnabas::parts::SystemClock;
use barnabas::parts::TopicPartition;
use barnabas::parts::{AppendOrigin, LogManager};
use barnabas::parts::{BrokerConfig, LogConfig};
use bytes::Bytes;

#[path = "../common/bench_process.rs"]
mod bench_process;
use bench_process::cpu_seconds;

/// Records in a batch and bytes in a record: batches of 64 KB, as a busy producer sends them.
const RECORDS: usize = 64;
const RECORD_SIZE: usize = 1024;
/// Number of different batches, so that they do not stay in the processor's cache.
const BATCHES: usize = 256;

fn main() -> anyhow::Result<()> {
    let gigabytes = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let bytes = (gigabytes.unwrap_or(2.0_f64) * 1e9) as usize;
    let batches: Vec<Bytes> = (0..BATCHES).map(batch).collect();
    let root = tempfile::tempdir()?;
    let written = write(&root.path().join("plain"), &batches, bytes)?;
    let appended = append(root.path(), &batches, bytes)?;
    println!("{:24}{:>12}{:>12}", "", "CPU-s/GB", "GB/s");
    for (name, [cpu, wall]) in [("append as leader", appended), ("the same writes alone", written)] {
        let gigabytes = bytes as f64 / 1e9;
        println!("{name:24}{:12.3}{:12.2}", cpu / gigabytes, gigabytes / wall);
    }
    Ok(())
}

fn batch(seed: usize) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    let mut state = seed as u64 + 1;
    for _ in 0..RECORDS {
        let value: Vec<u8> = (0..RECORD_SIZE - 12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        builder.append(1_700_000_000_000, None, Some(&value), &[]);
    }
    builder.build()
}

/// CPU-seconds and seconds of writing the batches to a file in turn, and of removing the file.
fn write(path: &std::path::Path, batches: &[Bytes], bytes: usize) -> anyhow::Result<[f64; 2]> {
    let mut file = File::create(path)?;
    let took = measured(|| {
        let mut written = 0;
        for batch in batches.iter().cycle() {
            file.write_all(batch)?;
            written += batch.len();
            if written >= bytes {
                break;
            }
        }
        Ok(())
    });
    std::fs::remove_file(path)?;
    took
}

/// CPU-seconds and seconds of appending the same batches to a log.
fn append(root: &std::path::Path, batches: &[Bytes], bytes: usize) -> anyhow::Result<[f64; 2]> {
    let config = BrokerConfig::for_test(1, &root.join("logs"));
    let manager = LogManager::open(
        &config,
        &|_| LogConfig::default(),
        SystemClock::shared(),
        &Registry::default(),
    )?;
    manager.start_background();
    let partition = TopicPartition::new("t", 0);
    let log = manager.get_or_create_log(&partition, None, true, LogConfig::default())?;
    let took = measured(|| {
        let mut appended = 0;
        for batch in batches.iter().cycle() {
            let info = log.append_as_leader(batch.clone(), 0, AppendOrigin::Client)?;
            log.maybe_increment_high_watermark(info.last_offset + 1);
            appended += info.size;
            if appended >= bytes {
                break;
            }
        }
        Ok(())
    });
    manager.shutdown();
    took
}

/// CPU-seconds, kernel time included, and seconds that some work takes.
fn measured(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<[f64; 2]> {
    let (cpu, start) = (cpu_seconds()?, std::time::Instant::now());
    work()?;
    Ok([cpu_seconds()? - cpu, start.elapsed().as_secs_f64()])
}

//! Tests that compare the output with that of `kafka.tools.DumpLogSegments` of Apache Kafka 3.9.1 for the same files
//! (`testdata`, with `DIR` for the directory), and tests of what Kafka's tool does not do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde_json::Value;

use super::arguments::Arguments;
use super::dump::dump;

const SEGMENT: &str = "00000000000000000000";

#[derive(clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

/// The output of a run and its number of problems.
struct Dumped {
    out: String,
    err: String,
    problems: usize,
}

fn run(dir: &Path, files: &[&str], flags: &[&str]) -> Dumped {
    let paths: Vec<_> = files
        .iter()
        .map(|file| dir.join(file).display().to_string())
        .collect();
    let files = paths.join(",");
    let command = ["dump-log", "--files", &files].into_iter();
    let arguments = CommandLine::parse_from(command.chain(flags.iter().copied())).arguments;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let problems = dump(&arguments, &mut out, &mut err).unwrap();
    let text = |bytes| {
        String::from_utf8(bytes)
            .unwrap()
            .replace(&dir.display().to_string(), "DIR")
    };
    Dumped {
        out: text(out),
        err: text(err),
        problems,
    }
}

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

/// A directory with copies of some files, each under a name.
fn copies(files: &[(PathBuf, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, name) in files {
        fs::copy(file, dir.path().join(name)).unwrap();
    }
    dir
}

/// A copy of a partition's directory.
fn partition(name: &str) -> tempfile::TempDir {
    let from = testdata("log/testdata/broker1").join(name);
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

/// Names and bytes of all files.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries
        .map(|entry| (entry.path(), fs::read(entry.path()).unwrap()))
        .collect()
}

fn check(dir: &Path, files: &[&str], flags: &[&str], golden: &str) {
    let before = contents(dir);
    let dumped = run(dir, files, flags);
    let printed = format!("{}--- standard error\n{}", dumped.out, dumped.err);
    for (number, (ours, kafkas)) in printed.lines().zip(golden.lines()).enumerate() {
        assert_eq!(ours, kafkas, "line {number}");
    }
    assert_eq!(printed.lines().count(), golden.lines().count());
    assert_eq!(dumped.problems, 0);
    assert_eq!(contents(dir), before, "a dump changes nothing");
}

#[test]
fn five_codecs_are_printed_as_kafka_prints_them() {
    let files = [".log", ".index", ".timeindex"].map(|suffix| format!("{SEGMENT}{suffix}"));
    let [log, index, time_index] = &files;
    let files = [log, index, time_index, "00000000000000000100.snapshot"];
    let golden = include_str!("testdata/codecs.txt");
    check(
        partition("orders-0").path(),
        &files,
        &["--print-data-log"],
        golden,
    );
}

#[test]
fn transactions_and_their_markers_are_printed_as_kafka_prints_them() {
    let files = [".log", ".index", ".timeindex", ".txnindex"].map(|suffix| format!("{SEGMENT}{suffix}"));
    let mut files: Vec<&str> = files.iter().map(String::as_str).collect();
    files.extend(["00000000000000000024.snapshot", "partition.metadata"]);
    let golden = include_str!("testdata/transactions.txt");
    check(
        partition("orders-1").path(),
        &files,
        &["--deep-iteration"],
        golden,
    );
}

#[test]
fn tombstones_and_delete_horizons_are_printed_as_kafka_prints_them() {
    let names =
        [0, 12].map(|base| [".log", ".index", ".timeindex"].map(|suffix| format!("{base:020}{suffix}")));
    let mut files: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    let deleted = format!("{SEGMENT}.log.deleted");
    files.push(&deleted);
    let flags = ["--print-data-log", "--skip-record-metadata"];
    let golden = include_str!("testdata/compacted.txt");
    check(partition("compacted-0").path(), &files, &flags, golden);
    let golden = include_str!("testdata/sanity.txt");
    check(
        partition("compacted-0").path(),
        &files[..3],
        &["--index-sanity-check"],
        golden,
    );
}

#[test]
fn coordinators_records_are_decoded_as_kafka_decodes_them() {
    let log = format!("{SEGMENT}.log");
    let golden = include_str!("testdata/offsets.txt");
    check(
        partition("__consumer_offsets-2").path(),
        &[&log],
        &["--offsets-decoder"],
        golden,
    );
    let golden = include_str!("testdata/transaction-log.txt");
    check(
        partition("__transaction_state-0").path(),
        &[&log],
        &["--transaction-log-decoder"],
        golden,
    );
}

#[test]
fn messages_of_formats_0_and_1_are_printed_as_kafka_prints_them() {
    let goldens = [
        ("magic-0.log", include_str!("testdata/magic-0.txt")),
        ("magic-1.log", include_str!("testdata/magic-1.txt")),
    ];
    for (file, golden) in goldens {
        let log = format!("{SEGMENT}.log");
        let dir = copies(&[(testdata("record/testdata").join(file), &log)]);
        check(dir.path(), &[&log], &["--print-data-log"], golden);
    }
}

#[test]
fn what_is_corrupt_is_named_with_its_byte_and_the_rest_is_still_dumped() {
    let dir = partition("orders-1");
    let log = dir.path().join(format!("{SEGMENT}.log"));
    let mut bytes = fs::read(&log).unwrap();
    // The second batch starts at byte 136; its last byte belongs to its only record.
    bytes[213] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let names = [".log", ".txnindex"].map(|suffix| format!("{SEGMENT}{suffix}"));
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let dumped = run(dir.path(), &files, &[]);
    assert_eq!(dumped.problems, 1);
    assert!(
        dumped.out.contains("crc: 1381593510 isvalid: false"),
        "{}",
        dumped.out
    );
    assert!(dumped.out.ends_with("lastStableOffset: 24\n"), "{}", dumped.out);
    assert_eq!(
        dumped.err,
        "DIR/00000000000000000000.log: byte 136: the checksum is not 1381593510 as stored\n"
    );

    // An impossible length ends the file, as in Kafka's tool, but not the run.
    bytes[136 + 8..136 + 12].copy_from_slice(&13i32.to_be_bytes());
    fs::write(&log, &bytes).unwrap();
    let dumped = run(dir.path(), &files, &[]);
    assert_eq!(dumped.problems, 1);
    assert_eq!(dumped.out.matches("baseOffset").count(), 1);
    assert!(dumped.err.contains(".log: byte 136: length 13"), "{}", dumped.err);
    assert!(dumped.out.ends_with("lastStableOffset: 24\n"), "{}", dumped.out);
}

#[test]
fn every_flipped_byte_of_a_log_a_time_index_and_a_snapshot_is_noticed() {
    for (name, file, flags) in [
        ("orders-1", "00000000000000000000.log", &["--print-data-log"][..]),
        ("orders-1", "00000000000000000000.timeindex", &[]),
        ("orders-1", "00000000000000000024.snapshot", &[]),
    ] {
        let dir = partition(name);
        let path = dir.path().join(file);
        let bytes = fs::read(&path).unwrap();
        let mut missed = Vec::new();
        for byte in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[byte] ^= 1 << (byte % 8);
            fs::write(&path, &bytes).unwrap();
            let dumped = run(dir.path(), &[file], flags);
            let torn = dumped.out.contains("invalid bytes at the end");
            if dumped.problems == 0 && !torn {
                missed.push(byte);
            }
        }
        // Base offset and leader epoch of a batch lie outside its checksum (fact 59).
        missed.retain(|&byte| !file.ends_with(".log") || !is_outside_checksum(&bytes, byte));
        assert_eq!(missed, [0usize; 0], "{file}");
    }
}

/// Whether a byte of a log of format 2 is part of a base offset or of a partition leader epoch.
fn is_outside_checksum(log: &[u8], byte: usize) -> bool {
    let mut start = 0;
    loop {
        let batch = crate::record::RecordBatch::parse(&log[start..]).unwrap().unwrap();
        let next = start + batch.size_in_bytes();
        if byte < next {
            let within = byte - start;
            return within < 8 || (12..16).contains(&within);
        }
        start = next;
    }
}

#[test]
fn a_running_brokers_files_are_no_corruption() {
    let dir = partition("orders-1");
    let file = |suffix: &str| dir.path().join(format!("{SEGMENT}{suffix}"));
    let append = |suffix: &str, bytes: &[u8]| {
        let mut content = fs::read(file(suffix)).unwrap();
        content.extend(bytes);
        fs::write(file(suffix), content).unwrap();
    };
    append(".index", &[0; 8 * 100]);
    append(".timeindex", &[0; 12 * 100]);
    append(".txnindex", &[0; 7]);
    let names = [".log", ".index", ".timeindex", ".txnindex"].map(|suffix| format!("{SEGMENT}{suffix}"));
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    for flags in [&[][..], &["--index-sanity-check"], &["--verify-index-only"]] {
        let dumped = run(dir.path(), &files, flags);
        assert_eq!(dumped.problems, 0, "{flags:?}: {}", dumped.err);
    }
    // A batch that is still being written, and preallocated space behind it.
    let whole = fs::read(file(".log")).unwrap();
    append(".log", &whole[..100]);
    let torn = run(dir.path(), &files[..1], &["--deep-iteration"]);
    assert_eq!(torn.problems, 0);
    let complaint = "Found 100 invalid bytes at the end of 00000000000000000000.log\n";
    assert!(torn.out.ends_with(complaint), "{}", torn.out);
    fs::write(file(".log"), [&whole[..], &[0; 5000]].concat()).unwrap();
    assert_eq!(run(dir.path(), &files[..1], &[]).problems, 0);

    // In a segment that has a successor, the same is corruption.
    fs::write(dir.path().join("00000000000000000024.log"), []).unwrap();
    let dumped = run(dir.path(), &files, &[]);
    for (suffix, byte) in [("log", 856), ("txnindex", 68)] {
        let complaint = format!("DIR/{SEGMENT}.{suffix}: byte {byte}: ");
        assert!(dumped.err.contains(&complaint), "{complaint}\n{}", dumped.err);
    }
}

#[test]
fn indexes_are_held_against_the_log() {
    let dir = partition("orders-0");
    let index = dir.path().join(format!("{SEGMENT}.index"));
    let name = format!("{SEGMENT}.index");
    // Offset 19 ends the first batch; nothing ends with offset 20.
    fs::write(&index, [0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0]).unwrap();
    let dumped = run(dir.path(), &[&name], &[]);
    assert!(
        dumped
            .out
            .ends_with("offset: 19 position: 0\noffset: 20 position: 0\n")
    );
    assert_eq!(dumped.problems, 1);
    let ours = "DIR/00000000000000000000.index: byte 8: the entry says offset 20, but the batch at byte 0 of the \
                log ends with 19\n";
    let kafkas = "Mismatches in :DIR/00000000000000000000.index\n  Index offset: 20, log offset: 19\n";
    assert_eq!(dumped.err, format!("{ours}{kafkas}"));
    let verified = run(dir.path(), &[&name], &["--verify-index-only"]);
    assert_eq!(verified.out, format!("Dumping DIR/{name}\n"));
    assert_eq!(verified.err, dumped.err);
    // Beyond the end of the log.
    fs::write(&index, [0, 0, 0, 19, 0, 0x7f, 0, 0]).unwrap();
    let dumped = run(dir.path(), &[&name], &[]);
    assert!(
        dumped
            .err
            .contains("byte 0: the entry for offset 19 points to byte 8323072 of a log of 3075 bytes")
    );
    // Half an entry.
    fs::write(&index, [0, 0, 0, 19, 0, 0, 0, 0, 0]).unwrap();
    let dumped = run(dir.path(), &[&name], &["--index-sanity-check"]);
    assert!(
        dumped.err.contains("byte 8: 9 bytes are not a multiple of 8"),
        "{}",
        dumped.err
    );
}

#[test]
fn what_is_missing_is_not_created() {
    let dir = partition("orders-0");
    fs::remove_file(dir.path().join(format!("{SEGMENT}.index"))).unwrap();
    let before = contents(dir.path());
    let names = [".index", ".timeindex"].map(|suffix| format!("{SEGMENT}{suffix}"));
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let dumped = run(dir.path(), &files, &[]);
    assert_eq!(dumped.problems, 2);
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn checkpoints_are_printed() {
    let dir = testdata("log/testdata/broker1");
    let files = [
        "recovery-point-offset-checkpoint",
        "orders-1/leader-epoch-checkpoint",
        "meta.properties",
    ];
    let dumped = run(&dir, &files, &[]);
    assert_eq!(dumped.problems, 0);
    assert!(
        dumped.out.contains("topic: orders partition: 0 offset: 100\n"),
        "{}",
        dumped.out
    );
    assert!(dumped.out.contains("epoch: 0 startOffset: 0\n"), "{}", dumped.out);
    assert_eq!(dumped.err, "Ignoring unknown file DIR/meta.properties\n");

    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("cleaner-offset-checkpoint"),
        "0\n2\nt 0 1\nt x 1\n",
    )
    .unwrap();
    let dumped = run(
        dir.path(),
        &["cleaner-offset-checkpoint", "replication-offset-checkpoint"],
        &[],
    );
    assert_eq!(dumped.problems, 2);
    assert!(dumped.err.contains("malformed line 4"), "{}", dumped.err);
    assert!(dumped.err.contains("No such file"), "{}", dumped.err);
}

#[test]
fn json_is_one_object_a_line() {
    let dir = partition("__consumer_offsets-2");
    let log = format!("{SEGMENT}.log");
    let mut bytes = fs::read(dir.path().join(&log)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(dir.path().join(&log), bytes).unwrap();
    let dumped = run(dir.path(), &[&log], &["--offsets-decoder", "--json"]);
    let objects: Vec<Value> = dumped
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        objects
            .iter()
            .all(|object| object["file"] == format!("DIR/{log}"))
    );
    let kinds: Vec<_> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[..4], ["log", "batch", "record", "batch"]);
    assert_eq!(objects[1]["compression"], "none");
    assert_eq!(objects[2]["key"]["data"]["group"], "g1");
    assert_eq!(
        objects[2]["payload"]["data"]["members"][0]["subscription"]["topics"][0],
        "orders"
    );
    let problem = objects.iter().find(|object| object["kind"] == "problem").unwrap();
    assert_eq!(problem["byte"], 618);
}

#[test]
fn foreign_classes_and_krafts_records_are_refused() {
    let parse = |flags: &[&str]| {
        let command = ["dump-log", "--files", "x.log"].iter().chain(flags).copied();
        CommandLine::try_parse_from(command).map(|command| command.arguments)
    };
    assert!(parse(&["--value-decoder-class", "com.example.Mine"]).is_err());
    assert!(parse(&["--key-decoder-class", "kafka.serializer.LongDecoder"]).is_ok());
    assert!(
        parse(&["--cluster-metadata-decoder"])
            .unwrap()
            .refusal()
            .is_some()
    );
    assert!(
        parse(&["--remote-log-metadata-decoder"])
            .unwrap()
            .refusal()
            .is_some()
    );
    // The first of several decoders wins, as in Kafka.
    let both = parse(&["--offsets-decoder", "--cluster-metadata-decoder"]).unwrap();
    assert_eq!(both.refusal(), None);
}

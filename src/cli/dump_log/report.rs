//! The output of a dump: lines go to standard output, problems to standard error, and the lists of mismatches, as in
//! Kafka's tool, come at the end. Kafka 3.9: `DumpLogSegments.main`, `TimeIndexDumpErrors`.

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::java::in_hash_order;
use super::json::to_text;

/// An item that is printed as one line.
pub(super) trait Line {
    /// Writes the line as Kafka's tool prints it, without the line feed.
    fn text(&self, out: &mut dyn Write) -> io::Result<()>;
    /// The same content as a JSON object.
    fn json(&self) -> Value;
}

/// Why the dump of a file stops early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Standard output or standard error cannot be written.
    Output(io::Error),
    /// The file cannot be read from here on; `byte` is the position if it is known.
    Input { byte: Option<u64>, reason: String },
}

impl Stop {
    /// The bytes from `byte` on are corrupt.
    pub(super) fn corrupt(byte: u64, reason: impl Display) -> Self {
        Self::Input {
            byte: Some(byte),
            reason: reason.to_string(),
        }
    }

    /// The file as a whole cannot be dumped.
    pub(super) fn unreadable(reason: impl Display) -> Self {
        Self::Input {
            byte: None,
            reason: reason.to_string(),
        }
    }
}

impl From<io::Error> for Stop {
    /// An error without a file's name comes from the output: code that reads names its file and uses the functions
    /// above.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A list of pairs per file, which Kafka's tool keeps until the end.
#[derive(Default)]
struct Pairs(Vec<(String, Vec<(i64, i64)>)>);

impl Pairs {
    fn add(&mut self, file: &str, pair: (i64, i64)) {
        match self.0.iter_mut().find(|(name, _)| name == file) {
            Some((_, pairs)) => pairs.push(pair),
            None => self.0.push((file.to_owned(), vec![pair])),
        }
    }

    /// The files in the iteration order of a Scala map.
    fn in_kafkas_order(&self) -> Vec<&(String, Vec<(i64, i64)>)> {
        in_hash_order(self.0.iter().collect(), |(name, _)| super::java::hash_of(name))
    }
}

/// The findings of all files.
pub(super) struct Report<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    json: bool,
    file: String,
    absolute: String,
    problems: usize,
    index_mismatches: Pairs,
    timestamp_mismatches: Pairs,
    timestamps_out_of_order: Pairs,
    offsets_not_found: Pairs,
    not_consecutive: Pairs,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, json: bool) -> Self {
        Self {
            out,
            err,
            json,
            file: String::new(),
            absolute: String::new(),
            problems: 0,
            index_mismatches: Pairs::default(),
            timestamp_mismatches: Pairs::default(),
            timestamps_out_of_order: Pairs::default(),
            offsets_not_found: Pairs::default(),
            not_consecutive: Pairs::default(),
        }
    }

    /// Starts the report of `file`, named as on the command line; `absolute` is its absolute path.
    pub(super) fn begin(&mut self, file: &str, absolute: &str) -> io::Result<()> {
        file.clone_into(&mut self.file);
        absolute.clone_into(&mut self.absolute);
        if self.json {
            return Ok(());
        }
        writeln!(self.out, "Dumping {file}")
    }

    /// The current file, named as on the command line.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Prints a line.
    pub(super) fn line(&mut self, line: &dyn Line) -> io::Result<()> {
        if !self.json {
            line.text(self.out)?;
            return writeln!(self.out);
        }
        let mut object = json!({ "file": self.file });
        if let (Value::Object(object), Value::Object(facts)) = (&mut object, line.json()) {
            object.extend(facts);
        }
        writeln!(self.out, "{}", to_text(&object))
    }

    /// Reports a problem of the file: standard error names the problem and the place, and the exit status becomes 1.
    pub(super) fn problem(&mut self, byte: Option<u64>, reason: &str) -> io::Result<()> {
        self.problems += 1;
        if self.json {
            let object = json!({ "file": self.file, "kind": "problem", "byte": byte, "reason": reason });
            writeln!(self.out, "{}", to_text(&object))?;
        }
        self.out.flush()?;
        match byte {
            Some(byte) => writeln!(self.err, "{}: byte {byte}: {reason}", self.file),
            None => writeln!(self.err, "{}: {reason}", self.file),
        }
    }

    /// Reports why the dump of a file stops. Fails only if the report cannot be written.
    pub(super) fn stop(&mut self, stop: Stop) -> io::Result<()> {
        match stop {
            Stop::Input { byte, reason } => self.problem(byte, &reason),
            Stop::Output(error) => Err(error),
        }
    }

    /// Prints a remark that is not a problem.
    pub(super) fn remark(&mut self, remark: impl Display) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.err, "{remark}")
    }

    /// Records that an index entry names `index_offset`, but the batch at its position ends with `log_offset`.
    pub(super) fn index_mismatch(&mut self, index_offset: i64, log_offset: i64) {
        self.index_mismatches
            .add(&self.absolute, (index_offset, log_offset));
    }

    /// Records that the batch of a time index entry has another largest timestamp.
    pub(super) fn timestamp_mismatch(&mut self, index_timestamp: i64, log_timestamp: i64) {
        self.timestamp_mismatches
            .add(&self.absolute, (index_timestamp, log_timestamp));
    }

    /// Records that a time index entry is not later than the previous one.
    pub(super) fn timestamp_out_of_order(&mut self, timestamp: i64, previous: i64) {
        self.timestamps_out_of_order
            .add(&self.absolute, (timestamp, previous));
    }

    /// Records that no batch ends with the offset of a time index entry; the next batch ends with `log_offset`, -1 for
    /// none.
    pub(super) fn offset_not_found(&mut self, index_offset: i64, log_offset: i64) {
        self.offsets_not_found
            .add(&self.absolute, (index_offset, log_offset));
    }

    /// Records that an offset is not the previous one plus 1, which the cleaner and markers cause.
    pub(super) fn not_consecutive(&mut self, offset: i64, next: i64) {
        self.not_consecutive.add(&self.absolute, (offset, next));
    }

    /// Prints the lists. Returns the number of problems.
    pub(super) fn finish(self) -> io::Result<usize> {
        let Self { out, err, .. } = self;
        out.flush()?;
        // Kafka's lists grow at their head, so they are printed in reverse; those of the time index are not.
        for (file, pairs) in self.index_mismatches.in_kafkas_order() {
            writeln!(err, "Mismatches in :{file}")?;
            for (index_offset, log_offset) in pairs.iter().rev() {
                writeln!(err, "  Index offset: {index_offset}, log offset: {log_offset}")?;
            }
        }
        for (file, pairs) in self.timestamp_mismatches.in_kafkas_order() {
            writeln!(err, "Found timestamp mismatch in :{file}")?;
            for (index, log) in pairs {
                writeln!(err, "  Index timestamp: {index}, log timestamp: {log}")?;
            }
        }
        for (file, pairs) in self.timestamps_out_of_order.in_kafkas_order() {
            writeln!(err, "Found out of order timestamp in :{file}")?;
            for (timestamp, previous) in pairs {
                writeln!(
                    err,
                    "  Index timestamp: {timestamp}, Previously indexed timestamp: {previous}"
                )?;
            }
        }
        for (_, pairs) in self.offsets_not_found.in_kafkas_order() {
            writeln!(err, "The following indexed offsets are not found in the log.")?;
            for (indexed, found) in pairs {
                writeln!(err, "Indexed offset: {indexed}, found log offset: {found}")?;
            }
        }
        for (file, pairs) in self.not_consecutive.in_kafkas_order() {
            writeln!(err, "Non-consecutive offsets in {file}")?;
            for (offset, next) in pairs.iter().rev() {
                writeln!(err, "  {offset} is followed by {next}")?;
            }
        }
        err.flush()?;
        Ok(self.problems)
    }
}

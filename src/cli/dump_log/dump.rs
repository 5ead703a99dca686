//! The subcommand `barnabas dump-log`: dumps the files one after the other. Kafka 3.9: `DumpLogSegments.main`.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::error::ErrorKind;

use super::arguments::Arguments;
use super::report::{Report, Stop};
use super::{checkpoint, index, log, snapshot, time_index, transaction_index};

/// Size of the output buffer.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Dumps the files of the command line to standard output.
pub(in crate::cli) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(refusal) = arguments.refusal() {
        clap::Error::raw(ErrorKind::InvalidValue, format!("{refusal}\n")).exit();
    }
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    let mut err = BufWriter::new(io::stderr().lock());
    match dump(arguments, &mut out, &mut err) {
        Ok(0) => Ok(()),
        Ok(1) => bail!("1 problem in the files"),
        Ok(problems) => bail!("{problems} problems in the files"),
        // The reader of the output has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Dumps the files. Returns how many problems they have. An error comes from `out` or `err`.
pub(super) fn dump(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<usize> {
    let mut report = Report::new(out, err, arguments.json);
    // Like Java's split: empty names at the end of the list are ignored.
    let named = arguments.files.iter().rposition(|file| !file.is_empty());
    for file in arguments.files.iter().take(named.map_or(0, |last| last + 1)) {
        let file = normalized(file);
        let path = PathBuf::from(&file);
        report.begin(&file, &absolute(&file))?;
        if let Err(stop) = dump_file(&path, arguments, &mut report) {
            report.stop(stop)?;
        }
    }
    report.finish()
}

fn dump_file(path: &Path, arguments: &Arguments, report: &mut Report<'_>) -> Result<(), Stop> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.rfind('.').map(|dot| &name[dot..]) {
        Some(".log") => log::dump(path, arguments, report),
        Some(".index") => index::dump(path, arguments, report),
        Some(".timeindex") => time_index::dump(path, arguments, report),
        Some(".txnindex") => transaction_index::dump(path, report),
        Some(".snapshot") => snapshot::dump(path, report),
        _ if checkpoint::is_checkpoint(&name) => checkpoint::dump(path, &name, report),
        _ => {
            let remark = format!("Ignoring unknown file {}", report.file());
            Ok(report.remark(remark)?)
        }
    }
}

/// A path in the form of Java's `File`: several slashes become one, and the last slash is removed.
fn normalized(file: &str) -> String {
    let mut kept = String::with_capacity(file.len());
    for c in file.chars() {
        if c != '/' || !kept.ends_with('/') {
            kept.push(c);
        }
    }
    if kept.len() > 1 && kept.ends_with('/') {
        kept.pop();
    }
    kept
}

/// Java's `File.getAbsolutePath`: puts the working directory in front and resolves nothing.
fn absolute(file: &str) -> String {
    match std::env::current_dir() {
        Ok(dir) if !file.starts_with('/') => format!("{}/{file}", dir.display()),
        _ => file.to_owned(),
    }
}

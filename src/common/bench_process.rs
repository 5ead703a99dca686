//! Measurements of a bench's own process. Not part of the library: each bench includes the file by its path.

use anyhow::Context;

/// CPU-seconds of this process so far, user and kernel time, to a hundredth.
pub fn cpu_seconds() -> anyhow::Result<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    Ok(ticks.map(|f| f.parse::<f64>().unwrap_or(0.0)).sum::<f64>() / TICKS_PER_SECOND)
}

//! Time and memory of commands, and how busy the machine was meanwhile with other things.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4;

use crate::error::BenchError;

/// What a command took, its children included.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub seconds: f64,
    /// The most memory that it or one of its children had at once, in MiB.
    pub peak_mib: f64,
}

/// What a measured function gave, and how many cores others used meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub value: f64,
    pub foreign: f64,
}

/// The kernel counts the time of cores in hundredths of a second.
const TICKS: f64 = 100.0;

/// Counters that are read one after the other differ by this many ticks on a machine that does nothing else.
const SLACK: f64 = 2.0;

/// Runs a command to its end, its output dropped.
pub fn run(command: &mut Command) -> Result<Cost, BenchError> {
    let name = name(command);
    let start = |source| BenchError::Start { command: name.clone(), source };
    forget_peak();
    let mut said = tempfile::tempfile().map_err(start)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone().map_err(start)?);
    let started = Instant::now();
    let ended = command.spawn().and_then(|mut child| child.wait4()).map_err(start)?;
    let seconds = started.elapsed().as_secs_f64();
    if !ended.status.success() {
        return Err(BenchError::Failed { command: name, status: ended.status, said: tail(&mut said) });
    }
    Ok(Cost { seconds, peak_mib: ended.rusage.maxrss as f64 / 1024.0 / 1024.0 })
}

/// Runs a function and tells what others did meanwhile. `helper` is a process that works for it and is no child that ends with it.
pub fn sample(helper: Option<u32>, work: impl FnOnce() -> Result<f64, BenchError>) -> Result<Sample, BenchError> {
    let (started, before) = (Instant::now(), Ticks::now(helper)?);
    let value = work()?;
    let after = Ticks::now(helper)?;
    let foreign = (after.machine - before.machine) - (after.own - before.own) - SLACK;
    Ok(Sample { value, foreign: (foreign / TICKS / started.elapsed().as_secs_f64()).max(0.0) })
}

/// Time of cores since the machine started.
struct Ticks {
    machine: f64,
    /// Of this process and its children that have ended.
    own: f64,
}

impl Ticks {
    fn now(helper: Option<u32>) -> Result<Ticks, BenchError> {
        let own = of_process("/proc/self/stat")?;
        let helper = helper.map_or(Ok(0.0), |pid| of_process(&format!("/proc/{pid}/stat")))?;
        let all = read("/proc/stat")?;
        let line = all.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal: all but idle and iowait is work.
        let counts: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|count| count.parse().ok()).collect();
        let busy = counts.iter().enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, count)| count).sum();
        Ok(Ticks { machine: busy, own: own + helper })
    }
}

/// User and system time, of the process and of its children that have ended.
fn of_process(file: &str) -> Result<f64, BenchError> {
    let text = read(file)?;
    // The program's name stands in parentheses and may hold anything; the times are the 12th to 15th field after it.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    Ok(after_name.split_whitespace().skip(11).take(4).filter_map(|count| count.parse::<f64>().ok()).sum())
}

fn read(file: &str) -> Result<String, BenchError> {
    let path = Path::new(file);
    fs::read_to_string(path).map_err(BenchError::at(path))
}

/// A child inherits the peak of who starts it. Where the kernel does not let it be reset, peaks are only larger than they should be.
fn forget_peak() {
    drop(fs::write("/proc/self/clear_refs", "5"));
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The last lines that a command wrote.
fn tail(said: &mut File) -> String {
    let mut text = String::new();
    let read = said.rewind().and_then(|()| said.read_to_string(&mut text));
    let lines: Vec<&str> = text.lines().collect();
    match read {
        Ok(_) => lines[lines.len().saturating_sub(5)..].join("\n"),
        Err(error) => error.to_string(),
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::mechanisms::{self, NEEDS};
use crate::payload::{MAX_SIZE, MIN_SIZE};
use crate::placement::{self, Placement};
use crate::plan::{Pattern, Plan, Polling, Verify, distinct};
use crate::pool::PoolOptions;
use crate::units::bytes;

/// Compares IPC mechanisms' latency and throughput across forked processes.
///
/// Alone it runs all mechanisms, each beside its floor (the same loop with bare system calls), in
/// under a minute.
#[derive(Debug, Parser)]
#[command(name = "ipc-bench", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measures and compares; what `ipc-bench` alone does too
    Run {
        /// What to measure, mechanisms and floors: all, unless named
        #[arg(value_name = "MECHANISM", value_parser = names())]
        mechanisms: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Measures pools of workers: tasks, replacement of a killed worker, reload
    Pool(PoolOptions),
    /// Lists what can be measured
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the two processes do: round-trip, stream, batch, in-place, paced, idle, stall
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "round-trip,stream",
        hide_possible_values = true
    )]
    pattern: Vec<Pattern>,
    /// Bytes in a message: 8, 64, 1k, 64k, 1m (k is 1,024, m is 1,048,576)
    #[arg(long, value_delimiter = ',', default_value = "64,1k,64k", value_parser = parse_size)]
    size: Vec<usize>,
    /// Where they run: split (two cores), same (one core), free (where the kernel puts them)
    /// [default: split, on one core same]
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    placement: Vec<Placement>,
    /// How they wait: adaptive, never (sleep at once), always (never sleep)
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "adaptive",
        hide_possible_values = true
    )]
    spin: Vec<Polling>,
    /// Seconds that each cell is measured, such as 0.3
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "0.35",
        value_parser = parse_time,
        allow_negative_numbers = true // to refuse them by their range
    )]
    time: Duration,
    /// Messages a second, of pattern paced
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        allow_negative_numbers = true
    )]
    rate: u32,
    /// How often everything is measured; medians are shown
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        allow_negative_numbers = true
    )]
    repeat: u32,
    /// What is checked: sample, full (every byte of every message)
    #[arg(long, default_value = "sample", hide_possible_values = true)]
    verify: Verify,
    /// Writes all figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// What to measure: what is `named`, or everything.
    pub(crate) fn plan(&self, named: &[String]) -> crate::Result<Plan> {
        let wanted = |name: &str| named.is_empty() || named.iter().any(|n| n == name);
        let absent = |name: &&String| mechanisms::find(name).is_some_and(|m| !m.is_here());
        if let Some(name) = named.iter().find(absent) {
            return Err(format!("{name} {NEEDS}").into());
        }
        let here = mechanisms::ALL.iter().filter(|m| m.is_here());
        let mechanisms: Vec<_> = here.filter(|m| wanted(m.name)).collect();
        let mut placements = distinct(&self.placement);
        if placements.is_empty() {
            placements.push(Placement::here()?);
        } else if placements.contains(&Placement::Split) && placement::two_cores()?.is_none() {
            return Err(
                "placement split needs two cores, and this process may use one: \
                        try --placement same"
                    .into(),
            );
        }
        let plan = Plan {
            mechanisms,
            patterns: distinct(&self.pattern),
            sizes: distinct(&self.size),
            placements,
            spins: distinct(&self.spin),
            time: self.time,
            rate: self.rate,
            repeat: self.repeat,
            verify: self.verify,
        };
        if plan.cells().is_empty() {
            return Err(
                "nothing to measure: raw-cacheline has round trips only, raw-memcpy a stream; only \
                 mechanisms and byte streams have batches, and only rings are written in place"
                    .into(),
            );
        }
        Ok(plan)
    }
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(mechanisms::ALL.iter().map(|mechanism| mechanism.name))
}

fn parse_size(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = match lower.strip_suffix(['k', 'm']) {
        Some(digits) if lower.ends_with('k') => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (lower.as_str(), 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain {
        return Err("a size is a number of bytes such as 8, 64, 1k, 64k or 1m".to_owned());
    }
    match digits
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
    {
        Some(size) if size < MIN_SIZE => Err(format!(
            "a message holds its sequence number, {MIN_SIZE} bytes are the least"
        )),
        Some(size) if size <= MAX_SIZE => Ok(size),
        _ => Err(format!("a message has {} (16m) at most", bytes(MAX_SIZE))),
    }
}

pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "a time is a number of seconds such as 0.3 or 5")?;
    if (0.001..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("a cell takes 0.001 to 3600 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("8", 8),
            ("64", 64),
            ("1k", 1024),
            ("64K", 65_536),
            ("16m", MAX_SIZE),
        ] {
            assert_eq!(parse_size(text), Ok(size));
        }
        for text in [
            "0",
            "7",
            "",
            "k",
            "12q",
            "-8",
            "+8",
            "1.5k",
            "17m",
            "99999999999999999999",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("0.25"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "nan", "inf", "1e9", "soon", ""] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}

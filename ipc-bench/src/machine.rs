//! What the figures were measured on: they say little without it.

use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::utsname::uname;
use serde::Serialize;

use crate::Result;
use crate::placement;

/// The machine, as the kernel tells it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Those of placement split.
    pub(crate) split: Option<[usize; 2]>,
    /// Whether it is a virtual one.
    pub(crate) guest: bool,
    /// Linux and its release.
    pub(crate) kernel: String,
    /// The architecture.
    pub(crate) arch: String,
    /// Where the kernel takes the time from.
    pub(crate) clocksource: Option<String>,
    /// What reading the clock costs: each round trip has it in.
    pub(crate) clock_ns: f64,
    /// `net.core.wmem_default`: a socket's send buffer.
    pub(crate) wmem_default: Option<u64>,
    /// `kernel.msgmax`: the longest message of a `SysV` queue.
    pub(crate) msgmax: Option<u64>,
    /// Of this benchmark.
    pub(crate) version: &'static str,
    /// When the run began, UTC.
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let name = uname()?;
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |key: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let number = |path| read(path)?.parse().ok();
        Ok(Machine {
            cpu: field("model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: placement::allowed()?.len(),
            split: placement::two_cores()?,
            guest: field("flags").is_some_and(|flags| flags.contains("hypervisor")),
            kernel: format!("Linux {}", name.release().to_string_lossy()),
            arch: name.machine().to_string_lossy().into_owned(),
            clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            clock_ns: clock_ns(),
            wmem_default: number("/proc/sys/net/core/wmem_default"),
            msgmax: number("/proc/sys/kernel/msgmax"),
            version: env!("CARGO_PKG_VERSION"),
            date: date(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()),
        })
    }

    /// In one line.
    pub(crate) fn describe(&self) -> String {
        let guest = if self.guest { ", virtual" } else { "" };
        let cores = match self.cores {
            1 => "1 core".to_owned(),
            n => format!("{n} cores"),
        };
        format!(
            "{}, {cores}{guest}, {} {}",
            self.cpu, self.kernel, self.arch
        )
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn clock_ns() -> f64 {
    const READS: u32 = 10_000;
    let start = Instant::now();
    for _ in 1..READS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
}

/// Seconds since 1970 as ISO 8601, in UTC.
fn date(seconds: u64) -> String {
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!(
        "{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        days + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}

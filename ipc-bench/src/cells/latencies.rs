//! Latencies: taken down quickly, put into an HDR histogram a few at a time.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Figures;

/// Latencies in ns: of round trips there and back, of paced messages one way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// All of them together, by their number.
    pub mean_ns: f64,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// 90 %.
    pub p90_ns: u64,
    /// 99 %.
    pub p99_ns: u64,
    /// 99.9 %.
    pub p999_ns: u64,
    /// The longest of all.
    pub max_ns: u64,
}

/// So many are taken down before they go to the histogram: it takes under 2 us then, which no
/// polling peer mistakes for silence, and is not counted.
const CHUNK: usize = 256;

/// What the histogram tells apart from longer ones: a minute in ns. To three digits, 0.1 %.
const LONGEST: u64 = 60_000_000_000;

/// Takes down latencies.
pub(crate) struct Latencies {
    chunk: Vec<u64>,
    histogram: Histogram<u64>,
    total: u64,
    max: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Latencies {
            chunk: Vec::with_capacity(CHUNK),
            histogram: Histogram::new_with_max(LONGEST, 3).expect("three digits are allowed"),
            total: 0,
            max: 0,
        }
    }

    /// Takes down one; true if that took its time, and the clock is to be read again.
    #[inline]
    pub(crate) fn push(&mut self, latency: Duration) -> bool {
        self.chunk
            .push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if self.chunk.len() < CHUNK {
            return false;
        }
        self.drain();
        true
    }

    pub(crate) fn figures(mut self) -> Figures {
        self.drain();
        let count = self.histogram.len();
        let quantile = |q| self.histogram.value_at_quantile(q).min(self.max);
        Figures {
            count,
            elapsed: Duration::from_nanos(self.total),
            latency: Some(Latency {
                mean_ns: self.total as f64 / count as f64,
                p50_ns: quantile(0.5),
                p90_ns: quantile(0.9),
                p99_ns: quantile(0.99),
                p999_ns: quantile(0.999),
                max_ns: self.max,
            }),
            late: None,
        }
    }

    #[cold]
    fn drain(&mut self) {
        for latency in self.chunk.drain(..) {
            self.total += latency;
            self.max = self.max.max(latency);
            self.histogram.saturating_record(latency);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_taken_down() {
        let mut latencies = Latencies::new();
        for ns in 1..=10_000 {
            latencies.push(Duration::from_nanos(ns));
        }
        let figures = latencies.figures();
        let latency = figures.latency.unwrap();
        assert_eq!(figures.count, 10_000);
        assert_eq!(figures.elapsed, Duration::from_micros(50_005));
        assert!((latency.mean_ns - 5000.5).abs() < 1e-6);
        assert!(latency.p50_ns.abs_diff(5000) <= 5);
        assert!(latency.p90_ns.abs_diff(9000) <= 9);
        assert!(latency.p99_ns.abs_diff(9900) <= 10);
        assert!(latency.p999_ns.abs_diff(9990) <= 10);
        assert_eq!(latency.max_ns, 10_000);
    }
}

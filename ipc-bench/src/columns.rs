//! What the table shows of each pattern.

use crate::cells::{Late, Latency};
use crate::plan::Pattern;
use crate::results::Row;
use crate::units::{Unit, digits, rate_unit, time_unit, with_unit};

/// What stands where nothing was measured.
const NOTHING: &str = "-";

/// Of fewer samples the percentile would be the maximum by another name.
pub(crate) const FOR_P99: u64 = 100;
const FOR_P999: u64 = 1000;

/// The repetitions of one cell.
pub(crate) type Repetitions<'a> = Vec<&'a Row>;

/// The titles of a pattern's columns, and whether the least and the most stand beside the median.
pub(crate) fn titles(pattern: Pattern) -> &'static [(&'static str, bool)] {
    match pattern {
        Pattern::RoundTrip => &[
            ("there and back: p50", true),
            ("p99", false),
            ("p99.9", false),
            ("max", false),
            ("of floor", true),
        ],
        Pattern::Stream => &[
            ("one way: msg/s", true),
            ("MiB/s", false),
            ("of floor", true),
        ],
        Pattern::Batch => &[
            ("in batches: msg/s", true),
            ("MiB/s", false),
            ("of floor", true),
        ],
        Pattern::InPlace => &[
            ("in place: p50", true),
            ("p99", false),
            ("p99.9", false),
            ("max", false),
            ("of floor", true),
        ],
        Pattern::Paced => &[
            ("paced: p50", true),
            ("p99", false),
            ("of never", true),
            ("CPU/msg", true),
            ("of never", true),
        ],
        Pattern::Idle => &[("idle: CPU", true)],
        Pattern::Stall => &[
            ("recovery: p50", true),
            ("p99", false),
            ("max", false),
            ("over 1 ms", false),
            ("given up", false),
        ],
    }
}

/// The rows that a mechanism's columns of one pattern come from.
pub(crate) struct Columns<'a> {
    pub(crate) own: Repetitions<'a>,
    /// Its floor's.
    pub(crate) floor: Repetitions<'a>,
    /// Its own where it sleeps at once.
    pub(crate) blocking: Repetitions<'a>,
    /// Whether the least and the most are shown.
    pub(crate) spreads: bool,
}

impl Columns<'_> {
    /// Adds what stands below the pattern's [`titles`].
    pub(crate) fn fill(&self, pattern: Pattern, cells: &mut Vec<String>) {
        match pattern {
            Pattern::RoundTrip | Pattern::InPlace => self.round_trip(cells),
            Pattern::Stream | Pattern::Batch => self.stream(cells),
            Pattern::Paced => self.paced(cells),
            Pattern::Idle => self.with_spread(cells, &cpu(&self.own), time_unit),
            Pattern::Stall => self.stall(cells),
        }
    }

    fn round_trip(&self, cells: &mut Vec<String>) {
        let own = latencies(&self.own, |l| l.p50_ns);
        self.with_spread(cells, &own, time_unit);
        cells.push(self.p99());
        cells.push(time(&latencies(&self.of_at_least(FOR_P999), |l| l.p999_ns)));
        cells.push(longest(&self.own));
        self.ratio(cells, &own, &latencies(&self.floor, |l| l.p50_ns));
    }

    fn stream(&self, cells: &mut Vec<String>) {
        let rates = |rows: &[&Row]| -> Vec<f64> { rows.iter().map(|row| row.msgs_per_s).collect() };
        let own = rates(&self.own);
        self.with_spread(cells, &own, rate_unit);
        let bytes: Vec<f64> = self.own.iter().map(|row| row.bytes_per_s).collect();
        let mib = median(&bytes).map(|bytes| bytes / f64::from(1 << 20));
        cells.push(mib.map_or(NOTHING.to_owned(), digits));
        self.ratio(cells, &own, &rates(&self.floor));
    }

    fn paced(&self, cells: &mut Vec<String>) {
        let own = latencies(&self.own, |l| l.p50_ns);
        self.with_spread(cells, &own, time_unit);
        cells.push(self.p99());
        self.ratio(cells, &own, &latencies(&self.blocking, |l| l.p50_ns));
        self.with_spread(cells, &cpu(&self.own), time_unit);
        self.ratio(cells, &cpu(&self.own), &cpu(&self.blocking));
    }

    fn stall(&self, cells: &mut Vec<String>) {
        self.with_spread(cells, &latencies(&self.own, |l| l.p50_ns), time_unit);
        cells.push(self.p99());
        cells.push(longest(&self.own));
        let count: u64 = self.own.iter().map(|row| row.count).sum();
        let number = |number: fn(Late) -> u64| {
            let late = self.own.iter().filter_map(|row| row.late);
            let late: u64 = late.map(number).sum();
            match count {
                0 => NOTHING.to_owned(),
                _ => format!("{late} of {count}"),
            }
        };
        cells.push(number(|late| late.late));
        cells.push(number(|late| late.given_up));
    }

    fn p99(&self) -> String {
        time(&latencies(&self.of_at_least(FOR_P99), |l| l.p99_ns))
    }

    /// The repetitions with so many samples.
    fn of_at_least(&self, samples: u64) -> Repetitions<'_> {
        let own = self.own.iter().copied();
        own.filter(|row| row.count >= samples).collect()
    }

    /// The median in its unit and, of several repetitions, the least and the most.
    fn with_spread(&self, cells: &mut Vec<String>, values: &[f64], unit: fn(f64) -> Unit) {
        let middle = median(values);
        let unit = unit(middle.unwrap_or_default());
        cells.push(middle.map_or(NOTHING.to_owned(), |middle| with_unit(middle, unit)));
        if self.spreads {
            let (least, most) = range(values);
            cells.push(match middle {
                Some(_) => format!("{}-{}", digits(least / unit.0), digits(most / unit.0)),
                None => String::new(),
            });
        }
    }

    /// The ratio of the medians, and the range of those of each repetition.
    fn ratio(&self, cells: &mut Vec<String>, own: &[f64], floor: &[f64]) {
        let ratio = median(own)
            .zip(median(floor))
            .map(|(own, floor)| own / floor);
        cells.push(ratio.map_or(String::new(), digits));
        if self.spreads {
            let each: Vec<f64> = own
                .iter()
                .zip(floor)
                .map(|(own, floor)| own / floor)
                .collect();
            let (least, most) = range(&each);
            let spread = format!("{}-{}", digits(least), digits(most));
            cells.push(ratio.map_or(String::new(), |_| spread));
        }
    }
}

/// Processor time per message, in ns.
fn cpu(rows: &[&Row]) -> Vec<f64> {
    rows.iter().map(|row| row.cpu_ns_per_msg).collect()
}

fn latencies(rows: &[&Row], value: fn(&Latency) -> u64) -> Vec<f64> {
    let latencies = rows.iter().filter_map(|row| row.latency.as_ref());
    latencies.map(|latency| value(latency) as f64).collect()
}

/// The maximum of all repetitions.
fn longest(rows: &[&Row]) -> String {
    let max = latencies(rows, |l| l.max_ns).into_iter().reduce(f64::max);
    time(max.as_slice())
}

/// The median.
fn time(values: &[f64]) -> String {
    median(values).map_or(NOTHING.to_owned(), |ns| with_unit(ns, time_unit(ns)))
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The least and the most.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[3.0, 1.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(range(&[2.0, 1.0, 3.0]), (1.0, 3.0));
    }
}

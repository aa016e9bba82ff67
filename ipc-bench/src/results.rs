//! Results as rows, and all that goes into the JSON file.

use serde::Serialize;

use crate::Result;
use crate::cells::{Late, Latency};
use crate::machine::Machine;
use crate::mechanisms;
use crate::placement::Placement;
use crate::plan::{Cell, Pattern, Plan, Polling, Verify};
use crate::runner::{Measured, Outcome};

/// One measured cell. Sizes are in bytes; a round trip is one message there and the same one back,
/// its latency is that of both ways, and it counts as one message.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) mechanism: String,
    pub(crate) pattern: Pattern,
    pub(crate) size: usize,
    pub(crate) placement: Placement,
    /// `None` for a floor that blocks.
    pub(crate) spin: Option<Polling>,
    pub(crate) repetition: u32,
    pub(crate) count: u64,
    #[serde(flatten)]
    pub(crate) latency: Option<Latency>,
    /// Of pattern stall.
    #[serde(flatten)]
    pub(crate) late: Option<Late>,
    pub(crate) msgs_per_s: f64,
    pub(crate) bytes_per_s: f64,
    /// Of both processes, user and system.
    pub(crate) cpu_ns_per_msg: f64,
    /// The same of all messages together.
    pub(crate) cpu_ms: f64,
    /// A cache line there and back, probed before and after the cell: the worse of the two. `None`
    /// where the two processes do not have a core each, or too seldom both.
    pub(crate) core_to_core_ns: Option<f64>,
    /// What was asked for beyond the defaults.
    pub(crate) asks: Option<String>,
    /// Always true: a wrong message fails the cell, and a failed cell has no row.
    pub(crate) verified: bool,
}

impl Row {
    pub(crate) fn new(cell: &Cell, measured: &Measured) -> Self {
        let figures = &measured.figures;
        let msgs_per_s = figures.count as f64 / figures.elapsed.as_secs_f64();
        Row {
            mechanism: cell.mechanism.clone(),
            pattern: cell.pattern,
            size: cell.size,
            placement: cell.placement,
            spin: cell.spin,
            repetition: cell.repetition,
            count: figures.count,
            latency: figures.latency,
            late: figures.late,
            msgs_per_s,
            bytes_per_s: msgs_per_s * cell.size as f64,
            cpu_ns_per_msg: measured.cpu.as_secs_f64() * 1e9 / figures.count as f64,
            cpu_ms: measured.cpu.as_secs_f64() * 1e3,
            core_to_core_ns: measured.core_to_core_ns,
            asks: mechanisms::find(&cell.mechanism).and_then(|m| (m.asks)(cell)),
            verified: true,
        }
    }
}

/// A cell that has no row, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) mechanism: String,
    pub(crate) pattern: Pattern,
    pub(crate) size: usize,
    pub(crate) placement: Placement,
    pub(crate) spin: Option<Polling>,
    pub(crate) reason: String,
}

impl Missing {
    pub(crate) fn new(cell: &Cell, reason: String) -> Self {
        Missing {
            mechanism: cell.mechanism.clone(),
            pattern: cell.pattern,
            size: cell.size,
            placement: cell.placement,
            spin: cell.spin,
            reason,
        }
    }
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) results: Vec<Row>,
    /// Sizes that a mechanism cannot carry.
    pub(crate) refused: Vec<Missing>,
    /// What went wrong.
    pub(crate) failed: Vec<Missing>,
}

impl Run {
    /// One that has measured nothing yet.
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        Ok(Run {
            machine: Machine::look()?,
            settings: Settings::new(plan),
            results: Vec::new(),
            refused: Vec::new(),
            failed: Vec::new(),
        })
    }

    pub(crate) fn take(&mut self, cell: &Cell, outcome: Outcome) {
        match outcome {
            Outcome::Measured(measured) => self.results.push(Row::new(cell, &measured)),
            Outcome::Refused(reason) => self.refused.push(Missing::new(cell, reason)),
            Outcome::Failed(reason) => self.failed.push(Missing::new(cell, reason)),
        }
    }
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    mechanisms: Vec<&'static str>,
    patterns: Vec<Pattern>,
    sizes: Vec<usize>,
    placements: Vec<Placement>,
    spins: Vec<Polling>,
    /// Seconds that a cell is measured, after its warm-up.
    time_s: f64,
    /// Messages a second, of pattern paced.
    rate: u32,
    repeat: u32,
    verify: Verify,
}

impl Settings {
    fn new(plan: &Plan) -> Self {
        Settings {
            mechanisms: plan.mechanisms.iter().map(|m| m.name).collect(),
            patterns: plan.patterns.clone(),
            sizes: plan.sizes.clone(),
            placements: plan.placements.clone(),
            spins: plan.spins.clone(),
            time_s: plan.time.as_secs_f64(),
            rate: plan.rate,
            repeat: plan.repeat,
            verify: plan.verify,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cells::Figures;

    pub(crate) fn measured(count: u64, elapsed: Duration) -> Measured {
        Measured {
            figures: Figures::plain(count, elapsed),
            cpu: Duration::ZERO,
            core_to_core_ns: None,
        }
    }

    pub(crate) fn cell(mechanism: &str, pattern: Pattern, size: usize) -> Cell {
        Cell {
            mechanism: mechanism.to_owned(),
            pattern,
            size,
            placement: Placement::Split,
            spin: None,
            time: Duration::from_secs(1),
            rate: 1000,
            verify: Verify::Sample,
            repetition: 1,
        }
    }

    #[test]
    #[expect(clippy::float_cmp)] // halves are exact
    fn a_row_has_rates_of_all_messages_and_processor_time_of_each() {
        let measured = Measured {
            cpu: Duration::from_micros(12),
            core_to_core_ns: Some(99.5),
            ..measured(6, Duration::from_secs(4))
        };
        let row = Row::new(&cell("pipe", Pattern::Stream, 64), &measured);
        assert_eq!(row.count, 6);
        assert_eq!(row.msgs_per_s, 1.5);
        assert_eq!(row.bytes_per_s, 96.0);
        assert!((row.cpu_ns_per_msg - 2000.0).abs() < 1e-6);
        assert!((row.cpu_ms - 0.012).abs() < 1e-9);
        assert_eq!(row.core_to_core_ns, Some(99.5));
        assert_eq!(row.asks, None);
    }
}

//! What is to be measured, and in which order.

use std::time::Duration;

use clap::ValueEnum;
use ipc_core::Spin;
use serde::{Deserialize, Serialize};

use crate::mechanisms::Mechanism;
use crate::placement::Placement;

/// What the two processes do with their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// One message there, the same message back, and so on.
    RoundTrip,
    /// One message after the other, one way.
    Stream,
    /// The same, many messages a call.
    Batch,
    /// There and back, written and read where the other end sees it, and barely touched.
    InPlace,
    /// So many messages a second, one way.
    Paced,
    /// Nothing: both ends wait.
    Idle,
    /// Round trips; now and then an end is busy with something else.
    Stall,
}

/// How the ends wait: [`Spin`], for the command line and for JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Polling {
    /// Polls for a bounded, learned time, then sleeps.
    Adaptive,
    /// Sleeps at once.
    Never,
    /// Never sleeps.
    Always,
}

/// How much of the messages is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// Length, sequence, last byte and one roving byte of every message; every byte of the first
    /// three and of every 1,024th.
    Sample,
    /// Every byte of every message.
    Full,
}

/// One thing that is measured: a mechanism, used in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The mechanism's or floor's name.
    pub mechanism: String,
    /// What is done with it.
    pub pattern: Pattern,
    /// Bytes in a message.
    pub size: usize,
    /// Where the processes run.
    pub placement: Placement,
    /// How the ends wait; `None` for a floor that blocks.
    pub spin: Option<Polling>,
    /// How long it is measured.
    pub time: Duration,
    /// Messages a second, of [`Pattern::Paced`].
    pub rate: u32,
    /// How much is checked.
    pub verify: Verify,
    /// Which repetition it is, from 1.
    pub repetition: u32,
}

/// All that was asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the registry's order, so that a mechanism runs next to its floor.
    pub mechanisms: Vec<&'static Mechanism>,
    /// The patterns.
    pub patterns: Vec<Pattern>,
    /// Message sizes in bytes.
    pub sizes: Vec<usize>,
    /// The placements.
    pub placements: Vec<Placement>,
    /// The ways of waiting.
    pub spins: Vec<Polling>,
    /// How long each cell is measured.
    pub time: Duration,
    /// Messages a second, of [`Pattern::Paced`].
    pub rate: u32,
    /// How often everything is measured.
    pub repeat: u32,
    /// How much is checked.
    pub verify: Verify,
}

impl Plan {
    /// The cells in their order. The repetition is the outermost loop and the mechanism the
    /// innermost: what is compared is measured side by side, and what drifts drifts for all.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for repetition in 1..=self.repeat {
            for &placement in &self.placements {
                for &pattern in &self.patterns {
                    for &size in &self.sizes {
                        self.push_row(&mut cells, repetition, placement, pattern, size);
                    }
                }
            }
        }
        cells
    }

    fn push_row(
        &self,
        cells: &mut Vec<Cell>,
        repetition: u32,
        placement: Placement,
        pattern: Pattern,
        size: usize,
    ) {
        let able = |m: &&&Mechanism| m.patterns.contains(&pattern);
        for mechanism in self.mechanisms.iter().filter(able) {
            let spins: Vec<_> = self.spins.iter().map(|&s| (mechanism.spin)(s)).collect();
            let spins = distinct(&spins);
            cells.extend(spins.into_iter().map(|spin| Cell {
                mechanism: mechanism.name.to_owned(),
                pattern,
                size,
                placement,
                spin,
                time: self.time,
                rate: self.rate,
                verify: self.verify,
                repetition,
            }));
        }
    }
}

/// In the order given, each once.
pub(crate) fn distinct<T: Copy + PartialEq>(items: &[T]) -> Vec<T> {
    let mut seen = Vec::new();
    for &item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

impl Pattern {
    /// All of them.
    pub const ALL: &[Pattern] = &[
        Pattern::RoundTrip,
        Pattern::Stream,
        Pattern::Batch,
        Pattern::InPlace,
        Pattern::Paced,
        Pattern::Idle,
        Pattern::Stall,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::RoundTrip => "round-trip",
            Pattern::Stream => "stream",
            Pattern::Batch => "batch",
            Pattern::InPlace => "in-place",
            Pattern::Paced => "paced",
            Pattern::Idle => "idle",
            Pattern::Stall => "stall",
        }
    }
}

impl Polling {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Polling::Adaptive => "adaptive",
            Polling::Never => "never",
            Polling::Always => "always",
        }
    }
}

impl Cell {
    /// The policy for a mechanism of the toolkit.
    pub fn policy(&self) -> Spin {
        match self.spin {
            Some(Polling::Adaptive) => Spin::Adaptive,
            Some(Polling::Always) => Spin::Always,
            Some(Polling::Never) | None => Spin::Never,
        }
    }

    /// Whether a floor is to poll its calls.
    pub fn polls(&self) -> bool {
        self.spin == Some(Polling::Always)
    }

    /// How long it runs before it is measured: caches, page faults, and what an end learns.
    pub fn warm_up(&self) -> Duration {
        (self.time / 8).min(Duration::from_millis(100))
    }
}

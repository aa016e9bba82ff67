//! Letting tasks gather. A worker at its pool's heels takes the cache line that is being written
//! away from its writer, again and again; one that comes a little later finds many tasks.
//!
//! Whether that pays depends on the processors, the tasks and the submitter, so it is tried: a
//! stretch of tasks with it, one without, and the better way for a while.

use std::hint;
use std::time::{Duration, Instant};

/// How long a worker stays away.
const LENGTH: Duration = Duration::from_micros(4);
/// Tasks in a stretch.
const STRETCH: u32 = 512;
/// Of so many stretches one goes the other way, to compare.
const TURNS: u32 = 16;

/// Whether to stay away for a moment before waiting, learned from what it brought.
#[derive(Debug)]
pub(crate) struct Lag {
    /// Tasks since the last wait.
    run: u32,
    /// Tasks of this stretch.
    count: u32,
    start: Instant,
    turn: u32,
    /// Whether this stretch is away before it waits.
    away: bool,
    /// How long a stretch took, without and with it.
    took: [Duration; 2],
}

impl Default for Lag {
    fn default() -> Self {
        Lag {
            run: 0,
            count: 0,
            start: Instant::now(),
            turn: 0,
            away: false,
            took: [Duration::ZERO, Duration::MAX],
        }
    }
}

impl Lag {
    /// Notes that a task was taken.
    #[inline]
    pub(crate) fn took(&mut self) {
        self.run += 1;
        self.count += 1;
        if self.count == STRETCH {
            self.compare();
        }
    }

    /// Before a wait: stays away, if that pays. Where a submitter waits for each answer it never does.
    pub(crate) fn wait(&mut self) {
        let run = std::mem::take(&mut self.run);
        if self.away && run >= 2 {
            let end = Instant::now() + LENGTH;
            while Instant::now() < end {
                hint::spin_loop();
            }
        }
    }

    /// The end of a stretch.
    #[cold]
    fn compare(&mut self) {
        let now = Instant::now();
        self.ended(now - self.start);
        (self.count, self.start) = (0, now);
    }

    fn ended(&mut self, took: Duration) {
        self.took[usize::from(self.away)] = took;
        self.turn = (self.turn + 1) % TURNS;
        let [without, with] = self.took;
        // A tenth is more than chance.
        let better = with < without.mul_f64(0.9);
        self.away = if self.turn == 0 { !better } else { better };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a thousand stretches were away, when one takes so long without and with it.
    fn stretches(without: u64, with: u64) -> usize {
        let mut lag = Lag::default();
        let stretch = |_: &u32| {
            let took = if lag.away { with } else { without };
            let away = lag.away;
            lag.ended(Duration::from_micros(took));
            away
        };
        (0..1000).filter(stretch).count()
    }

    #[test]
    fn the_better_way_is_gone_and_the_other_is_tried_now_and_then() {
        assert!(stretches(100, 60) > 900);
        assert!((30..100).contains(&stretches(100, 150)));
    }

    #[test]
    fn what_makes_no_difference_is_left_alone() {
        assert!(stretches(100, 95) < 100);
    }
}

//! Letting tasks gather. A worker at its pool's heels takes the cache line that is being written
//! away from its writer, again and again; one that comes a little later finds many tasks.

use std::hint;
use std::time::{Duration, Instant};

use ipc_core::spin::Backoff;

/// How long a worker stays away.
const LENGTH: Duration = Duration::from_micros(2);
/// So many tasks are worth that.
const ENOUGH: u32 = 12;

/// Whether to stay away for a moment, learned from what it brought: where a submitter waits for each
/// answer, never.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// Tasks since the last wait.
    run: u32,
    /// Whether that wait began away.
    away: bool,
    backoff: Backoff,
}

impl Lag {
    /// Notes that a task was taken.
    #[inline]
    pub(crate) fn took(&mut self) {
        self.run = self.run.saturating_add(1);
    }

    /// Before a wait: stays away, if the waits before say that it pays.
    pub(crate) fn wait(&mut self) {
        let run = std::mem::take(&mut self.run);
        if std::mem::take(&mut self.away) {
            if run >= ENOUGH {
                self.backoff.hit();
            } else {
                self.backoff.miss();
            }
        }
        if run >= 2 && self.backoff.allows() {
            self.away = true;
            let end = Instant::now() + LENGTH;
            while Instant::now() < end {
                hint::spin_loop();
            }
        }
    }
}

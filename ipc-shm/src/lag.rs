//! Letting messages gather. A receiver at its sender's heels takes the cache line that the sender is
//! writing away from it, again and again; one that comes a little later finds many messages, and
//! disturbs nobody.

use std::hint;
use std::time::{Duration, Instant};

use ipc_core::spin::Backoff;

/// How long a receiver stays away.
const LENGTH: Duration = Duration::from_micros(4);
/// So many messages are worth that.
const ENOUGH: usize = 16;

/// Whether to stay away for a moment, learned from what it brought.
///
/// Between requests and replies, where every wait ends with one message, it is never tried; and where
/// it brings nothing, as on a shared processor, once in 32 times.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// Messages since the last wait.
    run: usize,
    /// Whether that wait was spent away, and found something.
    away: bool,
    backoff: Backoff,
}

impl Lag {
    /// Notes that `count` messages were taken.
    #[inline]
    pub(crate) fn took(&mut self, count: usize) {
        self.run = self.run.saturating_add(count);
    }

    /// Before a wait: stays away, if the waits before say that it pays. `is_ready` tells whether
    /// there is a message.
    pub(crate) fn wait(&mut self, is_ready: impl Fn() -> bool) {
        let run = std::mem::take(&mut self.run);
        if std::mem::take(&mut self.away) {
            self.learn(run >= ENOUGH);
        }
        if run >= 2 && self.backoff.allows() {
            let end = Instant::now() + LENGTH;
            while Instant::now() < end {
                hint::spin_loop();
            }
            self.away = is_ready();
            if !self.away {
                self.learn(false);
            }
        }
    }

    fn learn(&mut self, paid: bool) {
        if paid {
            self.backoff.hit();
        } else {
            self.backoff.miss();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often `lag` looked after staying away in a thousand waits, each followed by `run` messages.
    fn tries(run: usize, found: bool) -> u32 {
        let (mut lag, tries) = (Lag::default(), std::cell::Cell::new(0));
        for _ in 0..1000 {
            lag.wait(|| {
                tries.set(tries.get() + 1);
                found
            });
            lag.took(run);
        }
        tries.get()
    }

    #[test]
    fn replies_are_never_waited_for() {
        assert_eq!(tries(1, true), 0);
    }

    #[test]
    fn it_goes_on_while_messages_gather() {
        assert_eq!(tries(100, true), 999);
    }

    #[test]
    fn what_brings_nothing_becomes_rare() {
        assert!((10..50).contains(&tries(3, true)));
        assert!((10..50).contains(&tries(100, false)));
    }
}

//! Letting frames gather. A receiver that reads after every message takes the stream's lock from
//! its sender each time; one that comes a little later finds many.

use std::hint;
use std::time::{Duration, Instant};

use crate::spin::Backoff;

/// A read of this many bytes is worth its call: no need to wait for more.
const ENOUGH: usize = 4 << 10;
/// How long a receiver waits before a read, at first and at most.
const SHORTEST: Duration = Duration::from_micros(1);
const LONGEST: Duration = Duration::from_micros(8);

/// How long a receiver waits before it reads again, learned from what that brought.
///
/// Between requests and replies it brings nothing, as on a shared processor: there it is tried once
/// in 32 reads.
#[derive(Debug)]
pub(super) struct Lag {
    length: Duration,
    /// Whether the last read was waited for.
    waited: bool,
    backoff: Backoff,
    /// Bytes of the last read.
    len: usize,
    /// Frames taken since.
    frames: usize,
    /// Bytes that a read brought when the lag grew last.
    grown: usize,
}

impl Default for Lag {
    fn default() -> Self {
        Lag {
            length: SHORTEST,
            waited: false,
            backoff: Backoff::default(),
            len: 0,
            frames: 0,
            grown: 0,
        }
    }
}

impl Lag {
    /// Waits before a read, if the reads before say that it pays.
    #[inline]
    pub(super) fn wait(&mut self) {
        if std::mem::take(&mut self.waited) {
            self.learn();
        }
        if self.len < ENOUGH && self.backoff.allows() {
            let end = Instant::now() + self.length;
            while Instant::now() < end {
                hint::spin_loop();
            }
            self.waited = true;
        }
    }

    /// Notes a read that found nothing: then the wait before it was for nothing, too. On a shared
    /// processor every wait is, since it keeps the sender from its turn.
    #[inline]
    pub(super) fn found_nothing(&mut self) {
        if std::mem::take(&mut self.waited) {
            self.missed();
        }
    }

    /// Notes a read of `len` bytes.
    #[inline]
    pub(super) fn read(&mut self, len: usize) {
        self.len = len;
        self.frames = 0;
    }

    /// Notes that so many frames were taken.
    #[inline]
    pub(super) fn took(&mut self, frames: usize) {
        self.frames += frames;
    }

    fn learn(&mut self) {
        if self.frames < 2 {
            self.missed();
        } else if self.len < ENOUGH && self.len > self.grown + self.grown / 4 {
            self.backoff.hit();
            (self.length, self.grown) = ((self.length * 2).min(LONGEST), self.len);
        } else if self.len < ENOUGH {
            self.backoff.hit();
            self.length = (self.length / 2).max(SHORTEST); // twice as long brought no more
        }
    }

    fn missed(&mut self) {
        self.backoff.miss();
        (self.length, self.grown) = (SHORTEST, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads of two frames each, after waits that did not bring them.
    #[test]
    fn waits_that_find_nothing_become_rare() {
        let (mut lag, mut waits) = (Lag::default(), 0);
        for _ in 0..1000 {
            lag.wait();
            waits += u32::from(lag.waited);
            lag.found_nothing();
            lag.read(136);
            lag.took(2);
        }
        assert!((10..50).contains(&waits), "{waits}");
    }
}

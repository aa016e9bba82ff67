//! A moment that one process notes and another reads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::Result;
use crate::sys::SharedMemory;

/// A moment that one process notes and another reads, in ns of a clock that all processes share.
#[derive(Clone, Debug)]
pub(super) struct Moment(Arc<SharedMemory>);

impl Moment {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Moment(Arc::new(SharedMemory::new(4096)?)))
    }

    /// Notes that it is now, if nothing is noted yet.
    pub(super) fn note(&self) {
        let now = now().unwrap_or(1);
        let _ = self
            .word()
            .compare_exchange(0, now, Ordering::Release, Ordering::Relaxed);
    }

    /// Forgets what was noted.
    pub(super) fn forget(&self) {
        self.word().store(0, Ordering::Release);
    }

    /// Sleeps until something is noted, a few times a millisecond: who polled would be in the way.
    pub(super) fn wait(&self) -> u64 {
        loop {
            match self.word().load(Ordering::Acquire) {
                0 => thread::sleep(Duration::from_micros(500)),
                ns => return ns,
            }
        }
    }

    fn word(&self) -> &AtomicU64 {
        &self.0.words()[0]
    }
}

/// `CLOCK_MONOTONIC` in ns.  `clock_gettime(2)`
pub(super) fn now() -> Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    Ok(u64::try_from(now.as_nanos())?)
}

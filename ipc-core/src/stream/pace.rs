//! A deadline while bytes flow.

use std::time::Instant;

use crate::{Result, Wait};

/// Calls between two looks at the clock: what takes few is spared them, and what the kernel held before
/// a deadline that has passed is still moved, up to 2 MiB.
const CALLS: u32 = 8;

/// The calls of an operation that goes on for as long as each of them moves something.
#[derive(Default)]
pub(super) struct Pace {
    calls: u32,
}

impl Pace {
    /// Notes a call that is to be followed by another; [`TimedOut`](crate::Error::TimedOut) if the
    /// deadline has passed. Without one there is no end: `WouldBlock` is the kernel's to say.
    pub(super) fn go_on(&mut self, wait: Wait) -> Result<()> {
        self.calls += 1;
        match wait {
            Wait::Until(deadline) if self.calls % CALLS == 0 && Instant::now() >= deadline => {
                Err(wait.error())
            }
            _ => Ok(()),
        }
    }
}

//! Waiting for a queue, which has neither a descriptor nor a call with a deadline.

use std::time::{Duration, Instant};

use ipc_core::spin::Poller;
use ipc_core::{Result, Wait};
use libc::{IPC_NOWAIT, c_int};

/// Deadline waits sleep this long between two looks at first,
pub(crate) const FIRST_NAP: Duration = Duration::from_micros(50);
/// and twice as long each time, up to this.
pub(crate) const LONGEST_NAP: Duration = Duration::from_millis(1);
/// Flags of a call that sleeps in the kernel.
const BLOCK: c_int = 0;

/// Repeats `call`, with the flags that it is given, until it is done or `wait` is over.
///
/// Without a deadline it sleeps in the kernel; with one it polls, then naps between looks.
#[inline]
pub(crate) fn until_done<T>(
    poller: &mut Poller,
    wait: Wait,
    mut call: impl FnMut(c_int) -> Result<Option<T>>,
) -> Result<T> {
    if wait == Wait::Forever && poller.sleeps_first() {
        return poller.sleep(|| {
            loop {
                if let Some(done) = call(BLOCK)? {
                    return Ok(done);
                }
            }
        });
    }
    if let Some(done) = call(IPC_NOWAIT)? {
        return Ok(done);
    }
    if wait == Wait::Never {
        return Err(wait.error());
    }
    let mut waiter = Waiter {
        call,
        done: None,
        nap: FIRST_NAP,
    };
    poller.wait(wait, &mut waiter, Waiter::look, Waiter::sleep)
}

struct Waiter<F, T> {
    call: F,
    /// What was done while asleep.
    done: Option<T>,
    nap: Duration,
}

impl<T, F: FnMut(c_int) -> Result<Option<T>>> Waiter<F, T> {
    fn look(&mut self) -> Result<Option<T>> {
        match self.done.take() {
            None => (self.call)(IPC_NOWAIT),
            done => Ok(done),
        }
    }

    fn sleep(&mut self, wait: Wait) -> Result<()> {
        match wait {
            Wait::Never => {} // a look notices all that there is to notice
            Wait::Forever => self.done = (self.call)(BLOCK)?,
            Wait::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                std::thread::sleep(self.nap.min(left));
                self.nap = (self.nap * 2).min(LONGEST_NAP);
            }
        }
        Ok(())
    }
}

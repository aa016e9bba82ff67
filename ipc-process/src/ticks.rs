//! A clock that ticks, received like messages.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use std::{fmt, io};

use ipc_core::{Error, Interest, Ready, Result, Wait};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::events;

const OBJECT: &str = "ticks";

/// Ticks at fixed times, in `Select` beside channels and children: what alarm(2) does with a signal.
///
/// The times do not drift: they are multiples of the period since the start. Whoever comes late is
/// told how many have passed. The clock stands still while the machine sleeps.
///
/// A forked child has the very same clock, and takes its parent's ticks: make one where it is used.
///
/// ```
/// use ipc_process::Ticks;
/// use std::time::Duration;
///
/// # fn main() -> ipc_core::Result<()> {
/// let mut ticks = Ticks::every(Duration::from_millis(10))?;
/// assert_eq!(ticks.recv()?, 1);
/// std::thread::sleep(Duration::from_millis(35));
/// assert!(ticks.recv()? >= 3); // two came and went: overruns
/// # Ok(())
/// # }
/// ```
///
/// `timerfd_create(2)`, `CLOCK_MONOTONIC`
pub struct Ticks {
    timer: TimerFd,
    /// The one tick has been received.
    over: bool,
    once: bool,
}

impl Ticks {
    /// Ticks every `period`, first in one period from now.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) for a period of nothing, and if no descriptors are left.
    pub fn every(period: Duration) -> Result<Self> {
        if period.is_zero() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "a period of nothing");
            return Err(Error::os("timerfd_settime", OBJECT, error));
        }
        Ticks::new(Expiration::Interval(TimeSpec::from_duration(period)), false)
    }

    /// Ticks once, `delay` from now; a receive after that is [`Disconnected`](Error::Disconnected).
    ///
    /// # Errors
    ///
    /// As [`every`](Ticks::every).
    pub fn once(delay: Duration) -> Result<Self> {
        let delay = delay.max(Duration::from_nanos(1)); // nothing would mean never
        Ticks::new(Expiration::OneShot(TimeSpec::from_duration(delay)), true)
    }

    /// Waits for the next tick, and says how many there were since the last receive: 1, unless this
    /// one comes late.
    pub fn recv(&mut self) -> Result<u64> {
        self.recv_wait(Wait::Forever)
    }

    /// The ticks since the last receive, if there were any; otherwise
    /// [`WouldBlock`](Error::WouldBlock).
    pub fn try_recv(&mut self) -> Result<u64> {
        if self.over {
            return Err(Error::Disconnected);
        }
        let mut count = [0; 8];
        let read = nix::unistd::read(&self.timer, &mut count).map_err(io::Error::from);
        read.map_err(events::read_error(OBJECT))?;
        self.over = self.once;
        Ok(u64::from_ne_bytes(count))
    }

    /// As [`recv`](Ticks::recv), but no longer than `timeout`; then [`TimedOut`](Error::TimedOut).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<u64> {
        self.recv_wait(timeout.into())
    }

    /// As [`recv`](Ticks::recv), as long as `wait` says.
    pub fn recv_wait(&mut self, wait: Wait) -> Result<u64> {
        events::take(self, wait, Ticks::try_recv)
    }

    fn new(expiration: Expiration, once: bool) -> Result<Self> {
        let os = |call| move |error: nix::Error| Error::os(call, OBJECT, io::Error::from(error));
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(os("timerfd_create"))?;
        timer
            .set(expiration, TimerSetTimeFlags::empty())
            .map_err(os("timerfd_settime"))?;
        Ok(Ticks {
            timer,
            over: false,
            once,
        })
    }
}

/// Ready when a tick has come; and after the one of [`once`](Ticks::once).
impl Ready for Ticks {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.timer.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        Ok(self.over)
    }
}

impl fmt::Debug for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Ticks");
        debug.field("once", &self.once).finish_non_exhaustive()
    }
}

//! Signals, received like messages.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io, process};

use ipc_core::{Error, Interest, Ready, Result, Wait};

use crate::{events, sys};

/// Signals that are received instead of interrupting: in a loop, in `Select` beside channels and
/// children, with a deadline.
///
/// From [`new`](Signals::new) until it is dropped the signals are blocked, in the thread that made
/// it and in those that this thread starts later. So make it at the top of `main`: a thread that
/// was there before, and does not block a signal, is where the kernel delivers it. Dropping it (in
/// the thread that made it) unblocks them: one that came meanwhile and was not received then does
/// what it does.
///
/// Children are not born with the signals blocked, whichever way this crate makes them, and have
/// their own to make.
///
/// Two signals of one number that come before the first is received are one, unless they are
/// real-time signals.
///
/// ```
/// use ipc_process::{Signals, fork};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut signals = Signals::new([libc::SIGTERM, libc::SIGHUP])?;
/// let parent = std::process::id();
/// let (child, ()) = fork(((), ()), |()| {
///     std::process::Command::new("kill").args(["-HUP", &parent.to_string()]).status()?;
///     std::io::Result::Ok(())
/// })?;
/// let signal = signals.recv()?;
/// assert_eq!(signal.number(), libc::SIGHUP);
/// println!("{signal}"); // SIGHUP from process 4711
/// child.join()?;
/// # Ok(())
/// # }
/// ```
///
/// With tokio: `Async::new(signals)?.async_io(Interest::Read, Signals::try_recv).await`.
///
/// signalfd(2), `pthread_sigmask(3)`
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    all: sys::Signals,
    /// Those of them that were not blocked before.
    blocked: sys::Signals,
    /// The process that made it: a mask is not shared over a fork.
    maker: u32,
}

/// A signal that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    number: i32,
    sender: Option<u32>,
}

/// What this process receives so, and what it has blocked for it.
#[derive(Clone, Copy)]
struct Held {
    all: sys::Signals,
    blocked: sys::Signals,
}

static HELD: Mutex<Held> = Mutex::new(Held { all: 0, blocked: 0 });

impl Signals {
    /// Receives these signals from now on, by their numbers, such as `libc::SIGTERM`.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) for what is no signal or cannot be blocked (SIGKILL, SIGSTOP, and those
    /// below SIGRTMIN that the C library keeps to itself), for one that another `Signals` of this
    /// process has (they would take it from each other), and if no descriptors are left.
    pub fn new(numbers: impl IntoIterator<Item = i32>) -> Result<Self> {
        let mut held = held();
        let mut all = 0;
        for number in numbers {
            let one = bit(number)?;
            if held.all & one != 0 {
                let reason = "another Signals of this process receives it: use that, or drop it";
                return Err(refused(number, reason));
            }
            all |= one;
        }
        let os = |call| move |error| Error::os(call, "signals", error);
        let fd = sys::signalfd(all).map_err(os("signalfd"))?;
        let blocked = sys::block(all).map_err(os("pthread_sigmask"))?;
        held.all |= all;
        held.blocked |= blocked;
        Ok(Signals {
            fd,
            all,
            blocked,
            maker: process::id(),
        })
    }

    /// Waits for the next signal.
    pub fn recv(&mut self) -> Result<Signal> {
        self.recv_wait(Wait::Forever)
    }

    /// The next signal, if one has come; otherwise [`WouldBlock`](Error::WouldBlock).
    pub fn try_recv(&mut self) -> Result<Signal> {
        let info = sys::read_signal(self.fd.as_fd()).map_err(events::read_error("signals"))?;
        let by_process = info.ssi_code <= 0 && info.ssi_pid != 0;
        Ok(Signal {
            number: info.ssi_signo.try_into().unwrap_or_default(),
            sender: by_process.then_some(info.ssi_pid),
        })
    }

    /// Waits for the next signal, but no longer than `timeout`; then [`TimedOut`](Error::TimedOut).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Signal> {
        self.recv_wait(timeout.into())
    }

    /// Waits for the next signal as long as `wait` says.
    pub fn recv_wait(&mut self, wait: Wait) -> Result<Signal> {
        events::take(self, wait, Signals::try_recv)
    }
}

impl Signal {
    /// Its number: `libc::SIGTERM`, say.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// The process that sent it, as it was then; `None` if the kernel did, for a terminal, say.
    pub fn sender(&self) -> Option<u32> {
        self.sender
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.number) {
            Ok(signal) => f.write_str(signal.as_str())?,
            Err(_) => write!(f, "SIGRTMIN+{}", self.number - libc::SIGRTMIN())?,
        }
        match self.sender {
            Some(pid) => write!(f, " from process {pid}"),
            None => f.write_str(" from the kernel"),
        }
    }
}

/// Ready when a signal has come.
impl Ready for Signals {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.fd.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        Ok(false)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if self.maker == process::id() {
            let mut held = held();
            held.all &= !self.all;
            held.blocked &= !self.blocked;
            let _ = sys::unblock(self.blocked);
        }
    }
}

/// What a child must unblock, so that it begins as it would have without any `Signals` here.
pub(crate) fn blocked() -> sys::Signals {
    held().blocked
}

/// In a forked child: it begins so.
pub(crate) fn forget() {
    let mut held = held();
    let _ = sys::unblock(held.blocked);
    *held = Held { all: 0, blocked: 0 };
}

fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bit(number: i32) -> Result<sys::Signals> {
    match number {
        libc::SIGKILL | libc::SIGSTOP => Err(refused(number, "no process can block it")),
        1..=64 if sys::is_given(number) => Ok(1 << (number - 1)),
        1..=64 => Err(refused(number, "the C library keeps it to itself")),
        _ => Err(refused(number, "there is no such signal")),
    }
}

fn refused(number: i32, reason: &'static str) -> Error {
    let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
    Error::os("signalfd", format!("signal {number}"), error)
}

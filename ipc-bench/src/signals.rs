//! The signals that end a run, as something to be waited for.

use std::os::fd::{AsFd, BorrowedFd};

use ipc_core::{Interest, Ready};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::Result;

/// SIGINT, SIGQUIT, SIGTERM and SIGHUP, held back from this process and those that it forks.  signalfd(2)
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Holds them back from now on.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn hold() -> Result<Self> {
        let set = ending();
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Signals(SignalFd::with_flags(&set, flags)?))
    }

    /// The number of the one that came.
    pub fn take(&self) -> Option<u8> {
        let info = self.0.read_signal().ok()??;
        u8::try_from(info.ssi_signo).ok()
    }
}

impl Ready for Signals {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.0.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> ipc_core::Result<bool> {
        Ok(false)
    }
}

/// The signals that a terminal, a user or a job scheduler ends a program with.
fn ending() -> SigSet {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    [SIGINT, SIGQUIT, SIGTERM, SIGHUP].into_iter().collect()
}

//! The signals that end a run, as something to be waited for.

use std::os::fd::{AsFd, BorrowedFd};

use ipc_core::{Interest, Ready};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::Result;

/// SIGINT, SIGQUIT, SIGTERM and SIGHUP, held back from this process and those that it forks, until it
/// is dropped.  signalfd(2)
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    /// What was held back before.
    before: SigSet,
}

impl Signals {
    /// Holds them back from now on.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn hold() -> Result<Self> {
        let set = ending();
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags)?;
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Signals { fd, before })
    }

    /// The number of the one that came.
    pub fn take(&self) -> Option<u8> {
        let info = self.fd.read_signal().ok()??;
        u8::try_from(info.ssi_signo).ok()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // What came and was not taken ends the process now.
        let _ = self.before.thread_set_mask();
    }
}

impl Ready for Signals {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.fd.as_fd(), Interest::Read)
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

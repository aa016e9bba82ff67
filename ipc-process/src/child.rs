//! A forked child: waiting for it, signalling it, ending it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{self, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::time::Duration;
use std::{mem, thread};

use ipc_core::{Interest, Ready, Wait};
use nix::unistd::Pid;

use crate::{Error, Result, sys};

/// A forked child.
///
/// Dropping it kills the child and reaps it; [`join`](Child::join) or [`wait`](Child::wait) for one
/// that is to finish, [`detach`](Child::detach) one that is to live on. One that may not be killed,
/// since it has changed its user, lives on too.
///
/// It is known by a pidfd: a signal can never reach another process that was given the same number.
/// The pidfd makes a child [`Ready`] when it has ended, for `Select` or an event loop. In another
/// process than its parent (a child forked later, say) a `Child` is only good for signals; dropping
/// it there does nothing.
#[derive(Debug)]
pub struct Child {
    /// The pipe to its stdin, if it has one: drop it, and the child meets the end of its input.
    pub stdin: Option<ChildStdin>,
    /// The pipe from its stdout, if it has one.
    pub stdout: Option<ChildStdout>,
    /// The pipe from its stderr, if it has one.
    pub stderr: Option<ChildStderr>,
    pid: Pid,
    pidfd: OwnedFd,
    /// The process that may wait for it.
    parent: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Running,
    Ended(ExitStatus),
    Detached,
}

impl Child {
    pub(crate) fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        Child {
            stdin: None,
            stdout: None,
            stderr: None,
            pid,
            pidfd,
            parent: process::id(),
            state: State::Running,
        }
    }

    /// A child of this process that was made in another way: by clone(2), say, or by somebody for
    /// this process with `CLONE_PARENT`. Nobody may have waited for it yet, or the number may be
    /// another process's.
    ///
    /// # Errors
    ///
    /// [`Unknown`](Error::Unknown) if there is no such child.
    pub fn adopt(pid: u32) -> Result<Self> {
        let unknown = || Error::Unknown { pid };
        let number = i32::try_from(pid).ok().filter(|&number| number > 0);
        let number = number.ok_or_else(unknown)?;
        let pidfd = match sys::pidfd_open(Pid::from_raw(number)) {
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Err(unknown()),
            pidfd => pidfd.map_err(|e| Error::os("pidfd_open", format!("child {pid}"), e))?,
        };
        match sys::waitid(pidfd.as_fd(), libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) {
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => Err(unknown()),
            Err(e) => Err(Error::os("waitid", format!("child {pid}"), e)),
            Ok(_) => Ok(Child::new(Pid::from_raw(number), pidfd)),
        }
    }

    /// Waits until the child ends, and says how it did. Further calls say the same. Its stdin, if
    /// that is a pipe, is closed first.  waitid(2)
    ///
    /// # Errors
    ///
    /// [`Unknown`](Error::Unknown) if the child's status went elsewhere: SIGCHLD is ignored, say.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.reap(0)? {
                return Ok(status);
            }
        }
    }

    /// Says how the child ended, or `None` if it is running.
    ///
    /// # Errors
    ///
    /// As [`wait`](Child::wait).
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.reap(libc::WNOHANG)
    }

    /// Waits until the child ends, but no longer than `timeout`; `None` if it is running then.
    ///
    /// # Errors
    ///
    /// As [`wait`](Child::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<ExitStatus>> {
        let wait = Wait::from(timeout);
        loop {
            let ended = ipc_core::poll(self.pidfd.as_fd(), Interest::Read, wait)
                .map_err(|e| self.error("ppoll", e))?;
            let status = self.try_wait()?;
            if status.is_some() || !ended {
                return Ok(status);
            }
        }
    }

    /// Waits until the child ends; an error unless it ended with success.
    ///
    /// # Errors
    ///
    /// [`Failed`](Error::Failed) with the status; else as [`wait`](Child::wait).
    pub fn join(mut self) -> Result<()> {
        let status = self.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::Failed {
                pid: self.pid(),
                status,
            })
        }
    }

    /// Lets the child live on by itself. When it ends it stays a zombie until this process ends
    /// too; there is then nobody to wait for it.
    pub fn detach(mut self) {
        self.state = State::Detached;
    }

    /// The child's process id: to print, not to signal. Once the child has been waited for the
    /// number may be another process's.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Kills the child with SIGKILL. One that has ended already is no error. Then
    /// [`wait`](Child::wait).  `pidfd_send_signal(2)`
    pub fn kill(&self) -> Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Stops the child with SIGSTOP, and returns when it stands still, or has ended. It stays until
    /// [`resume`](Child::resume), or SIGKILL.
    ///
    /// # Errors
    ///
    /// As [`signal`](Child::signal) and [`wait`](Child::wait).
    pub fn stop(&mut self) -> Result<()> {
        // The status is left where it is: for the next stop, and for the last wait.
        let flags = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
        // A SIGCONT of somebody else takes the signal back, and leaves nothing to be waited for.
        for look in 0.. {
            self.signal(libc::SIGSTOP)?;
            if !self.is_awaited() || self.look(flags)?.is_some() {
                break;
            }
            thread::sleep(Duration::from_micros(20 << look.min(6)));
        }
        Ok(())
    }

    /// Lets a child go on that was stopped, with SIGCONT. One that runs goes on running.
    ///
    /// # Errors
    ///
    /// As [`signal`](Child::signal).
    pub fn resume(&self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// Sends the child a signal, such as `libc::SIGTERM`. One that has ended already is no error.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) for a number that is no signal, or a child that changed its user.
    pub fn signal(&self, signal: i32) -> Result<()> {
        match sys::pidfd_send_signal(self.pidfd.as_fd(), signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                Err(self.error("pidfd_send_signal", error))
            }
            _ => Ok(()),
        }
    }

    /// Whether nobody has been told yet how it ended.
    pub(crate) fn is_awaited(&self) -> bool {
        !matches!(self.state, State::Ended(_))
    }

    fn reap(&mut self, flags: i32) -> Result<Option<ExitStatus>> {
        if let State::Ended(status) = self.state {
            return Ok(Some(status));
        }
        let status = self.look(libc::WEXITED | flags)?;
        self.state = status.map_or(self.state, State::Ended);
        Ok(status)
    }

    /// What there is to be told of it.
    fn look(&self, flags: i32) -> Result<Option<ExitStatus>> {
        sys::waitid(self.pidfd.as_fd(), flags).map_err(|error| match error.raw_os_error() {
            Some(libc::ECHILD) => Error::Unknown { pid: self.pid() },
            _ => self.error("waitid", error),
        })
    }

    pub(crate) fn error(&self, call: &'static str, source: impl Into<std::io::Error>) -> Error {
        Error::os(call, format!("child {}", self.pid), source)
    }
}

/// Ready when the child has ended.
impl Ready for Child {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.pidfd.as_fd(), Interest::Read)
    }

    /// Nothing to prepare: the pidfd of a child that has ended is readable for ever.
    fn arm(&mut self) -> ipc_core::Result<bool> {
        Ok(false)
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.parent != process::id() {
            // Of a forked child, which had the pipes closed before it ran.
            mem::forget((self.stdin.take(), self.stdout.take(), self.stderr.take()));
        } else if matches!(self.state, State::Running) {
            let dies = self.kill().is_ok();
            let _ = self.reap(if dies { 0 } else { libc::WNOHANG });
        }
    }
}

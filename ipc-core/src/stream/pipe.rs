//! An end of a pipe or a FIFO, which differ only in how they are made.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Mode, Sink, Source};
use crate::{Error, Interest, Result, sys};

/// One end of a pipe or a FIFO.
///
/// The description must be this end's own, because its `O_NONBLOCK` is switched: a read that may
/// sleep is then one system call instead of three.
#[derive(Debug)]
pub struct PipeFd {
    fd: OwnedFd,
    object: Box<str>,
    nonblocking: AtomicBool,
    /// Somebody else made the pipe: its writer may have asked for packets.  pipe(2), `O_DIRECT`
    adopted: bool,
    /// SIGPIPE was not ignored when this end was made: every write keeps it from being raised.
    guarded: bool,
}

impl PipeFd {
    /// Wraps the descriptor of a pipe or a FIFO; `object` names it in errors.
    ///
    /// The disposition of SIGPIPE is read here, once. Rust programs ignore it from the start; a
    /// program that restores the default does so before it makes its pipes, or is killed as it
    /// asked.
    ///
    /// # Errors
    ///
    /// When the descriptor's flags cannot be read or set.
    pub fn new(fd: OwnedFd, object: impl Into<Box<str>>) -> io::Result<Self> {
        sys::set_nonblocking(&fd, true)?;
        Ok(PipeFd {
            fd,
            object: object.into(),
            nonblocking: AtomicBool::new(true),
            adopted: false,
            guarded: !sys::sigpipe_is_ignored(),
        })
    }

    /// The end among `fds`, which somebody handed over: it must be one descriptor, of a pipe or a
    /// FIFO, open for `interest`.
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) for anything else.
    pub fn inherited(fds: Vec<OwnedFd>, interest: Interest, object: &str) -> Result<Self> {
        let [fd] = <[OwnedFd; 1]>::try_from(fds)
            .map_err(|fds| Error::malformed(object, format!("{} descriptors, not 1", fds.len())))?;
        let os = |call| move |error| Error::os(call, object, error);
        if !sys::is_pipe_end(&fd, interest).map_err(os("fstat"))? {
            let reason = format!("the descriptor handed over is no end of a pipe to {interest:?}");
            return Err(Error::malformed(object, reason));
        }
        PipeFd::new(fd, object).map_err(os("fcntl"))
    }

    /// An end with a description of its own, for `fd`, whose description others may have: a pipe's
    /// end, open for `interest`.  proc(5)
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) for anything else; [`Os`](Error::Os) when it may not be
    /// opened, being another user's.
    pub fn adopted(fd: &OwnedFd, interest: Interest, object: &str) -> Result<Self> {
        let end = sys::is_pipe_end(fd, interest).map_err(|e| Error::os("fstat", object, e))?;
        if !end {
            let reason = format!("the descriptor is no end of a pipe to {interest:?}");
            return Err(Error::malformed(object, reason));
        }
        let own = sys::reopen(fd, interest, true).map_err(|e| Error::os("open", object, e))?;
        let end = PipeFd::new(own, object).map_err(|e| Error::os("fcntl", object, e))?;
        Ok(PipeFd {
            adopted: true,
            ..end
        })
    }

    /// The same end as a foreign program wants it: a description of its own, without `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when it may not be opened, or no descriptors are left.
    pub fn blocking(&self, interest: Interest) -> Result<OwnedFd> {
        sys::reopen(&self.fd, interest, false).map_err(|e| Error::os("open", self.name(), e))
    }

    /// Opens a read end anew in its place: to the kernel it has seen no writer yet, and what is in
    /// the pipe stays there.
    ///
    /// # Errors
    ///
    /// As [`blocking`](Self::blocking).
    pub fn renew(&self) -> Result<()> {
        let os = |call| move |error| Error::os(call, self.name(), error);
        let fresh = sys::reopen(&self.fd, Interest::Read, true).map_err(os("open"))?;
        sys::replace(&self.fd, &fresh).map_err(os("dup3"))?;
        self.nonblocking.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What it is called in errors.
    pub fn name(&self) -> &str {
        &self.object
    }

    /// Asks for room for `bytes` in the kernel, which rounds up.  fcntl(2), `F_SETPIPE_SZ`
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) if the kernel refuses; the message names the limits.
    pub fn set_capacity(&self, bytes: usize) -> Result<()> {
        sys::set_pipe_capacity(&self.fd, bytes)
            .map_err(|error| Error::os("fcntl(F_SETPIPE_SZ)", self.object.clone(), error))
    }

    /// The room in the kernel in bytes.  fcntl(2), `F_GETPIPE_SZ`
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) if the kernel does not tell.
    pub fn capacity(&self) -> Result<usize> {
        sys::pipe_capacity(&self.fd)
            .map_err(|error| Error::os("fcntl(F_GETPIPE_SZ)", self.object.clone(), error))
    }

    #[inline]
    fn switch(&self, mode: Mode) -> io::Result<()> {
        let nonblocking = mode == Mode::Now;
        if self.nonblocking.load(Ordering::Relaxed) != nonblocking {
            sys::set_nonblocking(&self.fd, nonblocking)?;
            self.nonblocking.store(nonblocking, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Source for PipeFd {
    #[inline]
    fn read(&self, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        self.switch(mode)?;
        sys::read(&self.fd, buf)
    }

    fn short_read_drains(&self) -> bool {
        !self.adopted
    }

    fn object(&self) -> Box<str> {
        self.object.clone()
    }
}

impl Sink for PipeFd {
    #[inline]
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match bufs {
            _ if self.guarded => sys::write_without_sigpipe(&self.fd, bufs),
            [one] => sys::write(&self.fd, one),
            _ => sys::writev(&self.fd, bufs),
        }
    }

    fn object(&self) -> Box<str> {
        self.object.clone()
    }
}

impl AsFd for PipeFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

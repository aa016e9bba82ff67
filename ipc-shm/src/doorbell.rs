//! Doorbells: pipes that carry rings. A byte says "look again", the end of file "the peer is gone".

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys;
use ipc_core::stream::{Mode, PipeFd, Sink, Source};
use ipc_core::{Error, Interest, Result, Wait, poll};

const OBJECT: &str = "doorbell pipe";

/// Bytes that a pipe holds.  pipe(7)
const DEFAULT_CAPACITY: usize = 64 << 10;

/// How often a half that may not wait looks again because it was rung. An honest peer rings twice
/// at most: for what was asked before, and for what is asked now.
pub(crate) const LOOKS: u32 = 8;

/// The end that rings.
#[derive(Debug)]
pub(crate) struct Bell(PipeFd);

/// The end that listens.
#[derive(Debug)]
pub(crate) struct Ear(PipeFd);

/// What a listener heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    Ring,
    /// Every copy of the other end is closed.
    Gone,
}

/// A new doorbell.
pub(crate) fn doorbell() -> Result<(Bell, Ear)> {
    let (ear, bell) = Ear::new()?;
    Ok((Bell(own(bell)?), ear))
}

/// An end whose description is this process's own.
fn own(fd: OwnedFd) -> Result<PipeFd> {
    PipeFd::new(fd, OBJECT).map_err(|error| Error::os("fcntl", OBJECT, error))
}

impl Bell {
    pub(crate) fn inherited(fd: OwnedFd) -> Result<Self> {
        PipeFd::inherited(vec![fd], Interest::Write, OBJECT).map(Bell)
    }

    /// One that a stranger gave.
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) if it is none, or is not let in.
    pub(crate) fn reopened(fd: &OwnedFd) -> Result<Self> {
        match sys::socket::reopen(fd) {
            Ok(Some(fd)) => own(fd).map(Bell),
            Ok(None) => Err(Error::malformed(OBJECT, "it is no write end of a pipe")),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Error::malformed(OBJECT, "it cannot be opened by this user"))
            }
            Err(error) => Err(Error::os("open", "/proc/thread-self/fd", error)),
        }
    }

    /// Wakes the listener.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](Error::Disconnected) if there is none any more.
    #[cold]
    pub(crate) fn ring(&self) -> Result<()> {
        loop {
            let Err(error) = self.0.write(&[IoSlice::new(&[1])]) else {
                return Ok(());
            };
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(()), // 64 Ki rings that nobody has read yet
                io::ErrorKind::BrokenPipe => return Err(Error::Disconnected),
                _ => return Err(Error::os("write", OBJECT, error)),
            }
        }
    }
}

impl Ear {
    /// A new one, and what rings it.
    pub(crate) fn new() -> Result<(Self, OwnedFd)> {
        let (ear, bell) = sys::pipe().map_err(|error| Error::os("pipe2", OBJECT, error))?;
        Ok((Ear(own(ear)?), bell))
    }

    pub(crate) fn inherited(fd: OwnedFd) -> Result<Self> {
        PipeFd::inherited(vec![fd], Interest::Read, OBJECT).map(Ear)
    }

    /// Listens as long as `wait` allows, and takes all rings that are there.
    pub(crate) fn listen(&self, wait: Wait) -> Result<Heard> {
        loop {
            // Without a deadline one read sleeps as well. With one poll does, and the read must not:
            // a peer can open its bell for reading, and take the ring back in between.
            let mode = match wait {
                Wait::Forever => Mode::Block,
                _ if !poll(self.0.as_fd(), Interest::Read, wait)? => return Ok(Heard::Nothing),
                _ => Mode::Now,
            };
            let mut rings = [0; 64];
            match self.0.read(&mut rings, mode) {
                Ok(0) => return Ok(Heard::Gone),
                Ok(count) if count < rings.len() => return Ok(Heard::Ring),
                Ok(_) => return self.drain(),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(Heard::Nothing), // somebody else's doing
                    _ => return Err(Error::os("read", OBJECT, error)),
                },
            }
        }
    }

    /// Takes the rest of many rings: as many as a pipe holds and no more, since a peer could go on
    /// ringing for ever.
    #[cold]
    fn drain(&self) -> Result<Heard> {
        let mut rings = [0; 4096];
        for _ in 0..DEFAULT_CAPACITY / rings.len() {
            match self.0.read(&mut rings, Mode::Now) {
                Ok(count) if count == rings.len() => {}
                Ok(_) => break, // the end is told by the next listening
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => break,
                    _ => return Err(Error::os("read", OBJECT, error)),
                },
            }
        }
        Ok(Heard::Ring)
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

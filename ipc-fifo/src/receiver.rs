//! The half that receives.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use ipc_core::inherit::{Reader, Writer};
use ipc_core::stream::{FramedReceiver, Mode, PipeFd, Source};

use crate::fifo::Owner;
use crate::open;
use crate::{FifoOptions, Inherit, Interest, Ready, Receiver, Result, Wait};

/// The read end of a FIFO.
///
/// Before the first sender has come, receiving waits; after the last one has gone, it is
/// [`Disconnected`](crate::Error::Disconnected).
#[derive(Debug)]
pub struct FifoReceiver {
    pub(crate) inner: FramedReceiver<Opened>,
    /// Dropped after the end itself, and with the last one removes the name.
    _owner: Option<Arc<Owner>>,
}

impl FifoReceiver {
    pub(crate) fn new(inner: FramedReceiver<Opened>, owner: Option<Arc<Owner>>) -> Self {
        FifoReceiver {
            inner,
            _owner: owner,
        }
    }

    /// [`FifoOptions::open_receiver`] with the default options.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        FifoOptions::new().open_receiver(path)
    }

    /// After the last sender has gone, waits for the next: receiving is "nobody yet" again, instead
    /// of [`Disconnected`](crate::Error::Disconnected), or of `Malformed` because the last one died in
    /// the midst of a long message. Whoever came in between loses nothing. Before that end, and after
    /// a message that was malformed in itself, it does nothing.
    ///
    /// Not while an `Async` has it, which would go on watching for the senders that have gone: take
    /// it out, and wrap it again.
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) when the FIFO cannot be opened anew.
    pub fn reconnect(&mut self) -> Result<()> {
        if self.inner.has_ended() {
            self.inner.io().0.renew()?;
            self.inner.restart();
        }
        Ok(())
    }

    /// The longest message in bytes that is accepted.
    pub fn max_len(&self) -> usize {
        self.inner.max_len()
    }

    /// The room in the kernel in bytes.  fcntl(2), `F_GETPIPE_SZ`
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) if the kernel does not tell.
    pub fn capacity(&self) -> Result<usize> {
        self.inner.io().0.capacity()
    }
}

impl Receiver for FifoReceiver {
    ipc_core::forward_receiver!(self => self.inner);
}

impl Ready for FifoReceiver {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.inner.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        self.inner.arm()
    }
}

/// The name stays with the process that made it: it is removed there, with the last end.
impl Inherit for FifoReceiver {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let object = self.inner.io().object();
        let (fd, inner) = self.inner.into_parts()?;
        let mut state = Writer::new();
        state.bytes(object.as_bytes()).bytes(&inner);
        Ok((vec![fd], state.finish()))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let mut state = Reader::new(state);
        let (object, inner) = (open::named(state.bytes()?)?, state.bytes()?);
        state.end()?;
        let source = Opened(PipeFd::inherited(fds, Interest::Read, object)?);
        let inner = FramedReceiver::from_parts(source, inner)?;
        Ok(FifoReceiver::new(inner, None))
    }
}

impl AsFd for FifoReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// A read end that was opened by name, maybe before anybody wrote.
#[derive(Debug)]
pub(crate) struct Opened(pub(crate) PipeFd);

impl Source for Opened {
    /// A read of 0 bytes is both "nobody yet" and "all gone". The kernel knows which: it tells poll
    /// of a hang-up only once a writer has been seen by this end.  `pipe_poll` in fs/pipe.c
    #[inline]
    fn read(&self, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        match self.0.read(buf, mode)? {
            0 if !ipc_core::poll(self.as_fd(), Interest::Read, Wait::Never)? => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            // All gone, unless somebody came and wrote in between.
            0 => self.0.read(buf, mode),
            len => Ok(len),
        }
    }

    fn object(&self) -> Box<str> {
        Source::object(&self.0)
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! The half that sends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use ipc_core::inherit::{Reader, Writer};
use ipc_core::stream::{FramedSender, PipeFd, Sink};

use crate::fifo::Owner;
use crate::open;
use crate::{FifoOptions, Inherit, Interest, Ready, Result, Sender, Wait};

/// The write end of a FIFO.
#[derive(Debug)]
pub struct FifoSender {
    pub(crate) inner: FramedSender<PipeFd>,
    /// Dropped after the end itself, and with the last one removes the name.
    owner: Option<Arc<Owner>>,
}

impl FifoSender {
    pub(crate) fn new(inner: FramedSender<PipeFd>, owner: Option<Arc<Owner>>) -> Self {
        FifoSender { inner, owner }
    }

    /// [`FifoOptions::open_sender`] with the default options.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open(path: impl AsRef<Path>, wait: Wait) -> Result<Self> {
        FifoOptions::new().open_sender(path, wait)
    }

    /// Sends what is left of the last message, then closes. A plain drop tries only once.
    ///
    /// # Errors
    ///
    /// As [`flush`](Sender::flush); it is closed all the same.
    pub fn close(self, wait: Wait) -> Result<()> {
        self.inner.close(wait)
    }

    /// Another sender to the same receiver, which meets the end when all of them are gone. Only for
    /// a FIFO with [`many_writers`](FifoOptions::many_writers).
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) for a FIFO without, or when the process has no descriptors left.
    pub fn try_clone(&self) -> Result<Self> {
        let inner = self.inner.try_clone()?;
        Ok(FifoSender::new(inner, self.owner.clone()))
    }

    /// The room in the kernel in bytes.  fcntl(2), `F_GETPIPE_SZ`
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) if the kernel does not tell.
    pub fn capacity(&self) -> Result<usize> {
        self.inner.io().capacity()
    }
}

impl Sender for FifoSender {
    ipc_core::forward_sender!(self => self.inner);
}

impl Ready for FifoSender {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.inner.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        self.inner.arm()
    }
}

/// The name stays with the process that made it: it is removed there, with the last end.
impl Inherit for FifoSender {
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
        let sink = PipeFd::inherited(fds, Interest::Write, object)?;
        let inner = FramedSender::from_parts(sink, inner)?;
        Ok(FifoSender::new(inner, None))
    }
}

impl AsFd for FifoSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

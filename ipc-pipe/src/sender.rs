//! The half that sends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::stream::{FramedSender, PipeFd};

use crate::options::OBJECT;
use crate::{Inherit, Interest, Ready, Result, Sender, Wait};

/// The write end of a pipe.
#[derive(Debug)]
pub struct PipeSender {
    pub(crate) inner: FramedSender<PipeFd>,
}

impl PipeSender {
    pub(crate) fn new(inner: FramedSender<PipeFd>) -> Self {
        PipeSender { inner }
    }

    /// Sends what is left of the last message, then closes. A plain drop tries only once.
    ///
    /// # Errors
    ///
    /// As [`flush`](Sender::flush); it is closed all the same.
    pub fn close(self, wait: Wait) -> Result<()> {
        self.inner.close(wait)
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

impl Sender for PipeSender {
    ipc_core::forward_sender!(self => self.inner);
}

impl Ready for PipeSender {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.inner.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        self.inner.arm()
    }
}

impl Inherit for PipeSender {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let (fd, state) = self.inner.into_parts()?;
        Ok((vec![fd], state))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let sink = PipeFd::inherited(fds, Interest::Write, OBJECT)?;
        Ok(PipeSender::new(FramedSender::from_parts(sink, state)?))
    }
}

impl AsFd for PipeSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

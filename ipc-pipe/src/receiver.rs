//! The half that receives.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::stream::{FramedReceiver, PipeFd};

use crate::options::{OBJECT, lost};
use crate::{Inherit, Interest, PipeOptions, Ready, Receiver, Result};

/// The read end of a pipe.
#[derive(Debug)]
pub struct PipeReceiver {
    pub(crate) inner: FramedReceiver<PipeFd>,
}

impl PipeReceiver {
    pub(crate) fn new(inner: FramedReceiver<PipeFd>) -> Self {
        PipeReceiver { inner }
    }

    /// The longest message in bytes that is accepted.
    pub fn max_len(&self) -> usize {
        self.inner.max_len()
    }

    /// The read end for a foreign program's standard input, or to read raw bytes from: a
    /// description of its own that blocks. `Stdio::from` and `File::from` take it.
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) while something was read and not yet received, and when the pipe is
    /// another user's.
    pub fn into_blocking(self) -> Result<OwnedFd> {
        if self.inner.has_unread() {
            return Err(lost(
                "something was read and not yet received: receive it before",
            ));
        }
        self.inner.io().blocking(Interest::Read)
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

impl Receiver for PipeReceiver {
    ipc_core::forward_receiver!(self => self.inner);
}

impl Ready for PipeReceiver {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.inner.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        self.inner.arm()
    }

    fn is_drained(&self) -> bool {
        self.inner.is_drained()
    }
}

impl Inherit for PipeReceiver {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let (fd, state) = self.inner.into_parts()?;
        Ok((vec![fd], state))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let source = PipeFd::inherited(fds, Interest::Read, OBJECT)?;
        Ok(PipeReceiver::new(FramedReceiver::from_parts(
            source, state,
        )?))
    }
}

/// With the default options; [`PipeOptions::receiver`](crate::PipeOptions::receiver) takes others.
impl TryFrom<OwnedFd> for PipeReceiver {
    type Error = crate::Error;

    fn try_from(fd: OwnedFd) -> Result<Self> {
        PipeOptions::new().receiver(fd)
    }
}

impl AsFd for PipeReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

//! The half that sends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::stream::{FramedSender, PipeFd};

use crate::options::{OBJECT, lost};
use crate::{Inherit, Interest, PipeOptions, Ready, Result, Sender, Wait};

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

    /// Another sender to the same receiver, which meets the end when all of them are gone. Only for
    /// a pipe with [`many_writers`](crate::PipeOptions::many_writers).
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) for a pipe without, or when the process has no descriptors left.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(PipeSender::new(self.inner.try_clone()?))
    }

    /// The write end for a foreign program's standard output, or to write raw bytes to: a
    /// description of its own that blocks. `Stdio::from` and `File::from` take it.
    ///
    /// ```
    /// use std::process::Command;
    /// use std::io::Read;
    ///
    /// let (tx, rx) = ipc_pipe::channel()?;
    /// let mut echo = Command::new("echo").arg("hello").stdout(tx.into_blocking()?).spawn()?;
    /// let mut raw = String::new(); // `echo` knows nothing of frames
    /// std::fs::File::from(rx.into_blocking()?).read_to_string(&mut raw)?;
    /// assert_eq!(raw, "hello\n");
    /// echo.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) while the tail of a message is unsent (`flush` first), and when the
    /// pipe is another user's.
    pub fn into_blocking(self) -> Result<OwnedFd> {
        if self.pending().is_some() {
            return Err(lost("a tail is unsent: flush before"));
        }
        self.inner.io().blocking(Interest::Write)
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

/// With the default options; [`PipeOptions::sender`](crate::PipeOptions::sender) takes others.
impl TryFrom<OwnedFd> for PipeSender {
    type Error = crate::Error;

    fn try_from(fd: OwnedFd) -> Result<Self> {
        PipeOptions::new().sender(fd)
    }
}

impl AsFd for PipeSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

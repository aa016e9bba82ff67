//! How pipes are made.

use std::io;
use std::os::fd::OwnedFd;

use ipc_core::frame::DEFAULT_MAX_LEN;
use ipc_core::stream::{FramedReceiver, FramedSender, PipeFd};

use crate::{Duplex, Error, Interest, PipeDuplex, PipeReceiver, PipeSender, Result, Spin, sys};

/// What a pipe is called in errors: it has no name of its own.
pub(crate) const OBJECT: &str = "pipe";

/// How pipes are made.
///
/// ```
/// use ipc_pipe::{PipeOptions, Spin};
///
/// let (tx, rx) = PipeOptions::new()
///     .capacity(100_000)
///     .max_len(1 << 20)
///     .spin(Spin::Never)
///     .channel()?;
/// assert_eq!(tx.capacity()?, 131_072); // the kernel rounds up to a power of two
/// # Ok::<(), ipc_pipe::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PipeOptions {
    capacity: Option<usize>,
    max_len: usize,
    spin: Spin,
    many_writers: bool,
}

impl PipeOptions {
    /// The kernel's capacity, messages of up to 16 MiB, adaptive waiting.
    pub fn new() -> Self {
        PipeOptions {
            capacity: None,
            max_len: DEFAULT_MAX_LEN,
            spin: Spin::default(),
            many_writers: false,
        }
    }

    /// Asks for room for `bytes` in the kernel, which rounds up to a power of two of at least a
    /// page. Without this a pipe has the kernel's 64 KiB.  fcntl(2), `F_SETPIPE_SZ`
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// The longest message in bytes; at most 4 GiB - 1, which is what a frame's header can say.
    /// Give the same to both ends.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }

    /// How the ends poll before they sleep.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// Several senders to each receiver, made by [`PipeSender::try_clone`]. Their messages are
    /// records: of at most 4,092 bytes, which is `PIPE_BUF` less the header, so that the kernel takes
    /// each in one piece; longer ones are [`TooLarge`](Error::TooLarge).  pipe(7)
    pub fn many_writers(mut self) -> Self {
        self.many_writers = true;
        self
    }

    /// A pipe: what goes in at the sender comes out at the receiver.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when the process or the system has no descriptors left, or refuses the
    /// capacity asked for; the message names the limits.
    pub fn channel(&self) -> Result<(PipeSender, PipeReceiver)> {
        let (reader, writer) = sys::pipe().map_err(|error| Error::os("pipe2", OBJECT, error))?;
        let wrap = |fd| PipeFd::new(fd, OBJECT).map_err(|error| Error::os("fcntl", OBJECT, error));
        let (sink, source) = (wrap(writer)?, wrap(reader)?);
        if let Some(bytes) = self.capacity {
            sink.set_capacity(bytes)?;
        }
        Ok((
            PipeSender::new(self.framed(sink)),
            PipeReceiver::new(FramedReceiver::new(source, self.max_len, self.spin)),
        ))
    }

    /// The sender for the write end of a pipe that another part of the program made, or a parent
    /// handed over. It gets a description of its own, so that nobody else's becomes non-blocking.
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) for anything but the write end of a pipe; [`Os`](Error::Os) when
    /// another user made it, or its capacity is refused.
    pub fn sender(&self, fd: impl Into<OwnedFd>) -> Result<PipeSender> {
        let sink = self.adopt(&fd.into(), Interest::Write)?;
        Ok(PipeSender::new(self.framed(sink)))
    }

    /// The receiver for the read end of such a pipe.
    ///
    /// # Errors
    ///
    /// As [`sender`](PipeOptions::sender).
    pub fn receiver(&self, fd: impl Into<OwnedFd>) -> Result<PipeReceiver> {
        let source = self.adopt(&fd.into(), Interest::Read)?;
        let inner = FramedReceiver::new(source, self.max_len, self.spin);
        Ok(PipeReceiver::new(inner))
    }

    /// Two equal endpoints over two pipes, one each way.
    ///
    /// # Errors
    ///
    /// As [`channel`](PipeOptions::channel).
    pub fn pair(&self) -> Result<(PipeDuplex, PipeDuplex)> {
        let (there, back) = (self.channel()?, self.channel()?);
        Ok((Duplex::new(there.0, back.1), Duplex::new(back.0, there.1)))
    }

    fn adopt(&self, fd: &OwnedFd, interest: Interest) -> Result<PipeFd> {
        let end = PipeFd::adopted(fd, interest, OBJECT)?;
        self.capacity
            .map_or(Ok(()), |bytes| end.set_capacity(bytes))?;
        Ok(end)
    }

    fn framed(&self, sink: PipeFd) -> FramedSender<PipeFd> {
        if self.many_writers {
            FramedSender::records(sink, self.max_len, self.spin)
        } else {
            FramedSender::new(sink, self.max_len, self.spin)
        }
    }
}

impl Default for PipeOptions {
    fn default() -> Self {
        PipeOptions::new()
    }
}

/// The error of giving an end away while bytes that are in no kernel would be lost.
pub(crate) fn lost(reason: &str) -> Error {
    let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
    Error::os("open", OBJECT, error)
}

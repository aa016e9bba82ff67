//! How FIFOs are made and opened.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use ipc_core::frame::DEFAULT_MAX_LEN;
use ipc_core::stream::{FramedReceiver, FramedSender, PipeFd};

use crate::fifo::{Fifo, Owner};
use crate::receiver::Opened;
use crate::{
    Duplex, Error, FifoDuplex, FifoReceiver, FifoSender, Result, Spin, Wait, open, private,
};

/// How FIFOs are made and opened. Give both ends the same.
///
/// ```
/// use ipc_fifo::{FifoOptions, Spin};
///
/// let (tx, rx) = FifoOptions::new()
///     .capacity(100_000)
///     .max_len(1 << 20)
///     .spin(Spin::Never)
///     .channel()?;
/// assert_eq!(tx.capacity()?, 131_072); // the kernel rounds up to a power of two
/// # Ok::<(), ipc_fifo::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FifoOptions {
    capacity: Option<usize>,
    max_len: usize,
    spin: Spin,
}

impl FifoOptions {
    /// The kernel's capacity, messages of up to 16 MiB, adaptive waiting.
    pub fn new() -> Self {
        FifoOptions {
            capacity: None,
            max_len: DEFAULT_MAX_LEN,
            spin: Spin::default(),
        }
    }

    /// Asks for room for `bytes` in the kernel, which rounds up to a power of two of at least a
    /// page. Without this a FIFO has the kernel's 64 KiB. A FIFO forgets its capacity when nobody
    /// has it open, so every end asks as it opens.  fcntl(2), `F_SETPIPE_SZ`
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// The longest message in bytes; at most 4 GiB - 1, which is what a frame's header can say.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }

    /// How the ends poll before they sleep.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// Makes the FIFO `path`, exclusively and 0600 under any umask.  mkfifo(3)
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when something of that name is there, or the directory cannot be written.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Fifo> {
        Fifo::make(path.as_ref(), self)
    }

    /// Opens the FIFO `path` for sending, and waits until somebody has it open for receiving.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](Error::WouldBlock) or [`TimedOut`](Error::TimedOut) while nobody receives;
    /// [`Os`](Error::Os) when nobody made the FIFO, when `path` is something else, and when another
    /// user owns it or may open it.
    pub fn open_sender(&self, path: impl AsRef<Path>, wait: Wait) -> Result<FifoSender> {
        let path = path.as_ref();
        self.sender(open::writer(path, None, wait)?, &open::object(path), None)
    }

    /// Opens the FIFO `path` for receiving, which never waits: the first receive waits for the
    /// first sender.
    ///
    /// # Errors
    ///
    /// As [`open_sender`](FifoOptions::open_sender), but for those about waiting.
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> Result<FifoReceiver> {
        let path = path.as_ref();
        self.receiver(open::reader(path, None)?, &open::object(path), None)
    }

    /// A private FIFO: what goes in at the sender comes out at the receiver.
    ///
    /// It is made in a directory of its own (0700, in `$XDG_RUNTIME_DIR`, else in `$TMPDIR` or
    /// `/tmp`), opened at both ends, and its name is removed before this returns.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when there is no such directory to write to, when the process or the
    /// system has no descriptors left, or when the capacity asked for is refused.
    pub fn channel(&self) -> Result<(FifoSender, FifoReceiver)> {
        let (reader, writer) = private::ends()?;
        Ok((
            self.sender(writer, private::OBJECT, None)?,
            self.receiver(reader, private::OBJECT, None)?,
        ))
    }

    /// Two equal endpoints over two private FIFOs, one each way.
    ///
    /// # Errors
    ///
    /// As [`channel`](FifoOptions::channel).
    pub fn pair(&self) -> Result<(FifoDuplex, FifoDuplex)> {
        let (there, back) = (self.channel()?, self.channel()?);
        Ok((Duplex::new(there.0, back.1), Duplex::new(back.0, there.1)))
    }

    pub(crate) fn sender(
        &self,
        fd: OwnedFd,
        object: &str,
        owner: Option<Arc<Owner>>,
    ) -> Result<FifoSender> {
        let sink = self.end(fd, object)?;
        let inner = FramedSender::new(sink, self.max_len, self.spin);
        Ok(FifoSender::new(inner, owner))
    }

    pub(crate) fn receiver(
        &self,
        fd: OwnedFd,
        object: &str,
        owner: Option<Arc<Owner>>,
    ) -> Result<FifoReceiver> {
        let source = Opened(self.end(fd, object)?);
        let inner = FramedReceiver::new(source, self.max_len, self.spin);
        Ok(FifoReceiver::new(inner, owner))
    }

    fn end(&self, fd: OwnedFd, object: &str) -> Result<PipeFd> {
        let end = PipeFd::new(fd, object).map_err(|error| Error::os("fcntl", object, error))?;
        if let Some(bytes) = self.capacity {
            end.set_capacity(bytes)?;
        }
        Ok(end)
    }
}

impl Default for FifoOptions {
    fn default() -> Self {
        FifoOptions::new()
    }
}

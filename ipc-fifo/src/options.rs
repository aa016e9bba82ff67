//! How FIFOs are made and opened.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use ipc_core::frame::DEFAULT_MAX_LEN;
use ipc_core::stream::{FramedReceiver, FramedSender, PipeFd};
use nix::fcntl::OFlag;

use crate::fifo::{Fifo, Owner};
use crate::receiver::Opened;
use crate::sys::Id;
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
    many_writers: bool,
    control: bool,
}

impl FifoOptions {
    /// The kernel's capacity, messages of up to 16 MiB, adaptive waiting.
    pub fn new() -> Self {
        FifoOptions {
            capacity: None,
            max_len: DEFAULT_MAX_LEN,
            spin: Spin::default(),
            many_writers: false,
            control: false,
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

    /// Several senders, that open the path or are made by [`FifoSender::try_clone`]. Their messages
    /// are records: of at most 4,092 bytes, which is `PIPE_BUF` less the header, so that the kernel
    /// takes each in one piece; longer ones are [`TooLarge`](Error::TooLarge).  pipe(7)
    pub fn many_writers(mut self) -> Self {
        self.many_writers = true;
        self
    }

    /// The control FIFO of a manager: [many writers](Self::many_writers) come and go, and the receiver
    /// never meets an end, because it holds the FIFO open for writing, too. A sender that is opened
    /// with [`Wait::Never`] while nobody receives is [`Disconnected`](Error::Disconnected), as one is
    /// whose manager ends later.  fifo(7)
    ///
    /// The maker counts as one who receives from [`create`](Self::create) on, until the first
    /// [`Fifo::receiver`] takes over what has come, and is dropped: so take one, and hand that on if
    /// another process is to receive.
    ///
    /// What a killed manager has left at the path is taken over by [`create`](Self::create), once
    /// nobody has it open any more to read, nor a [`Fifo`] of it; of several that try one gets it.
    pub fn control(mut self) -> Self {
        (self.control, self.many_writers) = (true, true);
        self
    }

    /// Makes the FIFO `path`, exclusively and 0600 under any umask.  mkfifo(3)
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when something of that name is there (in [`control`](Self::control) mode, when
    /// somebody has it), when the directory cannot be written,
    /// and when other users could replace what is in it: it must be this user's or root's, and
    /// writable by others only with the sticky bit, as `/tmp` is.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Fifo> {
        Fifo::make(path.as_ref(), self)
    }

    /// Opens the FIFO `path` for sending, and waits until somebody has it open for receiving.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](Error::WouldBlock) or [`TimedOut`](Error::TimedOut) while nobody receives, and in
    /// [`control`](Self::control) mode [`Disconnected`](Error::Disconnected) for the first of these;
    /// [`Os`](Error::Os) when nobody made the FIFO, when `path` is something else, and when another
    /// user owns it or may open it.
    pub fn open_sender(&self, path: impl AsRef<Path>, wait: Wait) -> Result<FifoSender> {
        let path = path.as_ref();
        self.sender(self.writer(path, None, wait)?, &open::object(path), None)
    }

    /// Opens the FIFO `path` for receiving, which never waits: the first receive waits for the
    /// first sender.
    ///
    /// # Errors
    ///
    /// As [`open_sender`](FifoOptions::open_sender), but for those about waiting.
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> Result<FifoReceiver> {
        let path = path.as_ref();
        let fd = open::reader(path, None, self.access())?;
        self.receiver(fd, &open::object(path), None)
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
        let (reader, writer) = private::ends(self.access())?;
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

    /// Opens the write end, as soon as somebody reads.
    pub(crate) fn writer(&self, path: &Path, id: Option<Id>, wait: Wait) -> Result<OwnedFd> {
        match open::writer(path, id, wait) {
            Err(Error::WouldBlock) if self.control => Err(Error::Disconnected),
            opened => opened,
        }
    }

    pub(crate) fn is_control(&self) -> bool {
        self.control
    }

    /// How a receiver opens.
    pub(crate) fn access(&self) -> OFlag {
        if self.control {
            OFlag::O_RDWR
        } else {
            OFlag::O_RDONLY
        }
    }

    pub(crate) fn sender(
        &self,
        fd: OwnedFd,
        object: &str,
        owner: Option<Arc<Owner>>,
    ) -> Result<FifoSender> {
        let sink = self.end(fd, object)?;
        let inner = if self.many_writers {
            FramedSender::records(sink, self.max_len, self.spin)
        } else {
            FramedSender::new(sink, self.max_len, self.spin)
        };
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

//! Messages that are written where the receiver reads them.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::options::object;
use crate::{Error, Result, ShmSender, Wait};

/// A piece of the ring in which a message is written in place: it derefs to the message's bytes.
///
/// What they are before they are written is unspecified: zeroes, or bytes of older messages of this
/// ring. [`send`](Loan::send) sends the message; a loan that is dropped, or forgotten, sends nothing
/// and takes no room.
///
/// ```
/// use ipc_shm::Receiver;
///
/// let (mut tx, mut rx) = ipc_shm::channel()?;
/// let mut loan = tx.loan(4)?;
/// loan.copy_from_slice(b"ping");
/// loan.send();
/// assert_eq!(rx.recv()?, b"ping");
/// # Ok::<(), ipc_shm::Error>(())
/// ```
#[must_use = "a loan that is not sent sends nothing"]
pub struct Loan<'a> {
    sender: &'a mut ShmSender,
    len: usize,
}

impl ShmSender {
    /// Lends room for a message of `len` bytes, waiting for it as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`loan_wait`](Self::loan_wait).
    #[inline]
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>> {
        self.loan_wait(len, Wait::Forever)
    }

    /// Lends room for a message of `len` bytes if there is any, else returns
    /// [`WouldBlock`](crate::Error::WouldBlock).
    ///
    /// # Errors
    ///
    /// As [`loan_wait`](Self::loan_wait).
    #[inline]
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_>> {
        self.loan_wait(len, Wait::Never)
    }

    /// Lends room for a message of `len` bytes within `timeout`, else returns
    /// [`TimedOut`](crate::Error::TimedOut).
    ///
    /// # Errors
    ///
    /// As [`loan_wait`](Self::loan_wait).
    #[inline]
    pub fn loan_timeout(&mut self, len: usize, timeout: Duration) -> Result<Loan<'_>> {
        self.loan_wait(len, timeout.into())
    }

    /// Lends room for a message of `len` bytes, waiting for it as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// Those of [`send_wait`](crate::Sender::send_wait): [`TooLarge`](crate::Error::TooLarge),
    /// [`WouldBlock`](crate::Error::WouldBlock), [`TimedOut`](crate::Error::TimedOut),
    /// [`Disconnected`](crate::Error::Disconnected). [`Os`](crate::Error::Os) with `Unsupported` on a
    /// ring to an [untrusted](crate::ShmOptions::untrusted) peer.
    #[inline]
    pub fn loan_wait(&mut self, len: usize, wait: Wait) -> Result<Loan<'_>> {
        if self.is_untrusting() {
            return Err(self.no_loans());
        }
        self.reserve(len, wait)?;
        Ok(Loan { sender: self, len })
    }

    #[cold]
    fn no_loans(&self) -> Error {
        let reason = "the peer is not trusted, and would see what is written before it is sent, or \
                      never is; use send";
        let error = io::Error::new(io::ErrorKind::Unsupported, reason);
        Error::os("loan", object(self.capacity()), error)
    }
}

impl Loan<'_> {
    /// Makes the message shorter: of what was lent, the first `len` bytes are to be sent. Longer
    /// than it is it stays as it is.
    ///
    /// ```
    /// use ipc_shm::Receiver;
    /// use std::io::Read;
    ///
    /// let mut file: &[u8] = b"however much there is";
    /// let (mut tx, mut rx) = ipc_shm::channel()?;
    /// let mut loan = tx.loan(4096)?;
    /// let len = file.read(&mut loan)?;
    /// loan.truncate(len);
    /// loan.send();
    /// assert_eq!(rx.recv()?, b"however much there is");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Sends the message, which needs no waiting, and cannot fail: that the peer is gone is told by the next loan
    /// or send.
    #[inline]
    pub fn send(self) {
        self.sender.ring_mut().push_written(self.len);
        self.sender.publish();
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.sender.ring().next(self.len)
    }
}

impl DerefMut for Loan<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.sender.ring_mut().next_mut(self.len)
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

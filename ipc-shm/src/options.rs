//! How rings are made.

use std::time::Duration;

use crate::attach::Terms;
use crate::connect::connect;
use crate::doorbell::doorbell;
use crate::handover::{Ends, State};
use crate::ring::capacity_for;
use crate::segment::{Segment, Side, Trust};
use crate::{
    Address, Duplex, Error, Result, ShmDuplex, ShmListener, ShmReceiver, ShmSender, Spin, Wait, sys,
};

/// The largest capacity of a ring in bytes: 1 GiB.
pub const MAX_CAPACITY: usize = 1 << 30;

/// Small enough that both rings of a pair stay in a processor's own cache.
const DEFAULT_CAPACITY: usize = 1 << 20;

/// How rings are made.
///
/// ```
/// use ipc_shm::{Sender, ShmOptions, Spin};
///
/// let (tx, rx) = ShmOptions::new()
///     .max_len(100_000)
///     .spin(Spin::Never)
///     .channel()?;
/// assert!(tx.max_len() >= 100_000);
/// assert!(tx.capacity() >= 2 * 100_000); // whole pages
/// # Ok::<(), ipc_shm::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ShmOptions {
    capacity: usize,
    max_len: usize,
    huge_pages: bool,
    prefault: bool,
    spin: Spin,
    trust: Trust,
    mode: u32,
}

impl ShmOptions {
    /// Rings of 1 MiB, which carry messages of up to 524,272 bytes; adaptive waiting.
    pub fn new() -> Self {
        ShmOptions {
            capacity: DEFAULT_CAPACITY,
            max_len: 0,
            huge_pages: false,
            prefault: false,
            spin: Spin::default(),
            trust: Trust::Full,
            mode: 0o600,
        }
    }

    /// Room for at least `bytes` of records in each direction, rounded up to whole pages; at most
    /// [`MAX_CAPACITY`]. A record is the message rounded up to 8 bytes, and 8 bytes more; a message
    /// takes up to half of the ring. The memory is taken at once.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// The longest message in bytes that must be carried: the capacity becomes at least twice that.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }

    /// Takes huge pages of 2 MiB for the records, and rounds the capacity up to them. That serves large
    /// messages of which each side touches a part here and a part there, in place: 16 MiB took 13 to
    /// 16 % less time so. Small messages and copied ones gain nothing.
    ///
    /// Making a ring moves its memory once more, and is an error where the kernel has no such pages:
    /// that takes Linux 6.1, and free memory in pieces of 2 MiB. Both ends of a connection must ask
    /// for it, or for a capacity of whole huge pages. The copy of a message from an
    /// [untrusted](Self::untrusted) peer lies in normal pages.
    pub fn huge_pages(mut self) -> Self {
        self.huge_pages = true;
        self
    }

    /// Touches all memory when an end is made, and again by whoever gets it (over a fork by
    /// `ipc_process::fork`, or in parts), so that no message pays for a page fault: a first use costs
    /// one a page otherwise. Swapping is not prevented: see mlock(2).
    pub fn prefault(mut self) -> Self {
        self.prefault = true;
        self
    }

    /// How the ends poll before they sleep.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// For a peer that may be hostile: another user, a sandbox. Whatever it writes, this side stays
    /// whole, does bounded work and gets [`Malformed`](Error::Malformed) at worst. The memory of
    /// each side is sealed by it against other writers, and what is received is copied once into private memory
    /// before it is lent. There are no loans, and a half cannot be taken into parts.
    ///
    /// Needs Linux 5.1.
    pub fn untrusted(mut self) -> Self {
        self.trust = Trust::None;
        self
    }

    /// The mode of a listener's socket file, under any umask: who has write permission may connect.
    /// 0600 unless asked. A trusted ring is made with this process's user alone, whatever the mode.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// A ring: what goes in at the sender comes out at the receiver.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when the capacity is over a limit, which the message names, or the process
    /// or the system has no memory or descriptors left.
    pub fn channel(&self) -> Result<(ShmSender, ShmReceiver)> {
        let capacity = self.rounded()?;
        let (sender, receiver) = Segment::create(capacity, self.trust)?;
        let (data, space) = (doorbell()?, doorbell()?);
        let ends = |segment, bell, ear| Ends { segment, bell, ear };
        self.halves(
            ends(sender, data.0, space.1),
            ends(receiver, space.0, data.1),
        )
    }

    /// Two equal endpoints over two rings, one each way.
    ///
    /// # Errors
    ///
    /// As [`channel`](ShmOptions::channel).
    pub fn pair(&self) -> Result<(ShmDuplex, ShmDuplex)> {
        let (there, back) = (self.channel()?, self.channel()?);
        Ok((Duplex::new(there.0, back.1), Duplex::new(back.0, there.1)))
    }

    /// Listens at `address` for programs that connect. A path must not exist: the file is made, and
    /// removed when the listener is dropped by the process that made it.
    ///
    /// ```
    /// use ipc_shm::{Receiver, Sender, ShmOptions};
    /// use std::thread;
    ///
    /// # let address: ipc_shm::Address = format!("@ipc-shm-listen-{}", std::process::id()).parse()?;
    /// # /*
    /// let address: Address = "/run/app.ring".parse()?; // or "@app"
    /// # */
    /// let options = ShmOptions::new().capacity(64 << 10).untrusted();
    /// let listener = options.listen(&address)?;
    /// let server = thread::spawn(move || listener.accept()?.send(b"hello"));
    ///
    /// let mut client = options.connect(&address)?; // in another program
    /// assert_eq!(client.recv()?, b"hello");
    /// server.join().unwrap()
    /// # ; Ok::<(), ipc_shm::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when the address is taken or cannot be had, or the capacity is over a limit; the message says
    /// what to do.
    pub fn listen(&self, address: impl Into<Address>) -> Result<ShmListener> {
        ShmListener::bind(self.clone(), self.terms()?, address.into(), self.mode)
    }

    /// Connects to the listener at `address`, waiting for it to accept as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`connect_wait`](ShmOptions::connect_wait).
    pub fn connect(&self, address: impl Into<Address>) -> Result<ShmDuplex> {
        self.connect_wait(address, Wait::Forever)
    }

    /// Connects to the listener at `address` within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`connect_wait`](ShmOptions::connect_wait).
    pub fn connect_timeout(
        &self,
        address: impl Into<Address>,
        timeout: Duration,
    ) -> Result<ShmDuplex> {
        self.connect_wait(address, timeout.into())
    }

    /// Connects to the listener at `address`, which must be there already; waits as long as `wait`
    /// allows for it to accept. [`Wait::Never`] is too short for any.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when nobody listens there, when the listener goes away, and when it wants other rings or
    /// does not trust this user: the message says what to do. [`TimedOut`](Error::TimedOut) or
    /// [`WouldBlock`](Error::WouldBlock) when the wait is over.
    pub fn connect_wait(&self, address: impl Into<Address>, wait: Wait) -> Result<ShmDuplex> {
        connect(self, self.terms()?, &address.into(), wait)
    }

    /// A half of each kind over such ends, of one ring or of two.
    pub(crate) fn halves(
        &self,
        mut sender: Ends,
        mut receiver: Ends,
    ) -> Result<(ShmSender, ShmReceiver)> {
        if self.huge_pages {
            sender.segment.make_huge()?;
        }
        if self.prefault {
            sender.segment.prefault()?;
            receiver.segment.prefault()?;
        }
        let capacity = sender.segment.capacity();
        let state = |side| State::new(side, capacity, self.spin, self.prefault);
        Ok((
            ShmSender::new(state(Side::Sender), sender),
            ShmReceiver::new(state(Side::Receiver), receiver),
        ))
    }

    fn terms(&self) -> Result<Terms> {
        Ok(Terms {
            capacity: self.rounded()?,
            trust: self.trust,
        })
    }

    fn rounded(&self) -> Result<usize> {
        let bytes = self.capacity.max(capacity_for(self.max_len));
        if bytes > MAX_CAPACITY {
            let reason = format!("the largest capacity is {MAX_CAPACITY} bytes (MAX_CAPACITY)");
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, reason);
            return Err(Error::os("fallocate", object(bytes), error));
        }
        let page = if self.huge_pages {
            sys::HUGE_PAGE
        } else {
            sys::page_size()
        };
        Ok(bytes.next_multiple_of(page))
    }
}

impl Default for ShmOptions {
    fn default() -> Self {
        ShmOptions::new()
    }
}

/// What a ring is called in errors: it has no name of its own.
pub(crate) fn object(capacity: usize) -> String {
    format!("shared-memory ring of {capacity} bytes")
}

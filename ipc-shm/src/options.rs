//! How rings are made.

use crate::doorbell::doorbell;
use crate::handover::{Ends, State};
use crate::ring::capacity_for;
use crate::segment::{Segment, Side, Trust};
use crate::{Duplex, Error, Result, ShmDuplex, ShmReceiver, ShmSender, Spin, sys};

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
    prefault: bool,
    spin: Spin,
    trust: Trust,
}

impl ShmOptions {
    /// Rings of 1 MiB, which carry messages of up to 524,272 bytes; adaptive waiting.
    pub fn new() -> Self {
        ShmOptions {
            capacity: DEFAULT_CAPACITY,
            max_len: 0,
            prefault: false,
            spin: Spin::default(),
            trust: Trust::Full,
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

    /// A ring: what goes in at the sender comes out at the receiver.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when the capacity is over a limit, which the message names, or the process
    /// or the system has no memory or descriptors left.
    pub fn channel(&self) -> Result<(ShmSender, ShmReceiver)> {
        let capacity = self.rounded()?;
        let (mut sender, mut receiver) = Segment::create(capacity, self.trust)?;
        if self.prefault {
            sender.prefault()?;
            receiver.prefault()?;
        }
        let (data, space) = (doorbell()?, doorbell()?);
        let ends = |segment, bell, ear| Ends { segment, bell, ear };
        let state = |side| State::new(side, capacity, self.spin, self.prefault);
        Ok((
            ShmSender::new(state(Side::Sender), ends(sender, data.0, space.1)),
            ShmReceiver::new(state(Side::Receiver), ends(receiver, space.0, data.1)),
        ))
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

    fn rounded(&self) -> Result<usize> {
        let bytes = self.capacity.max(capacity_for(self.max_len));
        if bytes > MAX_CAPACITY {
            let reason = format!("the largest capacity is {MAX_CAPACITY} bytes (MAX_CAPACITY)");
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, reason);
            return Err(Error::os("fallocate", object(bytes), error));
        }
        Ok(bytes.next_multiple_of(sys::page_size()))
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

//! The half that receives.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use ipc_core::stream::Linkable;

use crate::fds::Arrivals;
use crate::half::{Half, ReceivingHalf};
use crate::{Inherit, Interest, Kind, Ready, Receiver, Result, Wait};

/// The receiving half of a connection.
#[derive(Debug)]
pub struct SocketReceiver {
    pub(crate) inner: ReceivingHalf,
    /// `None`: messages bring no descriptors.
    arrivals: Option<Arrivals>,
}

impl SocketReceiver {
    pub(crate) fn new(inner: ReceivingHalf) -> Self {
        let arrivals = inner.socket().incoming().cloned().map(Arrivals::new);
        SocketReceiver { inner, arrivals }
    }

    /// Takes the descriptors that came with the last message, closed on exec. They are there until
    /// the next receive, which closes those that nobody took. [`recv_many`](Receiver::recv_many) ends
    /// with a message that brought some.
    ///
    /// None ever come, unless [asked for](crate::SocketOptions::fds).
    pub fn take_fds(&mut self) -> Vec<OwnedFd> {
        let current = self.arrivals.as_mut().map(|arrivals| &mut arrivals.current);
        current.map(std::mem::take).unwrap_or_default()
    }

    /// Drops a peer that begins a header and stalls.
    pub(crate) fn set_header_deadline(&mut self, limit: Duration) {
        if let Half::Stream(half) = &mut self.inner {
            half.set_header_deadline(limit);
        }
    }

    /// The longest message in bytes that is accepted.
    pub fn max_len(&self) -> usize {
        self.inner.max_len()
    }

    /// The kind of socket.
    pub fn kind(&self) -> Kind {
        self.inner.socket().kind()
    }

    /// The bytes that the kernel gave to the receive buffer, which only TCP uses.  socket(7),
    /// `SO_RCVBUF`
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) if the kernel does not tell.
    pub fn recv_buffer(&self) -> Result<usize> {
        self.inner.socket().recv_buffer()
    }
}

impl Receiver for SocketReceiver {
    #[inline]
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        match &mut self.arrivals {
            None => self.inner.recv_wait(wait),
            Some(arrivals) => arrivals.recv(&mut self.inner, wait),
        }
    }

    #[inline]
    fn message(&self) -> &[u8] {
        match &self.arrivals {
            Some(arrivals) if arrivals.refused => &[],
            _ => self.inner.message(),
        }
    }

    fn recv_many(&mut self, max: usize, wait: Wait, each: &mut dyn FnMut(&[u8])) -> Result<usize> {
        match &mut self.arrivals {
            None => self.inner.recv_many(max, wait, each),
            Some(arrivals) => arrivals.recv_many(&mut self.inner, max, wait, each),
        }
    }

    fn linkable(&mut self) -> Option<Linkable<'_>> {
        self.inner.linkable()
    }
}

impl Ready for SocketReceiver {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        if self
            .arrivals
            .as_ref()
            .is_some_and(|arrivals| arrivals.refused)
        {
            return Ok(true);
        }
        match &mut self.inner {
            Half::Stream(half) => half.arm(),
            Half::Packet(half) => Ok(half.has_ended()),
        }
    }

    fn is_drained(&self) -> bool {
        match &self.inner {
            Half::Stream(half) => half.is_drained(),
            Half::Packet(_) => false,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.inner {
            Half::Stream(half) => half.deadline(),
            Half::Packet(_) => None,
        }
    }
}

impl Inherit for SocketReceiver {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let unread = match &self.arrivals {
            None => 0,
            Some(arrivals) => arrivals.unread().ok_or_else(|| {
                let error = io::Error::other("descriptors that came are not taken yet");
                self.inner.socket().error("sendmsg", error)
            })?,
        };
        self.inner.into_parts(unread)
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        ReceivingHalf::from_parts(fds, state).map(SocketReceiver::new)
    }
}

impl AsFd for SocketReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.socket().as_fd()
    }
}

//! The half that receives.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::half::{Half, ReceivingHalf};
use crate::{Inherit, Interest, Kind, Ready, Receiver, Result};

/// The receiving half of a connection.
#[derive(Debug)]
pub struct SocketReceiver {
    pub(crate) inner: ReceivingHalf,
}

impl SocketReceiver {
    pub(crate) fn new(inner: ReceivingHalf) -> Self {
        SocketReceiver { inner }
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
    ipc_core::forward_receiver!(self => self.inner);
}

impl Ready for SocketReceiver {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        match &mut self.inner {
            Half::Stream(half) => half.arm(),
            Half::Packet(half) => Ok(half.has_ended()),
        }
    }
}

impl Inherit for SocketReceiver {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        self.inner.into_parts()
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

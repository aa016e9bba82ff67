//! The half that sends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::fds::MOST;
use crate::half::{Half, SendingHalf};
use crate::{Inherit, Interest, Kind, Ready, Result, Sender, Wait};

/// The sending half of a connection.
#[derive(Debug)]
pub struct SocketSender {
    pub(crate) inner: SendingHalf,
}

impl SocketSender {
    pub(crate) fn new(inner: SendingHalf) -> Self {
        SocketSender { inner }
    }

    /// Sends `msg` and copies of up to 16 descriptors with it, to a receiver that
    /// [takes](crate::SocketOptions::fds) them.  unix(7), `SCM_RIGHTS`
    ///
    /// ```
    /// use ipc_socket::{Receiver, SocketOptions, Wait};
    /// use std::fs::File;
    /// use std::os::fd::AsFd;
    ///
    /// let (mut tx, mut rx) = SocketOptions::new().fds(1).channel()?;
    /// let file = File::open("/dev/zero").unwrap();
    /// tx.send_fds(b"a file", &[file.as_fd()], Wait::Forever)?;
    /// assert_eq!(rx.recv()?, b"a file");
    /// let file = File::from(rx.take_fds().remove(0));
    /// # assert!(file.metadata().is_ok());
    /// # Ok::<(), ipc_socket::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send_wait`](Sender::send_wait); [`Os`](crate::Error::Os) for more than 16, over TCP, between
    /// the ends of a pair that was made without the option [`fds`](crate::SocketOptions::fds), and if
    /// too many of this user's are under way (`ETOOMANYREFS`).
    pub fn send_fds(&mut self, msg: &[u8], fds: &[BorrowedFd<'_>], wait: Wait) -> Result<()> {
        let refusal = match (self.kind(), fds.len()) {
            (_, 0) => None,
            (Kind::Tcp, _) => Some("TCP carries no descriptors"),
            _ if self.inner.socket().is_without_fds() => {
                Some("the ends of this pair take no descriptors without the option `fds`")
            }
            (_, ..=MOST) => None,
            _ => Some("a message takes at most 16 descriptors with it"),
        };
        if let Some(reason) = refusal {
            let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
            return Err(self.inner.socket().error("sendmsg", error));
        }
        self.flush(wait)?; // they go with the first byte that is sent
        let outgoing = self.inner.socket().outgoing();
        outgoing.with(fds, || self.send_wait(msg, wait))
    }

    /// Sends what is left of the last message, then ends this direction: the peer receives
    /// everything, then [`Disconnected`](crate::Error::Disconnected), while its own messages still
    /// arrive here. From then on a send is `Disconnected` too.
    ///
    /// Dropping this half alone ends nothing: the halves of an endpoint share one descriptor.
    /// shutdown(2)
    ///
    /// # Errors
    ///
    /// As [`flush`](Sender::flush); then nothing has ended yet.
    pub fn shutdown(&mut self, wait: Wait) -> Result<()> {
        self.flush(wait)?;
        self.inner.socket().shutdown()
    }

    /// The kind of socket.
    pub fn kind(&self) -> Kind {
        self.inner.socket().kind()
    }

    /// The bytes that the kernel gave to the send buffer: twice what was asked for, up to twice
    /// `net.core.wmem_max`, its own bookkeeping included.  socket(7), `SO_SNDBUF`
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) if the kernel does not tell.
    pub fn send_buffer(&self) -> Result<usize> {
        self.inner.socket().send_buffer()
    }
}

impl Sender for SocketSender {
    ipc_core::forward_sender!(self => self.inner);
}

impl Ready for SocketSender {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.as_fd(), Interest::Write)
    }

    /// Room is the kernel's to tell: never ready before it says so. What has arrived at the same
    /// endpoint is taken in, since the peer may be waiting for room, too.
    fn arm(&mut self) -> Result<bool> {
        match &mut self.inner {
            Half::Stream(half) => half.arm(),
            Half::Packet(_) => Ok(false),
        }
    }
}

impl Inherit for SocketSender {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        self.inner.into_parts()
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        SendingHalf::from_parts(fds, state).map(SocketSender::new)
    }
}

impl AsFd for SocketSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.socket().as_fd()
    }
}

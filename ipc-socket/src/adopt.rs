//! Ends of connections that others made.

use std::os::fd::OwnedFd;

use crate::make::Peer;
use crate::socket::Socket;
use crate::{Error, Result, SocketDuplex, SocketOptions, SocketReceiver, SocketSender, sys};

/// A connected socket that another part of the program made, or another program handed over. Its kind
/// is what it is, whatever the options say. From now on it is closed on exec, and the kernel tells nothing
/// more with each message, should it have been asked to (`SO_PASSCRED`, `SO_PASSPIDFD` and the like).
impl SocketOptions {
    /// The endpoint over such a socket: a `UnixStream`, say, or what an inetd gave as standard input.
    ///
    /// ```
    /// use ipc_socket::{Receiver, SocketOptions};
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, mut theirs) = UnixStream::pair().unwrap();
    /// let mut ours = SocketOptions::new().endpoint(ours)?;
    /// theirs.write_all(b"\0\0\0\x05hello").unwrap(); // as a foreign program would
    /// assert_eq!(ours.recv()?, b"hello");
    /// # Ok::<(), ipc_socket::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) for anything but a connected socket of one of the
    /// [kinds](crate::Kind); [`Os`](Error::Os) when its buffers cannot be set.
    pub fn endpoint(&self, fd: impl Into<OwnedFd>) -> Result<SocketDuplex> {
        self.endpoint_over(self.adopt(fd.into())?)
    }

    /// The sender over such a socket.
    ///
    /// # Errors
    ///
    /// As [`endpoint`](SocketOptions::endpoint).
    pub fn sender(&self, fd: impl Into<OwnedFd>) -> Result<SocketSender> {
        self.sender_over(self.adopt(fd.into())?)
    }

    /// The receiver over such a socket.
    ///
    /// # Errors
    ///
    /// As [`endpoint`](SocketOptions::endpoint).
    pub fn receiver(&self, fd: impl Into<OwnedFd>) -> Result<SocketReceiver> {
        self.receiver_over(self.adopt(fd.into())?)
    }

    fn adopt(&self, fd: OwnedFd) -> Result<Socket> {
        let kind = sys::kind(&fd).filter(|_| sys::is_connected(&fd));
        let Some(kind) = kind else {
            let reason = "no connected socket: neither unix stream, nor seqpacket, nor TCP";
            return Err(Error::malformed("descriptor", reason));
        };
        let object = format!("{kind} socket that was handed over");
        sys::adopt(&fd, kind).map_err(|error| Error::os("fcntl", &*object, error))?;
        self.socket(fd, kind, Peer::Stranger, &object)
    }
}

impl TryFrom<OwnedFd> for SocketSender {
    type Error = Error;

    fn try_from(fd: OwnedFd) -> Result<Self> {
        SocketOptions::new().sender(fd)
    }
}

impl TryFrom<OwnedFd> for SocketReceiver {
    type Error = Error;

    fn try_from(fd: OwnedFd) -> Result<Self> {
        SocketOptions::new().receiver(fd)
    }
}

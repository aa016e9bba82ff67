//! A connected socket, as both halves of an endpoint hold it.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ipc_core::inherit::{Reader, Writer};
use ipc_core::stream::{Mode, Sink, Source};

use crate::fds::{Incoming, Outgoing};
use crate::peers::Slot;
use crate::{Address, Credentials, Error, Result, Wait, sys};

/// What kind of socket carries the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A unix stream: frames of a length and a body, which may be larger than any buffer.
    #[default]
    Unix,
    /// A unix seqpacket socket: every message is one packet of the kernel's, sent and received whole
    /// in one call, no longer than the send buffer.
    Seqpacket,
    /// A TCP connection: frames, as on a unix stream.
    Tcp,
}

/// `unix`, `seqpacket`, `tcp`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Unix => "unix",
            Kind::Seqpacket => "seqpacket",
            Kind::Tcp => "tcp",
        })
    }
}

/// A connected socket. The halves of an endpoint share the descriptor, so that a connection costs
/// one; `O_NONBLOCK` stays clear, since every call says for itself whether it may sleep.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    fd: Arc<OwnedFd>,
    kind: Kind,
    object: Arc<str>,
    /// Its place among the peers of a listener.
    _slot: Option<Arc<Slot>>,
    outgoing: Arc<Outgoing>,
    /// `None`: the kernel closes descriptors that come.
    incoming: Option<Arc<Incoming>>,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, kind: Kind, object: &str) -> Self {
        Socket {
            fd: Arc::new(fd),
            kind,
            object: object.into(),
            _slot: None,
            outgoing: Arc::default(),
            incoming: None,
        }
    }

    /// The same, with its place among the peers of a listener.
    pub(crate) fn at(self, slot: Slot) -> Self {
        Socket {
            _slot: Some(Arc::new(slot)),
            ..self
        }
    }

    /// The same, with descriptors taken, up to `max` a message; `unread` bytes have been read.
    pub(crate) fn taking_fds(self, max: usize, unread: u64) -> Self {
        Socket {
            incoming: Some(Arc::new(Incoming::new(max, unread))),
            ..self
        }
    }

    /// The socket that somebody handed over, and the rest of its half's state: it must be one
    /// descriptor, of the kind that the state says.
    pub(crate) fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<(Self, &[u8])> {
        let mut state = Reader::new(state);
        let (kind, object) = (state.u64()?, state.bytes()?);
        let (takes_fds, max, unread) = (state.u64()?, state.len()?, state.u64()?);
        let rest = state.bytes()?;
        state.end()?;
        let object = String::from_utf8_lossy(object);
        let foreign = |reason: &str| Error::malformed(&*object, reason);
        let [fd] = <[OwnedFd; 1]>::try_from(fds).map_err(|_| foreign("not one descriptor"))?;
        match sys::kind(&fd) {
            Some(found) if found as u64 == kind => {
                let socket = Socket::new(fd, found, &object);
                Ok(match takes_fds {
                    0 => (socket, rest),
                    _ => (socket.taking_fds(max, unread), rest),
                })
            }
            _ => Err(foreign("the descriptor handed over is no such socket")),
        }
    }

    /// What [`from_parts`](Socket::from_parts) wants, but for the half's own state at its end.
    /// `unread` bytes have been read, and are there.
    pub(crate) fn state(&self, unread: u64) -> Writer {
        let mut state = Writer::new();
        let max = self.incoming.as_ref().map(|incoming| incoming.max);
        state
            .u64(self.kind as u64)
            .bytes(self.object.as_bytes())
            .u64(max.is_some().into())
            .len(max.unwrap_or(0))
            .u64(unread);
        state
    }

    /// The descriptor, or a duplicate if the other half has it too.
    pub(crate) fn into_fd(self) -> Result<OwnedFd> {
        Arc::try_unwrap(self.fd)
            .or_else(|shared| shared.try_clone())
            .map_err(|error| Error::os("fcntl(F_DUPFD)", &*self.object, error))
    }

    /// Connects; false if `wait` was over first.
    pub(crate) fn connect(&self, address: &Address, wait: Wait) -> io::Result<bool> {
        sys::connect(&self.fd, address, wait)
    }

    /// Receives a packet, and returns its whole length even if `buf` is shorter; 0 is the end, or an
    /// empty packet.
    #[inline]
    pub(crate) fn recv_packet(&self, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        match &self.incoming {
            None => past_reset(|| sys::recv_packet(&self.fd, buf, mode)),
            Some(incoming) => self.recv_with_fds(incoming, buf, mode),
        }
    }

    /// Sends a packet, of one or two parts.
    #[inline]
    pub(crate) fn send_packet(&self, parts: &[IoSlice<'_>], mode: Mode) -> io::Result<usize> {
        self.send(parts, mode)
    }

    /// Sends up to [`sys::BATCH`] packets, and returns how many were taken.
    pub(crate) fn send_packets(&self, packets: &[&[u8]], mode: Mode) -> io::Result<usize> {
        sys::send_packets(&self.fd, packets, mode)
    }

    #[inline]
    fn send(&self, bufs: &[IoSlice<'_>], mode: Mode) -> io::Result<usize> {
        if self.outgoing.is_any() {
            let send = |fds: &[_]| sys::fds::send(&self.fd, bufs, fds, mode);
            return self.outgoing.send(send);
        }
        sys::send(&self.fd, bufs, mode)
    }

    /// Reads, and keeps what comes with the bytes; a peer that is to be dropped has ended.
    fn recv_with_fds(&self, incoming: &Incoming, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        let mut kept = true;
        let len = past_reset(|| {
            let received = sys::fds::recv(&self.fd, buf, incoming.max, self.kind, mode)?;
            let len = received.len;
            kept = incoming.keep(received);
            Ok(len)
        })?;
        Ok(if kept { len } else { 0 })
    }

    pub(crate) fn outgoing(&self) -> Arc<Outgoing> {
        self.outgoing.clone()
    }

    pub(crate) fn incoming(&self) -> Option<&Arc<Incoming>> {
        self.incoming.as_ref()
    }

    /// Ends both directions, since the peer is not to be trusted.
    pub(crate) fn hang_up(&self) {
        let _ = sys::hang_up(&self.fd);
    }

    /// Ends the sending direction.  shutdown(2)
    pub(crate) fn shutdown(&self) -> Result<()> {
        match sys::shutdown(&self.fd) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(Error::Disconnected),
            done => done.map_err(|error| self.error("shutdown", error)),
        }
    }

    /// Whether the peer will send nothing more.
    pub(crate) fn is_over(&self) -> bool {
        sys::is_over(&self.fd)
    }

    /// The address of this end of a TCP connection.
    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        sys::local(&self.fd)
    }

    /// The address of the other end of a TCP connection.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        sys::peer(&self.fd)
    }

    /// Who is at the other end of a unix socket.
    pub(crate) fn credentials(&self) -> Result<Credentials> {
        self.only_unix(sys::credentials)
            .map_err(|error| self.error("getsockopt(SO_PEERCRED)", error))
    }

    /// A pidfd of the process at the other end of a unix socket.
    pub(crate) fn pidfd(&self) -> Result<OwnedFd> {
        self.only_unix(sys::pidfd)
            .map_err(|error| self.error("getsockopt(SO_PEERPIDFD)", error))
    }

    /// Asks what TCP has no answer to: the kernel would give one that means nobody.
    fn only_unix<T>(&self, ask: impl FnOnce(&OwnedFd) -> io::Result<T>) -> io::Result<T> {
        match self.kind {
            Kind::Unix | Kind::Seqpacket => ask(&self.fd),
            Kind::Tcp => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn object(&self) -> &str {
        &self.object
    }

    pub(crate) fn send_buffer(&self) -> Result<usize> {
        sys::send_buffer(&self.fd).map_err(|error| self.error("getsockopt(SO_SNDBUF)", error))
    }

    pub(crate) fn recv_buffer(&self) -> Result<usize> {
        sys::recv_buffer(&self.fd).map_err(|error| self.error("getsockopt(SO_RCVBUF)", error))
    }

    pub(crate) fn error(&self, call: &'static str, error: io::Error) -> Error {
        Error::os(call, &*self.object, error)
    }
}

impl Source for Socket {
    #[inline]
    fn read(&self, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        match &self.incoming {
            None => past_reset(|| sys::recv(&self.fd, buf, mode)),
            Some(incoming) => self.recv_with_fds(incoming, buf, mode),
        }
    }

    fn object(&self) -> Box<str> {
        (*self.object).into()
    }
}

impl Sink for Socket {
    #[inline]
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(bufs, Mode::Now)
    }

    fn object(&self) -> Box<str> {
        (*self.object).into()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Reads, and after a reset once more: the kernel reports one once, on a seqpacket socket even
/// before what the peer had sent; whether more is there, the next read tells.
#[inline]
fn past_reset(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    match read() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => read(),
        read => read,
    }
}

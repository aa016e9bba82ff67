//! A connected socket, as both halves of an endpoint hold it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use ipc_core::inherit::{Reader, Writer};
use ipc_core::stream::{Mode, Sink, Source};

use crate::fds::{Arriving, Incoming, Outgoing};
use crate::peers::Slot;
use crate::{Address, Error, Kind, Result, Wait, sys};

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
    arriving: Arriving,
    /// Why the peer was dropped, if it was.
    dropped: Arc<OnceLock<Box<str>>>,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, kind: Kind, object: &str) -> Self {
        Socket {
            fd: Arc::new(fd),
            kind,
            object: object.into(),
            _slot: None,
            outgoing: Arc::default(),
            arriving: Arriving::Unnoticed,
            dropped: Arc::default(),
        }
    }

    /// The same, with its place among the peers of a listener.
    pub(crate) fn at(self, slot: Slot) -> Self {
        Socket {
            _slot: Some(Arc::new(slot)),
            ..self
        }
    }

    /// The same, with descriptors barred where the kernel does that.
    pub(crate) fn barring_fds(self) -> Self {
        let arriving = match self.kind {
            Kind::Unix | Kind::Seqpacket if sys::fds::bar(&self.fd).is_ok() => Arriving::Barred,
            _ => Arriving::Unnoticed,
        };
        Socket { arriving, ..self }
    }

    /// The same, with descriptors taken, up to `max` a message; `unread` bytes have been read. TCP
    /// carries none.
    pub(crate) fn taking_fds(self, max: usize, unread: u64) -> Self {
        let arriving = match max {
            _ if self.kind == Kind::Tcp => Arriving::Unnoticed,
            0 => Arriving::Refused,
            _ => Arriving::Kept(Arc::new(Incoming::new(max, unread))),
        };
        Socket { arriving, ..self }
    }

    /// The socket that somebody handed over, and the rest of its half's state: it must be one
    /// descriptor, of the kind that the state says.
    pub(crate) fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<(Self, &[u8])> {
        let mut state = Reader::new(state);
        let (kind, object) = (state.u64()?, state.bytes()?);
        let (arriving, unread) = (state.len()?, state.u64()?);
        let rest = state.bytes()?;
        state.end()?;
        let object = String::from_utf8_lossy(object);
        let foreign = |reason: &str| Error::malformed(&*object, reason);
        let [fd] = <[OwnedFd; 1]>::try_from(fds).map_err(|_| foreign("not one descriptor"))?;
        match sys::kind(&fd) {
            Some(found) if found as u64 == kind => {
                sys::adopt(&fd, found).map_err(|error| Error::os("fcntl", &*object, error))?;
                let socket = Socket::new(fd, found, &object);
                Ok(match arriving.checked_sub(1) {
                    None => (socket.barring_fds(), rest),
                    Some(max) => (socket.taking_fds(max, unread), rest),
                })
            }
            _ => Err(foreign("the descriptor handed over is no such socket")),
        }
    }

    /// What [`from_parts`](Socket::from_parts) wants, but for the half's own state at its end.
    /// `unread` bytes have been read, and are there.
    pub(crate) fn state(&self, unread: u64) -> Writer {
        let mut state = Writer::new();
        let arriving = match &self.arriving {
            Arriving::Unnoticed | Arriving::Barred => 0,
            Arriving::Refused => 1,
            Arriving::Kept(incoming) => 1 + incoming.max,
        };
        state
            .u64(self.kind as u64)
            .bytes(self.object.as_bytes())
            .len(arriving)
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

    /// Receives what is there of a stream, or a packet, and returns the whole length of that even if
    /// `buf` is shorter; 0 is the end, or an empty packet. A peer that sends descriptors that are not
    /// wanted is dropped: `InvalidData` says why.
    #[inline]
    pub(crate) fn receive(&self, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        if let Arriving::Unnoticed | Arriving::Barred = self.arriving {
            return past_reset(|| sys::recv(&self.fd, buf, self.kind, mode));
        }
        if let Some(reason) = self.dropped.get() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, &**reason));
        }
        if let Arriving::Kept(incoming) = &self.arriving {
            return self.receive_fds(incoming, buf, mode);
        }
        let receive = || sys::fds::recv_without(&self.fd, buf, self.kind, mode);
        let (len, is_truncated) = past_reset(receive)?;
        if is_truncated {
            let reason = "the peer sent descriptors, which only the option `fds` lets it";
            return Err(self.drop_peer(reason.into()));
        }
        Ok(len)
    }

    /// Receives, and keeps the descriptors that come with it.
    fn receive_fds(&self, incoming: &Incoming, buf: &mut [u8], mode: Mode) -> io::Result<usize> {
        let received = past_reset(|| sys::fds::recv(&self.fd, buf, incoming.max, self.kind, mode))?;
        let len = received.len;
        match incoming.keep(received) {
            Ok(()) => Ok(len),
            Err(reason) => Err(self.drop_peer(reason)),
        }
    }

    /// Ends both directions, since the peer is not to be trusted, and remembers why.
    #[cold]
    pub(crate) fn drop_peer(&self, reason: String) -> io::Error {
        let _ = sys::hang_up(&self.fd);
        let reason = self.dropped.get_or_init(|| reason.into());
        io::Error::new(io::ErrorKind::InvalidData, &**reason)
    }

    /// Says why the peer was dropped, if it was.
    pub(crate) fn check_peer(&self) -> Result<()> {
        let dropped = self.dropped.get();
        dropped.map_or(Ok(()), |reason| {
            Err(Error::malformed(self.object(), reason.clone()))
        })
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

    pub(crate) fn outgoing(&self) -> Arc<Outgoing> {
        self.outgoing.clone()
    }

    pub(crate) fn incoming(&self) -> Option<&Arc<Incoming>> {
        match &self.arriving {
            Arriving::Kept(incoming) => Some(incoming),
            Arriving::Unnoticed | Arriving::Barred | Arriving::Refused => None,
        }
    }

    /// Whether this is an end of a pair that takes no descriptors: nor does the other.
    pub(crate) fn is_without_fds(&self) -> bool {
        matches!(self.arriving, Arriving::Unnoticed | Arriving::Barred)
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
        self.receive(buf, mode)
    }

    /// A unix socket's read ends early at descriptors, but here they cannot come, or end the stream;
    /// and at `MSG_OOB`, by which a stranger has his own frames noticed late, with what comes next.
    fn short_read_drains(&self) -> bool {
        self.kind == Kind::Unix && matches!(self.arriving, Arriving::Barred | Arriving::Refused)
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
fn past_reset<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match read() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => read(),
        read => read,
    }
}

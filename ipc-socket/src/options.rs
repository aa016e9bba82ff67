//! How sockets are made.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_core::frame::{DEFAULT_MAX_LEN, HEADER_LEN};
use ipc_core::stream::{FramedReceiver, FramedSender};

use crate::half::Half;
use crate::packet::{self, PacketReceiver, PacketSender};
use crate::socket::Socket;
use crate::{
    Address, Duplex, Error, Kind, Listener, Result, SocketDuplex, SocketReceiver, SocketSender,
    Spin, Wait, connect, sys,
};

/// How sockets are made.
///
/// ```
/// use ipc_socket::{Kind, Sender, SocketOptions, Spin};
///
/// let (mut tx, rx) = SocketOptions::new()
///     .kind(Kind::Seqpacket)
///     .max_len(1 << 20)
///     .spin(Spin::Never)
///     .channel()?;
/// assert_eq!(rx.max_len(), 1 << 20);
/// assert!(tx.send_buffer()? > 1 << 20);
/// # Ok::<(), ipc_socket::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SocketOptions {
    kind: Kind,
    max_len: Option<usize>,
    spin: Spin,
    send_buffer: Option<usize>,
    recv_buffer: Option<usize>,
    pub(crate) header_deadline: Option<Duration>,
    pub(crate) max_peers: usize,
    fds: Option<usize>,
}

/// Who has the other end.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// Whoever made this one.
    Own,
    Stranger,
}

impl SocketOptions {
    /// Unix streams, the kernel's buffers, messages of up to 16 MiB (seqpacket: what the send buffer
    /// takes), adaptive waiting.
    pub fn new() -> Self {
        SocketOptions {
            kind: Kind::default(),
            max_len: None,
            spin: Spin::default(),
            send_buffer: None,
            recv_buffer: None,
            header_deadline: None,
            max_peers: usize::MAX,
            fds: None,
        }
    }

    /// The kind of socket. With a TCP address [`Kind::Unix`], the default, means TCP.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The longest message in bytes; on streams at most 4 GiB - 1, which is what a frame's header
    /// can say. A seqpacket socket asks for a send buffer that takes such a packet, and gets it up
    /// to twice `net.core.wmem_max`, and 4 MiB; [`max_len`](crate::Sender::max_len) tells.
    ///
    /// Give the same to both ends.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = Some(bytes);
        self
    }

    /// How the ends poll before they sleep.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// Asks for a send buffer for `bytes`. The kernel doubles this for its bookkeeping and caps it
    /// at `net.core.wmem_max`; [`SocketSender::send_buffer`] tells what it gave.  socket(7),
    /// `SO_SNDBUF`
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Asks for a receive buffer for `bytes`, capped at `net.core.rmem_max`. Only TCP has one: what
    /// is under way on a unix socket counts against the sender.  socket(7), `SO_RCVBUF`
    pub fn recv_buffer(mut self, bytes: usize) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// How many descriptors a message may bring, at most 16; [`SocketReceiver::take_fds`] takes them.
    /// A peer that sends more, or some in the middle of a message, is dropped: all are closed, and
    /// receiving is [`Malformed`](Error::Malformed). So it is if this process has no room for them.
    ///
    /// None by default. Between the ends of a [`pair`](SocketOptions::pair) or a
    /// [`channel`](SocketOptions::channel), which trust each other, the kernel then closes what
    /// comes, unnoticed; to notice costs 90 ns a receive. TCP carries none.
    pub fn fds(mut self, max: usize) -> Self {
        self.fds = Some(max);
        self
    }

    /// How long a peer that a [`Listener`] accepts may take to begin: the 4-byte header of its first
    /// frame must be whole within `limit` of [`accept`](Listener::accept), and that of any other
    /// within `limit` of its first byte. Else receiving is [`Malformed`](Error::Malformed), and the
    /// connection is to be dropped. Later silence is no fault, nor is a slow body: its memory grows as
    /// it arrives. Packets arrive whole, and have no such deadline. Without it, the default, only the
    /// waits of a receive count.
    ///
    /// A receive watches it, and so do `Select`, which then finds such a peer ready, and `Async`,
    /// whose runtime needs `enable_time` for it. A half that is [handed on](crate::Inherit) takes it
    /// along.
    pub fn header_deadline(mut self, limit: Duration) -> Self {
        self.header_deadline = Some(limit);
        self
    }

    /// The most connections that a [`Listener`] has at a time, those of this process that it has
    /// accepted and that are not yet dropped. Those beyond are accepted and closed at once: they find
    /// themselves [`Disconnected`](Error::Disconnected), and may try again. Without a limit by
    /// default; the descriptors are one.
    pub fn max_peers(mut self, count: usize) -> Self {
        self.max_peers = count;
        self
    }

    /// Two connected sockets used one way: what goes in at the sender comes out at the receiver.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when the process or the system has no descriptors left.
    pub fn channel(&self) -> Result<(SocketSender, SocketReceiver)> {
        let (sender, receiver) = self.sockets()?;
        Ok((self.sender(sender)?, self.receiver(receiver)?))
    }

    /// Two equal, connected endpoints. A TCP pair is made over the loopback address, and is
    /// connected to nobody else.
    ///
    /// # Errors
    ///
    /// As [`channel`](SocketOptions::channel).
    pub fn pair(&self) -> Result<(SocketDuplex, SocketDuplex)> {
        let (ours, theirs) = self.sockets()?;
        Ok((self.endpoint(ours)?, self.endpoint(theirs)?))
    }

    /// Listens at `address`. A path's file is made with mode 0600, and removed when the listener is
    /// dropped by the process that made it. One that a killed server has left there is taken over.
    ///
    /// Starts at one path take turns, by a lock on `<path>.lock`: one of them wins.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when the address is taken, or cannot be had; the message says what to do.
    pub fn listen(&self, address: impl Into<Address>) -> Result<Listener> {
        Listener::bind(self.clone(), address.into())
    }

    /// Connects to the listener at `address`, waiting for room in its queue as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`connect_wait`](SocketOptions::connect_wait).
    pub fn connect(&self, address: impl Into<Address>) -> Result<SocketDuplex> {
        self.connect_wait(address, Wait::Forever)
    }

    /// Connects to the listener at `address`, waiting for a tick of the kernel's at most.
    ///
    /// # Errors
    ///
    /// As [`connect_wait`](SocketOptions::connect_wait).
    pub fn try_connect(&self, address: impl Into<Address>) -> Result<SocketDuplex> {
        self.connect_wait(address, Wait::Never)
    }

    /// Connects to the listener at `address` within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`connect_wait`](SocketOptions::connect_wait).
    pub fn connect_timeout(
        &self,
        address: impl Into<Address>,
        timeout: Duration,
    ) -> Result<SocketDuplex> {
        self.connect_wait(address, timeout.into())
    }

    /// Connects to the listener at `address`, which must be there already; `wait` is for its queue
    /// to have room, and for the network.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when nobody listens there; [`TimedOut`](Error::TimedOut) or
    /// [`WouldBlock`](Error::WouldBlock) when the wait is over.
    pub fn connect_wait(&self, address: impl Into<Address>, wait: Wait) -> Result<SocketDuplex> {
        self.endpoint(connect::connect(self, &address.into(), wait)?)
    }

    /// Two connected sockets.
    fn sockets(&self) -> Result<(Socket, Socket)> {
        if self.kind == Kind::Tcp {
            return connect::loopback(self);
        }
        let object = format!("{} socket pair", self.kind);
        let (ours, theirs) =
            sys::pair(self.kind).map_err(|error| Error::os("socketpair", &*object, error))?;
        let socket = |fd| self.socket(fd, self.kind, Peer::Own, &object);
        Ok((socket(ours)?, socket(theirs)?))
    }

    /// The kind of socket for `address`.
    pub(crate) fn kind_for(&self, address: &Address) -> Result<Kind> {
        match (self.kind, address) {
            (Kind::Unix | Kind::Tcp, Address::Tcp(_)) => Ok(Kind::Tcp),
            (Kind::Unix | Kind::Seqpacket, Address::Path(_) | Address::Abstract(_)) => {
                Ok(self.kind)
            }
            (kind, address) => {
                let error = std::io::Error::new(
                    std::io::ErrorKind::InvalidInput,
                    "the kind and the address do not go together",
                );
                Err(Error::os(
                    "socket",
                    format!("{kind} socket {address}"),
                    error,
                ))
            }
        }
    }

    /// Takes `fd` as a socket, with what these options say set.
    pub(crate) fn socket(
        &self,
        fd: OwnedFd,
        kind: Kind,
        peer: Peer,
        object: &str,
    ) -> Result<Socket> {
        let os = |call| move |error| Error::os(call, object, error);
        if let Some(bytes) = self.send_buffer {
            sys::set_send_buffer(&fd, bytes).map_err(os("setsockopt(SO_SNDBUF)"))?;
        }
        if let (Kind::Seqpacket, Some(max_len)) = (kind, self.max_len) {
            let needed = packet::buffer_for(max_len.saturating_add(HEADER_LEN));
            if sys::send_buffer(&fd).map_err(os("getsockopt(SO_SNDBUF)"))? < needed {
                sys::set_send_buffer(&fd, needed.div_ceil(2))
                    .map_err(os("setsockopt(SO_SNDBUF)"))?;
            }
        }
        if let Some(bytes) = self.recv_buffer {
            sys::set_recv_buffer(&fd, bytes).map_err(os("setsockopt(SO_RCVBUF)"))?;
        }
        if kind == Kind::Tcp {
            sys::set_nodelay(&fd).map_err(os("setsockopt(TCP_NODELAY)"))?;
        }
        let socket = Socket::new(fd, kind, object);
        Ok(match (self.fds, peer) {
            (Some(max), _) => socket.taking_fds(max, 0),
            (None, Peer::Stranger) => socket.taking_fds(0, 0),
            (None, Peer::Own) => socket,
        })
    }

    /// The two halves over one connected socket.
    pub(crate) fn endpoint(&self, socket: Socket) -> Result<SocketDuplex> {
        let (sender, receiver) = (self.sender(socket.clone())?, self.receiver(socket)?);
        Ok(Duplex::new(sender, receiver))
    }

    fn sender(&self, socket: Socket) -> Result<SocketSender> {
        Ok(SocketSender::new(match socket.kind() {
            Kind::Unix | Kind::Tcp => {
                Half::Stream(FramedSender::new(socket, self.stream_max_len(), self.spin))
            }
            Kind::Seqpacket => Half::Packet(PacketSender::new(socket, self.max_len, self.spin)?),
        }))
    }

    fn receiver(&self, socket: Socket) -> Result<SocketReceiver> {
        Ok(SocketReceiver::new(match socket.kind() {
            Kind::Unix | Kind::Tcp => Half::Stream(FramedReceiver::new(
                socket,
                self.stream_max_len(),
                self.spin,
            )),
            Kind::Seqpacket => Half::Packet(PacketReceiver::new(socket, self.max_len, self.spin)?),
        }))
    }

    fn stream_max_len(&self) -> usize {
        self.max_len.unwrap_or(DEFAULT_MAX_LEN)
    }
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions::new()
    }
}

//! How sockets are made.

use std::time::Duration;

use crate::{
    Address, Kind, Listener, Result, SocketDuplex, SocketReceiver, SocketSender, Spin, Wait,
    connect,
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
    pub(crate) kind: Kind,
    pub(crate) max_len: Option<usize>,
    pub(crate) spin: Spin,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) recv_buffer: Option<usize>,
    pub(crate) header_deadline: Option<Duration>,
    pub(crate) max_peers: usize,
    pub(crate) fds: Option<usize>,
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
    /// receiving is [`Malformed`](crate::Error::Malformed). So it is if this process has no room for them.
    ///
    /// None by default. Between the ends of a [`pair`](SocketOptions::pair) or a
    /// [`channel`](SocketOptions::channel), none can then be sent: from Linux 6.16 the kernel bars them
    /// (`SO_PASSRIGHTS`), before it closes what other programs send there, unnoticed. TCP carries none.
    pub fn fds(mut self, max: usize) -> Self {
        self.fds = Some(max);
        self
    }

    /// How long a peer that a [`Listener`] accepts may take to begin: the 4-byte header of its first
    /// frame must be whole within `limit` of [`accept`](Listener::accept), and that of any other
    /// within `limit` of its first byte. Else receiving is [`Malformed`](crate::Error::Malformed), and the
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
    /// themselves [`Disconnected`](crate::Error::Disconnected), and may try again. Without a limit by
    /// default; the descriptors are one.
    pub fn max_peers(mut self, count: usize) -> Self {
        self.max_peers = count;
        self
    }

    /// Two connected sockets used one way: what goes in at the sender comes out at the receiver.
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) when the process or the system has no descriptors left.
    pub fn channel(&self) -> Result<(SocketSender, SocketReceiver)> {
        let (sender, receiver) = self.sockets()?;
        Ok((self.sender_over(sender)?, self.receiver_over(receiver)?))
    }

    /// Two equal, connected endpoints. A TCP pair is made over the loopback address, and is
    /// connected to nobody else.
    ///
    /// # Errors
    ///
    /// As [`channel`](SocketOptions::channel).
    pub fn pair(&self) -> Result<(SocketDuplex, SocketDuplex)> {
        let (ours, theirs) = self.sockets()?;
        Ok((self.endpoint_over(ours)?, self.endpoint_over(theirs)?))
    }

    /// Listens at `address`. A path's file is made with mode 0600, and removed when the listener is
    /// dropped by the process that made it. One that a killed server has left there is taken over.
    ///
    /// Starts at one path take turns, by a lock on `<path>.lock`: one of them wins.
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) when the address is taken, or cannot be had; the message says what to do.
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
    /// [`Os`](crate::Error::Os) when nobody listens there; [`TimedOut`](crate::Error::TimedOut) or
    /// [`WouldBlock`](crate::Error::WouldBlock) when the wait is over.
    pub fn connect_wait(&self, address: impl Into<Address>, wait: Wait) -> Result<SocketDuplex> {
        self.endpoint_over(connect::connect(self, &address.into(), wait)?)
    }
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions::new()
    }
}

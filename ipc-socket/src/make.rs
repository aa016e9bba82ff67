//! What options make: sockets, and halves over them.

use std::io;
use std::os::fd::OwnedFd;

use ipc_core::frame::{DEFAULT_MAX_LEN, HEADER_LEN};
use ipc_core::stream::{FramedReceiver, FramedSender};

use crate::half::Half;
use crate::packet::{self, PacketReceiver, PacketSender};
use crate::socket::Socket;
use crate::{
    Address, Duplex, Error, Kind, Result, SocketDuplex, SocketOptions, SocketReceiver,
    SocketSender, connect, sys,
};

/// Who has the other end.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// Whoever made this one.
    Own,
    Stranger,
}

impl SocketOptions {
    /// Two connected sockets.
    pub(crate) fn sockets(&self) -> Result<(Socket, Socket)> {
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
                let error = io::Error::new(
                    io::ErrorKind::InvalidInput,
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
            (None, Peer::Own) => socket.barring_fds(),
        })
    }

    /// The two halves over one connected socket.
    pub(crate) fn endpoint_over(&self, socket: Socket) -> Result<SocketDuplex> {
        let (sender, receiver) = (
            self.sender_over(socket.clone())?,
            self.receiver_over(socket)?,
        );
        Ok(Duplex::new(sender, receiver))
    }

    pub(crate) fn sender_over(&self, socket: Socket) -> Result<SocketSender> {
        Ok(SocketSender::new(match socket.kind() {
            Kind::Unix | Kind::Tcp => {
                Half::Stream(FramedSender::new(socket, self.stream_max_len(), self.spin))
            }
            Kind::Seqpacket => Half::Packet(PacketSender::new(socket, self.max_len, self.spin)?),
        }))
    }

    pub(crate) fn receiver_over(&self, socket: Socket) -> Result<SocketReceiver> {
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

//! A half of either kind: frames on a byte stream, or one per packet.
#![deny(clippy::missing_trait_methods)]

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_core::stream::{FramedReceiver, FramedSender, Linkable};

use crate::packet::{PacketReceiver, PacketSender};
use crate::socket::Socket;
use crate::{Kind, Receiver, Result, Sender, Wait};

/// A half on a stream, or one on packets.
#[derive(Debug)]
pub(crate) enum Half<S, P> {
    Stream(S),
    Packet(P),
}

pub(crate) type SendingHalf = Half<FramedSender<Socket>, PacketSender>;
pub(crate) type ReceivingHalf = Half<FramedReceiver<Socket>, PacketReceiver>;

/// The same expression for either.
macro_rules! either {
    ($self:ident, $half:ident => $do:expr) => {
        match $self {
            Half::Stream($half) => $do,
            Half::Packet($half) => $do,
        }
    };
}

impl SendingHalf {
    pub(crate) fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let (socket, state) = Socket::from_parts(fds, state)?;
        Ok(match socket.kind() {
            Kind::Unix | Kind::Tcp => Half::Stream(FramedSender::from_parts(socket, state)?),
            Kind::Seqpacket => Half::Packet(PacketSender::from_parts(socket, state)?),
        })
    }

    pub(crate) fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let mut state = self.socket().state(0);
        let (fd, own) = either!(self, half => half.into_parts()?);
        state.bytes(&own);
        Ok((vec![fd], state.finish()))
    }

    pub(crate) fn socket(&self) -> &Socket {
        either!(self, half => half.io())
    }
}

impl ReceivingHalf {
    pub(crate) fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let (socket, state) = Socket::from_parts(fds, state)?;
        Ok(match socket.kind() {
            Kind::Unix | Kind::Tcp => Half::Stream(FramedReceiver::from_parts(socket, state)?),
            Kind::Seqpacket => Half::Packet(PacketReceiver::from_parts(socket, state)?),
        })
    }

    pub(crate) fn into_parts(self, unread: u64) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        self.socket().check_peer()?;
        let mut state = self.socket().state(unread);
        let (fd, own) = either!(self, half => half.into_parts()?);
        state.bytes(&own);
        Ok((vec![fd], state.finish()))
    }

    pub(crate) fn socket(&self) -> &Socket {
        either!(self, half => half.io())
    }

    pub(crate) fn max_len(&self) -> usize {
        either!(self, half => half.max_len())
    }
}

impl<S: Sender, P: Sender> Sender for Half<S, P> {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        either!(self, half => half.send_wait(msg, wait))
    }

    fn max_len(&self) -> usize {
        either!(self, half => half.max_len())
    }

    #[inline]
    fn send(&mut self, msg: &[u8]) -> Result<()> {
        either!(self, half => half.send(msg))
    }

    #[inline]
    fn try_send(&mut self, msg: &[u8]) -> Result<()> {
        either!(self, half => half.try_send(msg))
    }

    #[inline]
    fn send_timeout(&mut self, msg: &[u8], timeout: Duration) -> Result<()> {
        either!(self, half => half.send_timeout(msg, timeout))
    }

    fn send_many(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        either!(self, half => half.send_many(msgs, wait))
    }

    fn flush(&mut self, wait: Wait) -> Result<()> {
        either!(self, half => half.flush(wait))
    }

    fn pending(&self) -> Option<BorrowedFd<'_>> {
        either!(self, half => half.pending())
    }

    fn link(&mut self, receiver: &mut dyn Receiver) {
        either!(self, half => half.link(receiver));
    }

    fn unlink(&mut self) {
        either!(self, half => half.unlink());
    }
}

impl<S: Receiver, P: Receiver> Receiver for Half<S, P> {
    #[inline]
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        either!(self, half => half.recv_wait(wait))
    }

    #[inline]
    fn message(&self) -> &[u8] {
        either!(self, half => half.message())
    }

    #[inline]
    fn recv(&mut self) -> Result<&[u8]> {
        either!(self, half => half.recv())
    }

    #[inline]
    fn try_recv(&mut self) -> Result<&[u8]> {
        either!(self, half => half.try_recv())
    }

    #[inline]
    fn recv_timeout(&mut self, timeout: Duration) -> Result<&[u8]> {
        either!(self, half => half.recv_timeout(timeout))
    }

    fn recv_many(&mut self, max: usize, wait: Wait, each: &mut dyn FnMut(&[u8])) -> Result<usize> {
        either!(self, half => half.recv_many(max, wait, each))
    }

    fn linkable(&mut self) -> Option<Linkable<'_>> {
        either!(self, half => half.linkable())
    }
}

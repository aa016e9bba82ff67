//! The half that receives packets.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

use ipc_core::frame::{self, HEADER_LEN};
use ipc_core::inherit::{Reader, Writer};
use ipc_core::spin::{Look, Poller};
use ipc_core::stream::Mode;

use super::{LARGEST, longest, uninterrupted, wait_for};
use crate::socket::Socket;
use crate::{Error, Interest, Receiver, Result, Spin, Wait};

/// A receiver of messages as packets.
pub(crate) struct PacketReceiver {
    socket: Socket,
    packet: Packet,
    poller: Poller,
}

impl PacketReceiver {
    /// A receiver of messages of up to `max_len` bytes, or as many as a send buffer like its own
    /// takes.
    pub(crate) fn new(socket: Socket, max_len: Option<usize>, spin: Spin) -> Result<Self> {
        let max_len = match max_len {
            Some(asked) => asked.min(LARGEST - HEADER_LEN),
            None => longest(socket.send_buffer()?).saturating_sub(HEADER_LEN),
        };
        Ok(PacketReceiver {
            socket,
            packet: Packet {
                // Fresh zeroes are no memory before they are written to.
                bytes: vec![0; HEADER_LEN + max_len].into(),
                message: 0..0,
                end: None,
            },
            poller: Poller::new(spin, Look::Call),
        })
    }

    pub(crate) fn from_parts(socket: Socket, state: &[u8]) -> Result<Self> {
        let mut state = Reader::new(state);
        let (max_len, spin) = (state.len()?, state.spin()?);
        state.end()?;
        PacketReceiver::new(socket, Some(max_len), spin)
    }

    pub(crate) fn into_parts(self) -> Result<(OwnedFd, Vec<u8>)> {
        let mut state = Writer::new();
        state.len(self.max_len()).spin(self.poller.spin());
        Ok((self.socket.into_fd()?, state.finish()))
    }

    pub(crate) fn io(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn max_len(&self) -> usize {
        self.packet.bytes.len() - HEADER_LEN
    }

    /// Whether the next receive needs no packet: it will say why none comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.packet.end.is_some()
    }
}

impl Receiver for PacketReceiver {
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        let (socket, packet) = (&self.socket, &mut self.packet);
        self.poller.expect_len(packet.message.len());
        packet.message = 0..0;
        packet.check_end(socket)?;
        if wait != Wait::Never {
            self.poller.yield_first();
        }
        wait_for(&mut self.poller, socket, Interest::Read, wait, |mode| {
            packet.receive(socket, mode)
        })
    }

    fn message(&self) -> &[u8] {
        &self.packet.bytes[self.packet.message.clone()]
    }
}

impl fmt::Debug for PacketReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketReceiver")
            .field("object", &self.socket.object())
            .field("max_len", &self.max_len())
            .field("end", &self.packet.end)
            .finish_non_exhaustive()
    }
}

/// Why nothing more comes.
#[derive(Clone, Debug)]
enum End {
    Disconnected,
    Malformed(Box<str>),
}

/// The packet at hand.
struct Packet {
    bytes: Box<[u8]>,
    message: Range<usize>,
    end: Option<End>,
}

impl Packet {
    /// Takes the next packet; `None` if there is none.
    #[inline]
    fn receive(&mut self, socket: &Socket, mode: Mode) -> Result<Option<()>> {
        let len = match uninterrupted(|| socket.receive(&mut self.bytes, mode)) {
            Ok(Some(len)) => len,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.end = Some(End::Malformed(error.to_string().into()));
                return self.check_end(socket).map(|()| None);
            }
            Err(error) => return Err(socket.error("recvmsg", error)),
        };
        let header = self.bytes.first_chunk().copied().unwrap_or_default();
        if len < HEADER_LEN || len > self.bytes.len() || header != frame::header(len - HEADER_LEN) {
            self.end = Some(self.no_message(socket, len));
            self.check_end(socket)?;
        }
        self.message = HEADER_LEN..len;
        Ok(Some(()))
    }

    /// What a packet of `len` bytes is that is no message: the end, for one.
    #[cold]
    fn no_message(&self, socket: &Socket, len: usize) -> End {
        let max = self.bytes.len() - HEADER_LEN;
        End::Malformed(match len {
            0 if socket.is_over() => return End::Disconnected,
            0..HEADER_LEN => format!("a packet of {len} bytes has no header").into(),
            _ if len - HEADER_LEN > max => format!(
                "a packet brings a message of {} bytes, max_len is {max}: \
                 give both ends the same max_len and send buffer",
                len - HEADER_LEN
            )
            .into(),
            _ => format!("a packet of {len} bytes has another length in its header").into(),
        })
    }

    fn check_end(&self, socket: &Socket) -> Result<()> {
        match &self.end {
            None => Ok(()),
            Some(End::Disconnected) => Err(Error::Disconnected),
            Some(End::Malformed(reason)) => Err(Error::malformed(socket.object(), reason.clone())),
        }
    }
}

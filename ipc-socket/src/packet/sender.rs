//! The half that sends packets.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use ipc_core::frame::{self, HEADER_LEN};
use ipc_core::inherit::{Reader, Writer};
use ipc_core::spin::{Look, Poller};

use super::{longest, uninterrupted, wait_for};
use crate::socket::Socket;
use crate::{Error, Interest, Result, Sender, Spin, Wait, sys};

/// Packets up to this length are copied to one place first: two parts cost the kernel more.
const CONTIGUOUS: usize = 4096;

/// A sender of messages as packets. They are atomic: it never has a tail.
pub(crate) struct PacketSender {
    socket: Socket,
    /// Packets on their way to one call.
    out: Vec<u8>,
    max_len: usize,
    /// What `max_len` comes from.
    limit: &'static str,
    poller: Poller,
}

impl PacketSender {
    /// A sender of messages of up to `max_len` bytes, or as many as the send buffer takes.
    pub(crate) fn new(socket: Socket, max_len: Option<usize>, spin: Spin) -> Result<Self> {
        let carried = longest(socket.send_buffer()?).saturating_sub(HEADER_LEN);
        let (max_len, limit) = match max_len {
            Some(asked) if asked <= carried => (asked, "max_len"),
            _ => (carried, "SO_SNDBUF"),
        };
        Ok(PacketSender {
            socket,
            out: Vec::new(),
            max_len,
            limit,
            poller: Poller::new(spin, Look::Call),
        })
    }

    pub(crate) fn from_parts(socket: Socket, state: &[u8]) -> Result<Self> {
        let mut state = Reader::new(state);
        let (max_len, spin) = (state.len()?, state.spin()?);
        state.end()?;
        PacketSender::new(socket, Some(max_len), spin)
    }

    pub(crate) fn into_parts(self) -> Result<(OwnedFd, Vec<u8>)> {
        let mut state = Writer::new();
        state.len(self.max_len).spin(self.poller.spin());
        Ok((self.socket.into_fd()?, state.finish()))
    }

    pub(crate) fn io(&self) -> &Socket {
        &self.socket
    }

    fn too_large(&self, len: usize) -> Error {
        Error::TooLarge {
            len,
            max: self.max_len,
            limit: self.limit,
        }
    }

    /// Sends the first of `msgs`, as many as one call takes, and returns how many were accepted.
    fn send_batch(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        let small =
            |msg: &&&[u8]| msg.len() <= self.max_len && HEADER_LEN + msg.len() <= CONTIGUOUS;
        let count = msgs.iter().take(sys::BATCH).take_while(small).count();
        if count < 2 {
            return self.send_wait(msgs[0], wait).map(|()| 1);
        }
        self.out.clear();
        for msg in &msgs[..count] {
            self.out.extend_from_slice(&frame::header(msg.len()));
            self.out.extend_from_slice(msg);
        }
        let (mut packets, mut rest) = ([&[][..]; sys::BATCH], &self.out[..]);
        for (packet, msg) in packets.iter_mut().zip(&msgs[..count]) {
            (*packet, rest) = rest.split_at(HEADER_LEN + msg.len());
        }
        let socket = &self.socket;
        wait_for(&mut self.poller, socket, Interest::Write, wait, |mode| {
            uninterrupted(|| socket.send_packets(&packets[..count], mode))
                .map_err(|error| failed(socket, "sendmmsg", error))
        })
    }
}

impl Sender for PacketSender {
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() > self.max_len {
            return Err(self.too_large(msg.len()));
        }
        let header = frame::header(msg.len());
        let (two, one);
        let parts: &[IoSlice<'_>] = if HEADER_LEN + msg.len() <= CONTIGUOUS {
            self.out.clear();
            self.out.extend_from_slice(&header);
            self.out.extend_from_slice(msg);
            one = [IoSlice::new(&self.out)];
            &one
        } else {
            two = [IoSlice::new(&header), IoSlice::new(msg)];
            &two
        };
        let socket = &self.socket;
        self.poller.expect_len(msg.len());
        wait_for(&mut self.poller, socket, Interest::Write, wait, |mode| {
            let sent = uninterrupted(|| socket.send_packet(parts, mode));
            Ok(sent
                .map_err(|error| failed(socket, "sendmsg", error))?
                .map(drop))
        })
    }

    fn max_len(&self) -> usize {
        self.max_len
    }

    fn send_many(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        let mut accepted = 0;
        while accepted < msgs.len() {
            match self.send_batch(&msgs[accepted..], wait) {
                Ok(more) => accepted += more,
                Err(error) if accepted == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(accepted)
    }
}

impl fmt::Debug for PacketSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketSender")
            .field("object", &self.socket.object())
            .field("max_len", &self.max_len)
            .finish_non_exhaustive()
    }
}

#[cold]
fn failed(socket: &Socket, call: &'static str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Disconnected,
        _ => socket.error(call, error),
    }
}

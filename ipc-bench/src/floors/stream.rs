//! Pipe, FIFO and sockets by bare calls: one to send and one to receive a message, more only where
//! the kernel takes or gives a part.

use std::fs::OpenOptions;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use ipc_core::{Error, Receiver, Sender, Wait};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, getsockopt, recv, send, socketpair, sockopt,
};
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, pipe2, read, write};

use crate::Result;
use crate::cells::{BytesPair, Ends, Pair};
use crate::plan::Cell;

pub(crate) fn pipe(cell: &Cell) -> Result<Box<dyn Ends>> {
    let pipe = || pipe2(OFlag::O_CLOEXEC);
    let ((there_rx, there_tx), (back_rx, back_tx)) = (pipe()?, pipe()?);
    ends(cell, Calls::File, (there_tx, there_rx), (back_tx, back_rx))
}

pub(crate) fn fifo(cell: &Cell) -> Result<Box<dyn Ends>> {
    let dir = tempfile::Builder::new().prefix("ipc-bench-").tempdir()?;
    let open = |name| -> Result<_> {
        let path = dir.path().join(name);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // The reader first and without waiting, or each would wait for the other.
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)?;
        let writer = OpenOptions::new().write(true).open(&path)?;
        Ok((OwnedFd::from(writer), OwnedFd::from(reader)))
    };
    ends(cell, Calls::File, open("there")?, open("back")?)
}

pub(crate) fn unix(cell: &Cell) -> Result<Box<dyn Ends>> {
    local(cell, SockType::Stream)
}

pub(crate) fn seqpacket(cell: &Cell) -> Result<Box<dyn Ends>> {
    local(cell, SockType::SeqPacket)
}

fn local(cell: &Cell, kind: SockType) -> Result<Box<dyn Ends>> {
    let (driver, peer) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
    let calls = if kind == SockType::SeqPacket {
        // Less what the kernel keeps for itself.  net/unix/af_unix.c
        let max = getsockopt(&driver, sockopt::SndBuf)?.saturating_sub(32);
        Calls::Packet { max }
    } else {
        Calls::Socket
    };
    sockets(cell, calls, driver, peer)
}

pub(crate) fn tcp(cell: &Cell) -> Result<Box<dyn Ends>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let driver = TcpStream::connect(listener.local_addr()?)?;
    let (peer, _) = listener.accept()?;
    driver.set_nodelay(true)?;
    peer.set_nodelay(true)?;
    sockets(cell, Calls::Socket, driver.into(), peer.into())
}

fn sockets(cell: &Cell, calls: Calls, driver: OwnedFd, peer: OwnedFd) -> Result<Box<dyn Ends>> {
    let there = (driver.try_clone()?, peer.try_clone()?);
    ends(cell, calls, there, (peer, driver))
}

/// Two channels, each a descriptor to send by and one to receive by.
fn ends(
    cell: &Cell,
    calls: Calls,
    there: (OwnedFd, OwnedFd),
    back: (OwnedFd, OwnedFd),
) -> Result<Box<dyn Ends>> {
    let channel = |(tx, rx): (OwnedFd, OwnedFd)| -> Result<_> {
        for fd in [&tx, &rx] {
            let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
            flags.set(OFlag::O_NONBLOCK, cell.polls());
            fcntl(fd, FcntlArg::F_SETFL(flags))?;
        }
        let receiver = RawReceiver {
            fd: rx,
            calls,
            message: vec![0; cell.size],
            batch: Vec::new(),
            part: 0,
        };
        Ok((RawSender { fd: tx, calls }, receiver))
    };
    let pair = Pair::of_channels(channel(there)?, channel(back)?);
    Ok(Box::new(BytesPair(pair)))
}

/// Which calls there are.
#[derive(Clone, Copy, Debug)]
enum Calls {
    /// write(2), read(2)
    File,
    /// send(2), recv(2)
    Socket,
    /// The same, a message to a packet, of `max` bytes at most.
    Packet { max: usize },
}

impl Calls {
    /// Reads what is there.
    #[inline]
    fn read(self, fd: &OwnedFd, buf: &mut [u8]) -> ipc_core::Result<usize> {
        let result = match self {
            Calls::File => read(fd, buf),
            Calls::Socket | Calls::Packet { .. } => recv(fd.as_raw_fd(), buf, MsgFlags::empty()),
        };
        if result == Ok(0) {
            return Err(Error::Disconnected);
        }
        again(result, "read")
    }
}

#[derive(Debug)]
struct RawSender {
    fd: OwnedFd,
    calls: Calls,
}

impl Sender for RawSender {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], _: Wait) -> ipc_core::Result<()> {
        let mut sent = 0;
        while sent < msg.len() {
            let rest = &msg[sent..];
            let result = match self.calls {
                Calls::File => write(&self.fd, rest),
                Calls::Packet { max } if msg.len() > max => {
                    let (len, limit) = (msg.len(), "SO_SNDBUF");
                    return Err(Error::TooLarge { len, max, limit });
                }
                Calls::Socket | Calls::Packet { .. } => {
                    send(self.fd.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL)
                }
            };
            sent += again(result, "write")?;
        }
        Ok(())
    }

    fn max_len(&self) -> usize {
        match self.calls {
            Calls::File | Calls::Socket => usize::MAX,
            Calls::Packet { max } => max,
        }
    }
}

#[derive(Debug)]
struct RawReceiver {
    fd: OwnedFd,
    calls: Calls,
    message: Vec<u8>,
    /// What one call may bring, where many messages are received at once ..
    batch: Vec<u8>,
    /// .. and how many bytes at its front are no whole message yet.
    part: usize,
}

impl Receiver for RawReceiver {
    #[inline]
    fn recv_wait(&mut self, _: Wait) -> ipc_core::Result<()> {
        let mut received = 0;
        while received < self.message.len() {
            received += self.calls.read(&self.fd, &mut self.message[received..])?;
        }
        Ok(())
    }

    /// One call brings as much as there is.
    fn recv_many(
        &mut self,
        max: usize,
        _: Wait,
        each: &mut dyn FnMut(&[u8]),
    ) -> ipc_core::Result<usize> {
        let size = self.message.len();
        self.batch.resize(max * size, 0);
        loop {
            self.part += self.calls.read(&self.fd, &mut self.batch[self.part..])?;
            let whole = self.part / size;
            if whole > 0 {
                let (messages, part) = self.batch[..self.part].split_at(whole * size);
                messages.chunks_exact(size).for_each(each);
                self.part = part.len();
                self.batch
                    .copy_within(whole * size..whole * size + self.part, 0);
                return Ok(whole);
            }
        }
    }

    fn message(&self) -> &[u8] {
        &self.message
    }
}

/// A call that is to be made again, polling, has moved nothing.
#[inline]
fn again(result: nix::Result<usize>, call: &'static str) -> ipc_core::Result<usize> {
    match result {
        Ok(len) => Ok(len),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        Err(error) => Err(Error::os(call, "raw floor", io::Error::from(error))),
    }
}

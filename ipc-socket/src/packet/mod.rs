//! The halves of a seqpacket socket: every message is one packet.
//!
//! A packet holds a frame as on a stream, a 4-byte length and the body, so that an empty message is
//! no empty packet, which could not be told from the end; and so that a cut one shows.

mod receiver;
mod sender;

use std::io;
use std::os::fd::AsFd;

use ipc_core::spin::Poller;
use ipc_core::stream::Mode;

pub(crate) use receiver::PacketReceiver;
pub(crate) use sender::PacketSender;

use crate::socket::Socket;
use crate::{Error, Interest, Result, Wait};

/// What the kernel wants of the send buffer for itself: a packet has at most `SO_SNDBUF` less this,
/// else `EMSGSIZE`.
const OVERHEAD: usize = 32;
/// The longest packet whatever the buffer: the kernel keeps it in one piece of its memory.
const LARGEST: usize = 4 << 20;

/// The longest packet in bytes through a send buffer of `sndbuf`.
pub(crate) fn longest(sndbuf: usize) -> usize {
    sndbuf.saturating_sub(OVERHEAD).min(LARGEST)
}

/// The send buffer that takes packets of `len` bytes.
pub(crate) fn buffer_for(len: usize) -> usize {
    len.min(LARGEST).saturating_add(OVERHEAD)
}

/// Makes `call` until the kernel does not say `EAGAIN` any more, or the wait is over.
#[inline]
fn wait_for<T>(
    poller: &mut Poller,
    socket: &Socket,
    interest: Interest,
    wait: Wait,
    mut call: impl FnMut(Mode) -> Result<Option<T>>,
) -> Result<T> {
    let sleep = |wait| ipc_core::poll(socket.as_fd(), interest, wait).map(drop);
    if wait == Wait::Forever && poller.sleeps_first() {
        return poller.sleep(|| {
            loop {
                match call(Mode::Block)? {
                    Some(done) => return Ok(done),
                    None => sleep(wait)?, // somebody else made it non-blocking
                }
            }
        });
    }
    match call(Mode::Now)? {
        Some(done) => Ok(done),
        None if wait == Wait::Never => Err(Error::WouldBlock),
        None => poller.wait(
            wait,
            &mut call,
            |call| call(Mode::Now),
            |_, wait| sleep(wait),
        ),
    }
}

/// Makes a system call again while signals interrupt it; `None` is `EAGAIN`.
#[inline]
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<Option<T>> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            done => return done.map(Some),
        }
    }
}

//! System calls that send and receive, without SIGPIPE, and end.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};

use ipc_core::stream::Mode;
use nix::sys::socket::{self, MsgFlags, Shutdown, UnixAddr};

use crate::Kind;

/// Packets that one `sendmmsg` takes.
pub(crate) const BATCH: usize = 32;

/// Ends the sending direction.  shutdown(2)
pub(crate) fn shutdown(fd: &OwnedFd) -> io::Result<()> {
    Ok(socket::shutdown(fd.as_raw_fd(), Shutdown::Write)?)
}

/// Ends both directions.  shutdown(2)
pub(crate) fn hang_up(fd: &OwnedFd) -> io::Result<()> {
    Ok(socket::shutdown(fd.as_raw_fd(), Shutdown::Both)?)
}

/// Receives what is there of a stream, or a packet, and returns the whole length of that even if
/// `buf` is shorter; 0 is the end, or an empty packet.  recv(2), `MSG_TRUNC`
#[inline]
pub(crate) fn recv(fd: &OwnedFd, buf: &mut [u8], kind: Kind, mode: Mode) -> io::Result<usize> {
    let flags = flags(mode) | whole_length(kind);
    Ok(socket::recv(fd.as_raw_fd(), buf, flags)?)
}

/// Sends what fits: a part of a stream, or a packet as a whole.  send(2), sendmsg(2)
#[inline]
pub(crate) fn send(fd: &OwnedFd, bufs: &[IoSlice<'_>], mode: Mode) -> io::Result<usize> {
    let fd = fd.as_raw_fd();
    Ok(match bufs {
        [one] => socket::send(fd, one, flags(mode))?,
        _ => socket::sendmsg::<UnixAddr>(fd, bufs, &[], flags(mode), None)?,
    })
}

/// Sends up to [`BATCH`] packets, and returns how many were taken.  sendmmsg(2)
pub(crate) fn send_packets(fd: &OwnedFd, packets: &[&[u8]], mode: Mode) -> io::Result<usize> {
    // SAFETY: all zeroes are valid for these plain C structures: no name, no buffers, no control.
    let mut bufs: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut msgs: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let count = packets.len().min(BATCH);
    for ((packet, buf), msg) in packets.iter().zip(&mut bufs).zip(&mut msgs) {
        buf.iov_base = packet.as_ptr().cast_mut().cast();
        buf.iov_len = packet.len();
        msg.msg_hdr.msg_iov = buf;
        msg.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers point to one buffer each, and the buffers to packets; all
    // live through the call, which only reads the packets.
    let sent = unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            msgs.as_mut_ptr(),
            u32::try_from(count).unwrap_or(0),
            flags(mode).bits() as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Whether the peer will send nothing more.  poll(2), `POLLRDHUP`
pub(crate) fn is_over(fd: &OwnedFd) -> bool {
    let mut fds = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one valid entry, and no wait.
    unsafe { libc::poll(&raw mut fds, 1, 0) > 0 }
}

/// On a stream `MSG_TRUNC` would throw the bytes away.
pub(super) fn whole_length(kind: Kind) -> MsgFlags {
    match kind {
        Kind::Seqpacket => MsgFlags::MSG_TRUNC,
        Kind::Unix | Kind::Tcp => MsgFlags::empty(),
    }
}

pub(super) fn flags(mode: Mode) -> MsgFlags {
    match mode {
        Mode::Now => MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
        Mode::Block => MsgFlags::MSG_NOSIGNAL,
    }
}

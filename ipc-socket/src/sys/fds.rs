//! System calls that carry descriptors.  unix(7), `SCM_RIGHTS`

use std::io::{self, IoSlice};
use std::mem::{self, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use ipc_core::stream::Mode;
use nix::sys::socket::{self, ControlMessage, UnixAddr};

use super::flags;
use crate::Kind;
use crate::fds::MOST;

/// Room for a control message of descriptors, aligned as its header wants.
type Control = [u64; 2 + MOST / 2];

/// What was received.
pub(crate) struct Received {
    /// Bytes; of a packet all of them, even if the buffer is shorter.
    pub(crate) len: usize,
    pub(crate) fds: Vec<OwnedFd>,
    /// More descriptors came than were asked for, or than this process may have. They are closed.
    pub(crate) truncated: bool,
}

/// Sends as [`send`](super::send) does, and `fds` with the first byte.  sendmsg(2)
pub(crate) fn send(
    fd: &OwnedFd,
    bufs: &[IoSlice<'_>],
    fds: &[RawFd],
    mode: Mode,
) -> io::Result<usize> {
    let control = [ControlMessage::ScmRights(fds)];
    let sent = socket::sendmsg::<UnixAddr>(fd.as_raw_fd(), bufs, &control, flags(mode), None)?;
    Ok(sent)
}

/// Receives as [`recv`](super::recv) and [`recv_packet`](super::recv_packet) do, and up to `max`
/// descriptors, closed on exec.  recvmsg(2)
pub(crate) fn recv(
    fd: &OwnedFd,
    buf: &mut [u8],
    max: usize,
    kind: Kind,
    mode: Mode,
) -> io::Result<Received> {
    let mut control: Control = [0; 2 + MOST / 2];
    let mut part = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: all zeroes are valid for this plain C structure: no name, no buffers, no control.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if max > 0 {
        header.msg_control = control.as_mut_ptr().cast();
        // Not `CMSG_SPACE`, whose padding has room for another descriptor.
        // SAFETY: it only computes.
        let room = unsafe { libc::CMSG_LEN(bytes(max.min(MOST))) };
        header.msg_controllen = room as _;
    }
    // On a stream `MSG_TRUNC` would throw the bytes away.
    let extra = match kind {
        Kind::Seqpacket => libc::MSG_TRUNC,
        Kind::Unix | Kind::Tcp => 0,
    };
    let flags = flags(mode).bits() | libc::MSG_CMSG_CLOEXEC | extra;
    // SAFETY: the header points to one buffer and to room for control messages of the lengths that
    // it says; all live through the call.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    Ok(Received {
        len,
        fds: descriptors(&header),
        truncated: header.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// The descriptors that a call of recvmsg(2) has made.  cmsg(3)
fn descriptors(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled in the header and the control messages that it points to.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, so a whole control message is there.
        let (found, data) = unsafe { (ptr::read(message), libc::CMSG_DATA(message)) };
        if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            #[allow(clippy::unnecessary_cast, reason = "musl has a u32")]
            let len = found.cmsg_len as usize;
            // SAFETY: it only computes.
            let count = (len - unsafe { libc::CMSG_LEN(0) } as usize) / size_of::<RawFd>();
            for at in 0..count {
                // SAFETY: so many descriptors lie there, perhaps not aligned.
                let fd = unsafe { data.cast::<[u8; size_of::<RawFd>()]>().add(at).read() };
                // SAFETY: the kernel made it for this call, so that nobody else has it.
                fds.push(unsafe { OwnedFd::from_raw_fd(RawFd::from_ne_bytes(fd)) });
            }
        }
        // SAFETY: `message` is one of the header's.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    fds
}

/// Bytes of so many descriptors.
fn bytes(count: usize) -> u32 {
    u32::try_from(count * size_of::<RawFd>()).unwrap_or(0)
}

//! System calls that carry descriptors.  unix(7), `SCM_RIGHTS`

use std::io::{self, IoSlice};
use std::mem::{self, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use ipc_core::stream::Mode;
use nix::sys::socket::{self, ControlMessage, MsgFlags, UnixAddr};

use super::transfer::{flags, whole_length};
use crate::Kind;
use crate::fds::MOST;

/// Room for a control message of descriptors, aligned as its header wants.
type Control = [u64; 2 + MOST / 2];

/// Lets nobody send descriptors to this socket: who tries is told `EPERM`. Linux 6.16
pub(crate) fn bar(fd: &OwnedFd) -> io::Result<()> {
    const SO_PASSRIGHTS: libc::c_int = 83; // asm-generic/socket.h; libc has it for sparc alone
    Ok(super::switch_off(fd, SO_PASSRIGHTS)?)
}

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

/// Receives as [`recv`](super::recv) does; true if something came with
/// it that nobody asked for, which the kernel has closed.  recvmsg(2), `MSG_CTRUNC`
#[inline]
pub(crate) fn recv_without(
    fd: &OwnedFd,
    buf: &mut [u8],
    kind: Kind,
    mode: Mode,
) -> io::Result<(usize, bool)> {
    let (len, header) = recvmsg(fd, buf, &mut [], 0, kind, mode)?;
    Ok((len, is_truncated(&header)))
}

/// Receives the same, and up to `max` descriptors, closed on exec.
pub(crate) fn recv(
    fd: &OwnedFd,
    buf: &mut [u8],
    max: usize,
    kind: Kind,
    mode: Mode,
) -> io::Result<Received> {
    let mut control: Control = [0; 2 + MOST / 2];
    // Not `CMSG_SPACE`, whose padding has room for another descriptor.
    // SAFETY: it only computes.
    let room = unsafe { libc::CMSG_LEN(bytes(max.min(MOST))) };
    let (len, header) = recvmsg(fd, buf, &mut control, room as usize, kind, mode)?;
    Ok(Received {
        len,
        fds: descriptors(&header),
        truncated: is_truncated(&header),
    })
}

/// Receives with the first `room` bytes of `control` for control messages. The header that is
/// returned points there.
#[inline]
fn recvmsg(
    fd: &OwnedFd,
    buf: &mut [u8],
    control: &mut [u64],
    room: usize,
    kind: Kind,
    mode: Mode,
) -> io::Result<(usize, libc::msghdr)> {
    assert!(room <= size_of_val(control));
    let mut part = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: all zeroes are valid for this plain C structure: no name, no buffers, no control.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if room > 0 {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = room as _;
    }
    let flags = flags(mode) | whole_length(kind) | MsgFlags::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points to one buffer and to room for control messages of the lengths that
    // it says; all live through the call.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags.bits()) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    Ok((len, header))
}

fn is_truncated(header: &libc::msghdr) -> bool {
    header.msg_flags & libc::MSG_CTRUNC != 0
}

/// The descriptors that the peer sent. One of the peer itself (`SO_PASSPIDFD`), which nobody asked for,
/// is closed.  cmsg(3)
fn descriptors(header: &libc::msghdr) -> Vec<OwnedFd> {
    const SCM_PIDFD: libc::c_int = 4; // linux/socket.h
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled in the header and the control messages that it points to.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, so a whole control message is there.
        let (found, data) = unsafe { (ptr::read(message), libc::CMSG_DATA(message)) };
        let sent = found.cmsg_type == libc::SCM_RIGHTS;
        if found.cmsg_level == libc::SOL_SOCKET && (sent || found.cmsg_type == SCM_PIDFD) {
            #[allow(clippy::unnecessary_cast, reason = "musl has a u32")]
            let len = found.cmsg_len as usize;
            // SAFETY: it only computes.
            let count = (len - unsafe { libc::CMSG_LEN(0) } as usize) / size_of::<RawFd>();
            for at in 0..count {
                // SAFETY: so many descriptors lie there, perhaps not aligned.
                let fd = unsafe { data.cast::<[u8; size_of::<RawFd>()]>().add(at).read() };
                let fd = RawFd::from_ne_bytes(fd);
                if fd < 0 {
                    continue; // an error in place of a pidfd
                }
                // SAFETY: the kernel made it for this call, so that nobody else has it.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                if sent {
                    fds.push(fd);
                }
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

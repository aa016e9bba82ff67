//! System calls of attachment: unix sockets, and messages that carry descriptors and credentials.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    self, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sockopt,
};
use nix::sys::stat::{Mode, fchmod};

use crate::Address;

/// The most descriptors that a message carries.
pub(crate) const FDS: usize = 5;

/// A message that was received.
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) fds: Vec<OwnedFd>,
    /// Who sent it, by the kernel's word.
    pub(crate) user: Option<u32>,
    /// There were more descriptors than were received: more than [`FDS`], or more than this process
    /// may have.
    pub(crate) cut: bool,
}

/// A datagram socket, closed on exec.  socket(2)
pub(crate) fn datagrams() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let family = AddressFamily::Unix;
    Ok(socket::socket(family, SockType::Datagram, flags, None)?)
}

/// Two connected sockets, of which the first learns who sends to it. `SO_PASSCRED`
pub(crate) fn connection() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (ours, theirs) = socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    socket::setsockopt(&ours, sockopt::PassCred, &true)?;
    Ok((ours, theirs))
}

/// Whether `fd` could be the second of a [`connection`].
pub(crate) fn is_connection(fd: &OwnedFd) -> bool {
    let family = socket::getsockname::<UnixAddr>(fd.as_raw_fd());
    family.is_ok() && socket::getsockopt(fd, sockopt::SockType) == Ok(SockType::SeqPacket)
}

/// Names a socket that will learn who sends to it. The file of a path has this mode, less what the
/// umask takes: a unix socket's file gets the mode of the socket itself.  bind(2)
pub(crate) fn bind(fd: &OwnedFd, address: &Address, mode: u32) -> io::Result<()> {
    socket::setsockopt(fd, sockopt::PassCred, &true)?;
    if let Address::Path(_) = address {
        fchmod(fd, Mode::from_bits_truncate(mode))?;
    }
    Ok(socket::bind(fd.as_raw_fd(), &name(address)?)?)
}

/// connect(2)
pub(crate) fn connect(fd: &OwnedFd, address: &Address) -> io::Result<()> {
    Ok(socket::connect(fd.as_raw_fd(), &name(address)?)?)
}

/// `address` as the kernel takes it; `ENAMETOOLONG` if a `sockaddr_un` does not hold it.  unix(7)
fn name(address: &Address) -> io::Result<UnixAddr> {
    Ok(match address {
        // The kernel would choose a name for it.
        Address::Path(path) if path.as_os_str().is_empty() => return Err(Errno::ENOENT.into()),
        Address::Path(path) => UnixAddr::new(path)?,
        Address::Abstract(name) => UnixAddr::new_abstract(name)?,
    })
}

/// Sends a message, which waits for nothing.  sendmsg(2)
pub(crate) fn send(fd: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let bytes = [IoSlice::new(bytes)];
    socket::sendmsg::<UnixAddr>(fd.as_raw_fd(), &bytes, control, flags, None)?;
    Ok(())
}

/// Receives a message that is there; on a connection, one of no bytes is the end.  recvmsg(2)
// Not by nix, which forgets the descriptors of a message that was cut.
#[allow(clippy::cast_possible_truncation, clippy::cast_ptr_alignment)] // a few bytes; read unaligned
pub(crate) fn receive(fd: &OwnedFd, buf: &mut [u8]) -> io::Result<Received> {
    // SAFETY: only arithmetic.
    const CONTROL: usize = unsafe {
        libc::CMSG_SPACE(mem::size_of::<[RawFd; FDS]>() as u32)
            + libc::CMSG_SPACE(mem::size_of::<libc::ucred>() as u32)
    } as usize;
    let mut control = [0_u64; CONTROL.div_ceil(8)]; // aligned as its headers are
    let mut bytes = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: all zeroes are valid for this plain C structure: no name, no buffers, no control.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points to one buffer and to a control buffer of the lengths given, which
    // live through the call.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let mut received = Received {
        len,
        fds: Vec::new(),
        user: None,
        cut: message.msg_flags & libc::MSG_CTRUNC != 0,
    };
    // SAFETY: the kernel filled the header and the control buffer, in which these stay; a header's
    // data is as long as it says. Descriptors that it put there are new ones, which nobody else has.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            let len = (*header).cmsg_len as usize - (data as usize - header as usize);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for at in 0..len / mem::size_of::<RawFd>() {
                        let fd = data.cast::<RawFd>().add(at).read_unaligned();
                        received.fds.push(OwnedFd::from_raw_fd(fd));
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    let sender = data.cast::<libc::ucred>().read_unaligned();
                    received.user = Some(sender.uid);
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(received)
}

/// Lets others write into a pipe that they were given an end of, by descriptions of their own.
pub(crate) fn open_to_others(bell: &OwnedFd) -> io::Result<()> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH;
    Ok(fchmod(bell, mode)?)
}

/// The write end of a pipe that somebody handed over, by a description of this process's own: whoever
/// shares one can clear its `O_NONBLOCK` at any time. `None` if it is no such end.
pub(crate) fn reopen(fd: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let link = format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
    // Told without asking a file system: one in user space could let us wait for ever.
    let target = fs::read_link(&link)?;
    let is_pipe = target.as_os_str().as_encoded_bytes().starts_with(b"pipe:[");
    if !is_pipe || flags & OFlag::O_ACCMODE != OFlag::O_WRONLY {
        return Ok(None);
    }
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(Path::new(&link))?;
    Ok(Some(opened.into()))
}

/// The user that this process acts as.  geteuid(2)
pub(crate) fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

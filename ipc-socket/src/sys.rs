//! System calls: making sockets, naming, connecting and asking them.
#![allow(unsafe_code)]

pub(crate) mod fds;
mod transfer;

pub(crate) use transfer::{BATCH, hang_up, is_over, recv, send, send_packets, shutdown};

use std::ffi::c_int;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr,
    sockopt,
};
use nix::sys::stat;
use nix::sys::time::{TimeVal, TimeValLike};

use crate::{Address, Credentials, Kind, Wait};

/// Two connected unix sockets, closed on exec.  socketpair(2)
pub(crate) fn pair(kind: Kind) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket::socketpair(
        AddressFamily::Unix,
        sock_type(kind),
        None,
        flags,
    )?)
}

/// A socket for `address`, closed on exec.  socket(2)
pub(crate) fn socket(kind: Kind, address: &Address) -> io::Result<OwnedFd> {
    let family = match address {
        Address::Path(_) | Address::Abstract(_) => AddressFamily::Unix,
        Address::Tcp(SocketAddr::V4(_)) => AddressFamily::Inet,
        Address::Tcp(SocketAddr::V6(_)) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket::socket(family, sock_type(kind), flags, None)?)
}

fn sock_type(kind: Kind) -> SockType {
    match kind {
        Kind::Unix | Kind::Tcp => SockType::Stream,
        Kind::Seqpacket => SockType::SeqPacket,
    }
}

/// What kind of socket `fd` is, if it is one of ours.  socket(7), `SO_TYPE`
pub(crate) fn kind(fd: &OwnedFd) -> Option<Kind> {
    let name: SockaddrStorage = socket::getsockname(fd.as_raw_fd()).ok()?;
    match (
        name.family()?,
        socket::getsockopt(fd, sockopt::SockType).ok()?,
    ) {
        (AddressFamily::Unix, SockType::Stream) => Some(Kind::Unix),
        (AddressFamily::Unix, SockType::SeqPacket) => Some(Kind::Seqpacket),
        (AddressFamily::Inet | AddressFamily::Inet6, SockType::Stream) => Some(Kind::Tcp),
        _ => None,
    }
}

/// Whether a socket has a peer.  getpeername(2)
pub(crate) fn is_connected(fd: &OwnedFd) -> bool {
    socket::getpeername::<SockaddrStorage>(fd.as_raw_fd()).is_ok()
}

/// Makes a socket of others closed on exec, and nothing come with a message but what its peer sends: it
/// would be taken for descriptors, or be one.  fcntl(2); unix(7), socket(7)
pub(crate) fn adopt(fd: &OwnedFd, kind: Kind) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    const SO_PASSPIDFD: c_int = 76; // asm-generic/socket.h; younger than our libc, as is the next
    const SO_INQ: c_int = 84;
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    if kind == Kind::Tcp {
        return Ok(()); // what is told of a stream's bytes is cut off, and nobody looks
    }
    for option in [
        libc::SO_PASSCRED,
        SO_PASSPIDFD,
        libc::SO_PASSSEC,
        libc::SO_TIMESTAMP,
        SO_INQ,
    ] {
        match switch_off(fd, option) {
            Err(Errno::ENOPROTOOPT) => {} // not on this kernel, or not on packets
            done => done?,
        }
    }
    Ok(())
}

/// Switches an option off that nix has no name for.  setsockopt(2)
fn switch_off(fd: &OwnedFd, option: c_int) -> nix::Result<()> {
    const SIZE: libc::socklen_t = 4;
    let (fd, no): (_, c_int) = (fd.as_raw_fd(), 0);
    // SAFETY: the option's value is an `int`, which lives through the call.
    let done =
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const no).cast(), SIZE) };
    Errno::result(done).map(drop)
}

/// `address` as the kernel takes it; `ENAMETOOLONG` if a `sockaddr_un` does not hold it.  unix(7)
pub(crate) fn name(address: &Address) -> io::Result<Box<dyn SockaddrLike>> {
    Ok(match address {
        // The kernel would choose a name for it.
        Address::Path(path) if path.as_os_str().is_empty() => return Err(Errno::ENOENT.into()),
        Address::Path(path) => Box::new(UnixAddr::new(path)?),
        Address::Abstract(name) => Box::new(UnixAddr::new_abstract(name)?),
        Address::Tcp(address) => Box::new(SockaddrStorage::from(*address)),
    })
}

/// Names a socket that will listen. The file of a path has mode 0600, less what the umask takes:
/// a unix socket's file gets the mode of the socket itself.  bind(2)
pub(crate) fn bind(fd: &OwnedFd, address: &Address) -> io::Result<()> {
    match address {
        Address::Path(_) => stat::fchmod(fd, stat::Mode::S_IRUSR | stat::Mode::S_IWUSR)?,
        Address::Abstract(_) => {}
        // Else the port stays taken for a minute after a restart.
        Address::Tcp(_) => socket::setsockopt(fd, sockopt::ReuseAddr, &true)?,
    }
    Ok(socket::bind(fd.as_raw_fd(), &*name(address)?)?)
}

/// Connects a socket of another type than ours to the one at `path`: `EPROTOTYPE` if that is there,
/// `ECONNREFUSED` if it is gone.  unix(7)
pub(crate) fn probe(path: &Path) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket::socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    Ok(socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?)
}

/// The user by whom this process makes files.  geteuid(2)
pub(crate) fn user() -> u32 {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::geteuid() }
}

/// listen(2)
pub(crate) fn listen(fd: &OwnedFd) -> io::Result<()> {
    Ok(socket::listen(fd, Backlog::MAXCONN)?)
}

/// The next connection, closed on exec; `EAGAIN` if there is none, since a listener's description is
/// its own.  accept(2)
pub(crate) fn accept(fd: &OwnedFd) -> io::Result<OwnedFd> {
    let accepted = socket::accept4(fd.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: accept4 succeeded, so this is a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(accepted) })
}

/// Connects; false if `wait` was over first.  connect(2)
pub(crate) fn connect(fd: &OwnedFd, address: &Address, wait: Wait) -> io::Result<bool> {
    let name = name(address)?;
    let connected = loop {
        // Only the kernel can wait for room in a unix listener's queue: such a socket cannot be polled.
        set_send_timeout(fd, wait)?;
        match socket::connect(fd.as_raw_fd(), &*name) {
            Ok(()) | Err(Errno::EISCONN) => break true,
            Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY) if wait.is_over() => {
                break false;
            }
            Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY | Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    set_send_timeout(fd, Wait::Forever)?;
    Ok(connected)
}

/// Sets how long a connect may take; one that may not wait is given the least there is, a tick of
/// the kernel's.  socket(7), `SO_SNDTIMEO`
fn set_send_timeout(fd: &OwnedFd, wait: Wait) -> io::Result<()> {
    // More than a `TimeVal` holds can be asked for: some decades will do.
    let (tick, most) = (Duration::from_micros(1), Duration::from_secs(1 << 30));
    let left = wait
        .remaining()
        .map_or(Duration::ZERO, |left| left.clamp(tick, most));
    let time = TimeVal::microseconds(i64::try_from(left.as_micros()).unwrap_or(i64::MAX));
    Ok(socket::setsockopt(fd, sockopt::SendTimeout, &time)?)
}

/// The address of this end of a TCP socket.  getsockname(2)
pub(crate) fn local(fd: &OwnedFd) -> io::Result<SocketAddr> {
    to_std(&socket::getsockname(fd.as_raw_fd())?)
}

/// The address of the other end of a TCP socket.  getpeername(2)
pub(crate) fn peer(fd: &OwnedFd) -> io::Result<SocketAddr> {
    to_std(&socket::getpeername(fd.as_raw_fd())?)
}

fn to_std(name: &SockaddrStorage) -> io::Result<SocketAddr> {
    let v4 = name
        .as_sockaddr_in()
        .map(|&name| SocketAddr::V4(name.into()));
    let v6 = name
        .as_sockaddr_in6()
        .map(|&name| SocketAddr::V6(name.into()));
    v4.or(v6).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Who is at the other end of a unix socket.  unix(7), `SO_PEERCRED`
pub(crate) fn credentials(fd: &impl AsFd) -> io::Result<Credentials> {
    let found = socket::getsockopt(fd, sockopt::PeerCredentials)?;
    // A socket that was never connected has nobody at its other end.
    if found.uid() == libc::uid_t::MAX {
        return Err(Errno::ENOTCONN.into());
    }
    Ok(Credentials {
        pid: u32::try_from(found.pid()).ok().filter(|&pid| pid != 0),
        uid: found.uid(),
        gid: found.gid(),
    })
}

/// A pidfd of the process at the other end of a unix socket.  `SO_PEERPIDFD`, Linux 6.5
pub(crate) fn pidfd(fd: &impl AsFd) -> io::Result<OwnedFd> {
    Ok(socket::getsockopt(fd, sockopt::PeerPidfd)?)
}

/// Sends small segments at once.  tcp(7), `TCP_NODELAY`
pub(crate) fn set_nodelay(fd: &OwnedFd) -> io::Result<()> {
    Ok(socket::setsockopt(fd, sockopt::TcpNoDelay, &true)?)
}

/// Sets `O_NONBLOCK`.  fcntl(2)
pub(crate) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Bytes of the send buffer.  socket(7), `SO_SNDBUF`
pub(crate) fn send_buffer(fd: &OwnedFd) -> io::Result<usize> {
    Ok(socket::getsockopt(fd, sockopt::SndBuf)?)
}

/// Asks for a send buffer of twice `bytes`, which the kernel caps.
pub(crate) fn set_send_buffer(fd: &OwnedFd, bytes: usize) -> io::Result<()> {
    Ok(socket::setsockopt(fd, sockopt::SndBuf, &bytes.min(ASKED))?)
}

/// Bytes of the receive buffer.  socket(7), `SO_RCVBUF`
pub(crate) fn recv_buffer(fd: &OwnedFd) -> io::Result<usize> {
    Ok(socket::getsockopt(fd, sockopt::RcvBuf)?)
}

/// Asks for a receive buffer of twice `bytes`, which the kernel caps.
pub(crate) fn set_recv_buffer(fd: &OwnedFd, bytes: usize) -> io::Result<()> {
    Ok(socket::setsockopt(fd, sockopt::RcvBuf, &bytes.min(ASKED))?)
}

/// The kernel doubles an `int`.
const ASKED: usize = (libc::c_int::MAX / 2) as usize;

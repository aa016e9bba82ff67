//! The end that waits for others to connect.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::file::SocketFile;
use crate::socket::Socket;
use crate::takeover::{self, Lock};
use crate::{
    Address, Error, Interest, Kind, Ready, Result, SocketDuplex, SocketOptions, Wait, sys,
};

/// The end that waits for others to connect.
///
/// Several processes may accept from one listener: make it, then fork. A connection goes to one of
/// them. The socket file is removed when the process that made it drops it.
#[derive(Debug)]
pub struct Listener {
    /// Removed before the descriptor is closed: until then its inode is nobody else's.
    _file: Option<SocketFile>,
    fd: OwnedFd,
    kind: Kind,
    address: Address,
    options: SocketOptions,
}

impl Listener {
    pub(crate) fn bind(options: SocketOptions, address: Address) -> Result<Self> {
        let kind = options.kind_for(&address)?;
        let object = format!("{kind} socket {address}");
        let os = |call| {
            let object = &*object;
            move |error| Error::os(call, object, error)
        };
        let fd = sys::socket(kind, &address).map_err(os("socket"))?;
        sys::set_nonblocking(&fd).map_err(os("fcntl"))?;
        let (file, address) = match address {
            Address::Path(path) => {
                let file = bind_path(&fd, &path, &object)?;
                (Some(file), Address::Path(path))
            }
            address => {
                sys::bind(&fd, &address).map_err(|error| os("bind")(explained(error, &address)))?;
                match address {
                    Address::Tcp(_) => {
                        let local = sys::local(&fd).map_err(os("getsockname"))?;
                        (None, Address::Tcp(local))
                    }
                    address => (None, address),
                }
            }
        };
        sys::listen(&fd).map_err(os("listen"))?;
        Ok(Listener {
            _file: file,
            fd,
            kind,
            address,
            options,
        })
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](Error::WouldBlock) or [`TimedOut`](Error::TimedOut) when the wait is over;
    /// [`Os`](Error::Os) when the process or the system has no descriptors left: the connection
    /// stays in the queue. The listener stays usable, and what it accepted before is untouched.
    /// accept(2)
    pub fn accept(&self, wait: Wait) -> Result<SocketDuplex> {
        self.options.endpoint(self.accept_socket(wait)?)
    }

    /// Where it listens; for TCP with the port that the kernel chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn accept_socket(&self, wait: Wait) -> Result<Socket> {
        loop {
            match sys::accept(&self.fd) {
                Ok(fd) => {
                    let peer = match self.kind {
                        Kind::Tcp => sys::peer(&fd).ok().map(Address::Tcp),
                        Kind::Unix | Kind::Seqpacket => None,
                    };
                    let name = peer.as_ref().unwrap_or(&self.address);
                    return self.options.socket(
                        fd,
                        self.kind,
                        &format!("{} socket {name}", self.kind),
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !ipc_core::poll(self.as_fd(), Interest::Read, wait)? {
                        return Err(wait.error());
                    }
                }
                Err(error) if is_the_connections(&error) => {}
                Err(error) => {
                    let object = format!("{} socket {}", self.kind, self.address);
                    return Err(Error::os("accept4", object, error));
                }
            }
        }
    }
}

/// Ready when somebody has connected.
impl Ready for Listener {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        Ok(false)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives `fd` the name `path`; a file that a killed server has left there is taken over.
fn bind_path(fd: &OwnedFd, path: &Path, object: &str) -> Result<SocketFile> {
    let os = |call| move |error| Error::os(call, object, error);
    let address = Address::from(path);
    let failed = |error| os("bind")(explained(error, &address));
    sys::name(&address).map_err(failed)?; // before the lock has a name made of it
    let _lock = Lock::new(path)?;
    if takeover::is_stale(path) {
        fs::remove_file(path).map_err(os("unlink"))?;
    }
    sys::bind(fd, &address).map_err(failed)?;
    SocketFile::new(path).map_err(os("stat"))
}

/// Whether the error is one of the connection that was to be accepted, not of the listener: then the
/// next is tried.  accept(2), "Error handling"
fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINTR
                | libc::ECONNABORTED
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
        )
    )
}

/// The error, with what to do about it.
fn explained(error: io::Error, address: &Address) -> io::Error {
    let is_socket = |path: &Path| {
        let found = path.symlink_metadata();
        found.is_ok_and(|found| found.file_type().is_socket())
    };
    let advice = match (error.raw_os_error(), address) {
        (Some(libc::EADDRINUSE), Address::Path(path)) if is_socket(path) => {
            "a server is there, or it is another user's: ss -xp shows which"
        }
        (Some(libc::EADDRINUSE), Address::Path(_)) => "what is there is no socket",
        (Some(libc::EADDRINUSE), Address::Abstract(_)) => "ss -xl shows by whom",
        (Some(libc::EADDRINUSE), Address::Tcp(_)) => "ss -tlp shows by whom",
        (Some(libc::ENAMETOOLONG), _) => "a unix socket's name has at most 107 bytes",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {advice}"))
}

//! The end that waits for others to connect.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::file::SocketFile;
use crate::make::Peer;
use crate::peers::Peers;
use crate::socket::Socket;
use crate::takeover::{self, Lock};
use crate::{
    Address, Error, Interest, Kind, Ready, Result, SocketDuplex, SocketOptions, Wait, sys,
};

/// How long to wait for descriptors, at first and at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Connections beyond the limit that one call refuses, however short its wait. It is more than the
/// queue holds: then some came during the call, and who waits for a change is told of them.
const REFUSALS: u32 = 5000;

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
    peers: Peers,
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
            peers: Peers::default(),
        })
    }

    /// Accepts the next connection, waiting for one as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`accept_wait`](Self::accept_wait).
    pub fn accept(&self) -> Result<SocketDuplex> {
        self.accept_wait(Wait::Forever)
    }

    /// Accepts a connection that is there, else returns [`WouldBlock`](Error::WouldBlock). With the
    /// feature `tokio` and no thread: `Async::new(listener)?.accept().await?`.
    ///
    /// # Errors
    ///
    /// As [`accept_wait`](Self::accept_wait).
    pub fn try_accept(&self) -> Result<SocketDuplex> {
        self.accept_wait(Wait::Never)
    }

    /// Accepts a connection within `timeout`, else returns [`TimedOut`](Error::TimedOut).
    ///
    /// # Errors
    ///
    /// As [`accept_wait`](Self::accept_wait).
    pub fn accept_timeout(&self, timeout: Duration) -> Result<SocketDuplex> {
        self.accept_wait(timeout.into())
    }

    /// Accepts the next connection, waiting for one as long as `wait` allows.
    ///
    /// Where the process or the system has no descriptor or memory left the connection stays in the
    /// queue, and this waits for some, looking 10 to 1000 times a second, until the wait is over.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](Error::WouldBlock) or [`TimedOut`](Error::TimedOut) when the wait is over and
    /// nobody is there. [`Os`](Error::Os) if it is over and somebody is, but descriptors or memory
    /// are lacking (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`): never `WouldBlock`, since whoever then
    /// waits for the next to come is not woken for those in the queue. Serve or drop others before
    /// the next try. The listener stays usable, and what it accepted before is untouched.  accept(2)
    pub fn accept_wait(&self, wait: Wait) -> Result<SocketDuplex> {
        let mut endpoint = self.options.endpoint_over(self.accept_socket(wait)?)?;
        if let Some(limit) = self.options.header_deadline {
            endpoint.receiver().set_header_deadline(limit);
        }
        Ok(endpoint)
    }

    /// Where it listens; for TCP with the port that the kernel chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many connections it has accepted in this process that are not yet dropped.
    pub fn peers(&self) -> usize {
        self.peers.count()
    }

    pub(crate) fn accept_socket(&self, wait: Wait) -> Result<Socket> {
        let (mut pause, mut refused) = (SHORTEST_PAUSE, 0);
        loop {
            match sys::accept(&self.fd) {
                Ok(fd) => match self.peers.admit(self.options.max_peers) {
                    Some(slot) => return Ok(self.socket(fd)?.at(slot)),
                    // Those who come too often do not make this a wait for ever.
                    None if refused >= REFUSALS && wait.is_over() => return Err(wait.error()),
                    None => refused += 1,
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !ipc_core::poll(self.as_fd(), Interest::Read, wait)? {
                        return Err(wait.error());
                    }
                }
                Err(error) if is_the_connections(&error) => {}
                Err(error) if is_want(&error) && !wait.is_over() => {
                    let left = wait.remaining().unwrap_or(LONGEST_PAUSE);
                    thread::sleep(pause.min(left));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    let object = format!("{} socket {}", self.kind, self.address);
                    return Err(Error::os("accept4", object, error));
                }
            }
        }
    }

    /// The connection `fd`, as a socket.
    fn socket(&self, fd: OwnedFd) -> Result<Socket> {
        let peer = match self.kind {
            Kind::Tcp => sys::peer(&fd).ok().map(Address::Tcp),
            Kind::Unix | Kind::Seqpacket => None,
        };
        let name = peer.as_ref().unwrap_or(&self.address);
        let object = format!("{} socket {name}", self.kind);
        self.options.socket(fd, self.kind, Peer::Stranger, &object)
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

#[cfg(feature = "tokio")]
impl crate::Accept for Listener {
    type End = SocketDuplex;

    fn try_accept(&self) -> Result<SocketDuplex> {
        Listener::try_accept(self)
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

/// Whether descriptors or memory are lacking.  accept(2)
fn is_want(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
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

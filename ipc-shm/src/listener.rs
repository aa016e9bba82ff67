//! The end that waits for others to connect.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use crate::attach::{Greeting, LEN, Offer, Taken, Terms, Word, is_the_peers};
use crate::connect::object;
use crate::file::SocketFile;
use crate::segment::Trust;
use crate::sys::socket::{self, Received};
use crate::{Address, Error, Interest, Ready, Result, ShmDuplex, ShmOptions, Wait};

/// So many requests that are none are thrown away before a call looks whether its time is over. It is more
/// than a queue mostly holds (`net.unix.max_dgram_qlen`: 10, or 512 by systemd): then some came during the
/// call, and who waits for a change is told of them.
const RUBBISH: u32 = 1000;

/// The end that waits for others to connect.
///
/// A client comes with one datagram that says everything, and gets one answer: nobody can keep a
/// listener, or another client, waiting. Whoever asks for other rings than these, or sends what is
/// no request, is refused, and the listener goes on to the next.
///
/// Several processes may accept from one listener: make it, then fork. A client goes to one of
/// them. The socket file is removed when the process that made it drops it.
#[derive(Debug)]
pub struct ShmListener {
    /// Removed before the descriptor is closed: until then its inode is nobody else's.
    _file: Option<SocketFile>,
    fd: OwnedFd,
    address: Address,
    options: ShmOptions,
    terms: Terms,
}

impl ShmListener {
    pub(crate) fn bind(
        options: ShmOptions,
        terms: Terms,
        address: Address,
        mode: u32,
    ) -> Result<Self> {
        let os = |call| {
            let object = object(&address);
            move |error| Error::os(call, object, error)
        };
        let fd = socket::datagrams().map_err(os("socket"))?;
        socket::bind(&fd, &address, mode)
            .map_err(|error| os("bind")(explained(error, &address)))?;
        let file = match &address {
            Address::Path(path) => Some(SocketFile::new(path, mode).map_err(os("stat"))?),
            Address::Abstract(_) => None,
        };
        Ok(ShmListener {
            _file: file,
            fd,
            address,
            options,
            terms,
        })
    }

    /// Accepts the next client, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`accept_wait`](Self::accept_wait).
    pub fn accept(&self) -> Result<ShmDuplex> {
        self.accept_wait(Wait::Forever)
    }

    /// Accepts a client that is there, else returns [`WouldBlock`](Error::WouldBlock). With the
    /// feature `tokio` and no thread: `Async::new(listener)?.accept().await?`.
    ///
    /// # Errors
    ///
    /// As [`accept_wait`](Self::accept_wait).
    pub fn try_accept(&self) -> Result<ShmDuplex> {
        self.accept_wait(Wait::Never)
    }

    /// Accepts a client within `timeout`, else returns [`TimedOut`](Error::TimedOut).
    ///
    /// # Errors
    ///
    /// As [`accept_wait`](Self::accept_wait).
    pub fn accept_timeout(&self, timeout: Duration) -> Result<ShmDuplex> {
        self.accept_wait(timeout.into())
    }

    /// Accepts the next client, waiting for one as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](Error::WouldBlock) or [`TimedOut`](Error::TimedOut) when the wait is over;
    /// [`Os`](Error::Os) when the process or the system has no memory or descriptors left: this
    /// client is told so, and the listener stays usable.
    pub fn accept_wait(&self, wait: Wait) -> Result<ShmDuplex> {
        let mut refused = 0;
        loop {
            let mut bytes = [0; LEN + 1];
            match socket::receive(&self.fd, &mut bytes) {
                Ok(received) => {
                    if let Some(endpoint) = self.answer(&bytes, received)? {
                        return Ok(endpoint);
                    }
                    refused += 1;
                    if refused >= RUBBISH && wait.is_over() {
                        return Err(wait.error());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !ipc_core::poll(self.as_fd(), Interest::Read, wait)? {
                        return Err(wait.error());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error("recvmsg", error)),
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Answers a request; `None` if it was refused, or its client has gone.
    fn answer(&self, bytes: &[u8], received: Received) -> Result<Option<ShmDuplex>> {
        let Received {
            len,
            mut fds,
            user,
            cut,
        } = received;
        if cut && fds.len() < socket::FDS {
            let shortage = io::Error::from_raw_os_error(libc::EMFILE);
            self.refuse(fds.first(), Word::Shortage);
            return Err(self.error("recvmsg", shortage));
        }
        let Ok(request) = Greeting::read(&bytes[..len]) else {
            self.refuse(fds.first(), Word::Unfit); // and says by the way what it would be
            return Ok(None);
        };
        let word = if request.terms != self.terms {
            Word::Terms
        } else if self.terms.trust == Trust::Full && user != Some(socket::user()) {
            Word::User
        } else if request.word != Word::Offer || fds.is_empty() {
            Word::Unfit
        } else {
            let socket = fds.remove(0);
            return self.attach(&socket, fds);
        };
        self.refuse(fds.first(), word);
        Ok(None)
    }

    /// Makes the endpoint, and gives the client at the other end of `socket` what it needs.
    fn attach(&self, socket: &OwnedFd, fds: Vec<OwnedFd>) -> Result<Option<ShmDuplex>> {
        let both = Taken::new(fds, self.terms).and_then(|taken| {
            let offer = Offer::new(self.terms)?;
            Ok((taken, offer))
        });
        match both {
            Err(error) if is_the_peers(&error) => {
                self.refuse(Some(socket), Word::Unfit);
                Ok(None)
            }
            Err(error) => {
                self.refuse(Some(socket), Word::Shortage);
                Err(error)
            }
            Ok((taken, offer)) if self.say(socket, Word::Offer, &offer.fds()) => {
                offer.join(taken, self.terms, &self.options).map(Some)
            }
            Ok(_) => Ok(None), // it went away meanwhile
        }
    }

    fn refuse(&self, socket: Option<&OwnedFd>, word: Word) {
        if let Some(socket) = socket {
            self.say(socket, word, &[]);
        }
    }

    /// Answers; false if there is nobody any more. What is not a socket for answers gets none.
    fn say(&self, socket: &OwnedFd, word: Word, fds: &[BorrowedFd<'_>]) -> bool {
        let terms = self.terms;
        let greeting = Greeting { word, terms }.write();
        socket::is_connection(socket) && socket::send(socket, &greeting, fds).is_ok()
    }

    fn error(&self, call: &'static str, error: io::Error) -> Error {
        Error::os(call, object(&self.address), error)
    }
}

/// Ready when somebody wants to connect.
impl Ready for ShmListener {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        Ok(false)
    }
}

#[cfg(feature = "tokio")]
impl crate::Accept for ShmListener {
    type End = ShmDuplex;

    fn try_accept(&self) -> Result<ShmDuplex> {
        ShmListener::try_accept(self)
    }
}

impl AsFd for ShmListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The error, with what to do about it.
fn explained(error: io::Error, address: &Address) -> io::Error {
    let is_socket = |path: &Path| {
        let found = path.symlink_metadata();
        found.is_ok_and(|found| found.file_type().is_socket())
    };
    let advice = match (error.raw_os_error(), address) {
        (Some(libc::EADDRINUSE), Address::Path(path)) if is_socket(path) => format!(
            "if no server runs, a killed one has left it: rm {}",
            path.display()
        ),
        (Some(libc::EADDRINUSE), Address::Path(_)) => "what is there is no socket".into(),
        (Some(libc::EADDRINUSE), Address::Abstract(_)) => "ss -xl shows by whom".into(),
        (Some(libc::ENAMETOOLONG), _) => "a unix socket's name has at most 107 bytes".into(),
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {advice}"))
}

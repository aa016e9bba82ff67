//! Connecting to a listener.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ipc_core::poll;

use crate::attach::{Greeting, LEN, Offer, Taken, Terms, Word, is_the_peers};
use crate::segment::Trust;
use crate::sys::socket;
use crate::{Address, Error, Interest, Result, ShmDuplex, ShmOptions, Wait};

/// An endpoint whose peer the listener at `address` gets.
pub(crate) fn connect(
    options: &ShmOptions,
    terms: Terms,
    address: &Address,
    wait: Wait,
) -> Result<ShmDuplex> {
    let to = Listening { address };
    let (ours, theirs) = socket::connection().map_err(to.failed("socketpair"))?;
    let offer = Offer::new(terms)?;
    to.ask(terms, &offer, &theirs, wait)?;
    drop(theirs); // so that the listener alone can answer, or fail to
    let taken = to.answer(terms, &ours, wait)?;
    offer.join(taken, terms, options)
}

/// The listener, from here.
struct Listening<'a> {
    address: &'a Address,
}

impl Listening<'_> {
    /// Sends the request, with the socket for the answer.
    fn ask(&self, terms: Terms, offer: &Offer, answer: &OwnedFd, wait: Wait) -> Result<()> {
        let socket = socket::datagrams().map_err(self.failed("socket"))?;
        socket::connect(&socket, self.address)
            .map_err(|error| self.failed("connect")(explained(error)))?;
        let word = Word::Offer;
        let greeting = Greeting { word, terms }.write();
        let mut fds = vec![answer.as_fd()];
        fds.extend(offer.fds());
        loop {
            match socket::send(&socket, &greeting, &fds) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !poll(socket.as_fd(), Interest::Write, wait)? {
                        return Err(wait.error());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("sendmsg")(explained(error))),
            }
        }
    }

    /// Waits for the answer, and takes what it brings.
    fn answer(&self, terms: Terms, socket: &OwnedFd, wait: Wait) -> Result<Taken> {
        let mut bytes = [0; LEN + 1];
        let received = loop {
            match socket::receive(socket, &mut bytes) {
                Ok(received) => break received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !poll(socket.as_fd(), Interest::Read, wait)? {
                        return Err(wait.error());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("recvmsg")(error)),
            }
        };
        if received.len == 0 {
            let reason = "the listener went away, or could not take the request in";
            return Err(self.refused(io::ErrorKind::ConnectionReset, reason));
        }
        let greeting = Greeting::read(&bytes[..received.len])
            .map_err(|reason| self.refused(io::ErrorKind::InvalidData, &reason))?;
        if received.cut {
            let reason = "there are not enough descriptors left for the answer (RLIMIT_NOFILE)";
            return Err(self.refused(io::ErrorKind::Other, reason));
        }
        self.check(terms, greeting, received.user)?;
        Taken::new(received.fds, terms).map_err(|error| {
            if is_the_peers(&error) {
                self.refused(io::ErrorKind::InvalidData, &error.to_string())
            } else {
                error
            }
        })
    }

    /// Whether the answer is one that this end can live with.
    fn check(&self, terms: Terms, answer: Greeting, user: Option<u32>) -> Result<()> {
        let denied = |reason: &str| Err(self.refused(io::ErrorKind::PermissionDenied, reason));
        match answer.word {
            Word::User => denied(
                "the listener trusts its own user alone; say untrusted() at both ends if it need not",
            ),
            _ if answer.terms != terms => {
                let theirs = answer.terms;
                let reason = format!(
                    "the listener makes {theirs}, this end asked for {terms}: give both the same options"
                );
                Err(self.refused(io::ErrorKind::InvalidInput, &reason))
            }
            Word::Offer if terms.trust == Trust::Full && user != Some(socket::user()) => denied(
                "the listener is another user's; say untrusted() at both ends if it need not be trusted",
            ),
            Word::Offer => Ok(()),
            Word::Shortage => {
                let reason = "the listener has no memory or no descriptors left";
                Err(self.refused(io::ErrorKind::OutOfMemory, reason))
            }
            Word::Terms | Word::Unfit => {
                let reason = "the listener did not take what it was given";
                Err(self.refused(io::ErrorKind::InvalidData, reason))
            }
        }
    }

    fn refused(&self, kind: io::ErrorKind, reason: &str) -> Error {
        self.failed("connect")(io::Error::new(kind, reason))
    }

    fn failed(&self, call: &'static str) -> impl FnOnce(io::Error) -> Error {
        let object = object(self.address);
        move |error| Error::os(call, object, error)
    }
}

/// What a listener is called in errors.
pub(crate) fn object(address: &Address) -> String {
    format!("shared-memory listener {address}")
}

/// The error, with what to do about it.
fn explained(error: io::Error) -> io::Error {
    let advice = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ECONNREFUSED) => "nobody listens there; start the server first",
        Some(libc::EPROTOTYPE) => "what listens there does not share memory",
        Some(libc::EACCES) => "its file's mode does not let this user connect",
        Some(libc::ETOOMANYREFS) => {
            "this user has as many descriptors under way as RLIMIT_NOFILE allows; let the listener accept first"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {advice}"))
}

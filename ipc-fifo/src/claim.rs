//! Whose a control FIFO is, and taking over one that a killed manager has left.
//!
//! A manager holds a lock on the FIFO itself, which the kernel gives up for a process that is killed. The
//! descriptor that it is held on is open for writing alone, so that to senders nobody reads once the
//! receiver has gone. Opening that wants a reader; it stays, so that whoever finds one is received, until the
//! first receiver takes its place. The file stays the same: nothing is ever put in the place of another's.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::{Error, Result, open, sys};

/// The sole right to a control FIFO.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Locked, until the last copy is closed.
    _writer: OwnedFd,
    /// Until there is a receiver.
    reader: Mutex<Option<OwnedFd>>,
}

impl Claim {
    /// There is a receiver now, which takes what has come.
    pub(crate) fn is_received(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Makes the FIFO `name` in `directory`, or takes it over from a manager that was killed, and returns it
/// unopened. In errors it is `path`.
pub(crate) fn make_or_take_over(
    directory: &OwnedFd,
    name: &Path,
    path: &Path,
) -> Result<(OwnedFd, Claim)> {
    let object = open::object(path);
    let os = |call| {
        let object = &*object;
        move |errno: Errno| Error::os(call, object, errno)
    };
    loop {
        let (node, left) = match sys::make_fifo(directory, name, &object) {
            Ok(node) => (node, false),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match sys::find(directory, name) {
                    Ok(node) => (node, true),
                    Err(Errno::ENOENT) => continue, // its manager has just ended
                    Err(errno) => return Err(os("open")(errno)),
                }
            }
            // Made, and removed before it was opened: somebody took it over and has ended.
            Err(Error::Os {
                call: "open",
                source,
                ..
            }) if source.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            Err(error) => return Err(error),
        };
        let found = sys::stat(&node).map_err(os("fstat"))?;
        open::check(&found, path)?;
        // Somebody may read it without a claim: a child of the manager's, say.
        if left && is_read(&node).map_err(os("open"))? {
            return Err(lives(&object));
        }
        // Whoever waits for a manager can send from here on.
        let reader = sys::open_end(&node, OFlag::O_RDWR).map_err(os("open"))?;
        let writer = sys::open_end(&node, OFlag::O_WRONLY).map_err(os("open"))?;
        if !sys::lock(&writer).map_err(os("flock"))? {
            return Err(lives(&object));
        }
        if left {
            // The one before may have read a part of a message; the next begins where nothing is left.
            sys::drain(&reader).map_err(os("read"))?;
        }
        // Who had it before may have removed it since it was found.
        if !sys::find(directory, name).is_ok_and(|node| is(&node, found.id)) {
            continue;
        }
        let claim = Claim {
            _writer: writer,
            reader: Mutex::new(Some(reader)),
        };
        return Ok((node, claim));
    }
}

fn is(node: &OwnedFd, id: sys::Id) -> bool {
    sys::stat(node).is_ok_and(|found| found.id == id)
}

/// Whether somebody has it open to read.
fn is_read(node: &OwnedFd) -> nix::Result<bool> {
    match sys::open_end(node, OFlag::O_WRONLY) {
        Ok(_) => Ok(true),
        Err(Errno::ENXIO) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn lives(object: &str) -> Error {
    let reason = "its manager lives, or a child that it forked: stop that one first";
    let error = io::Error::new(io::ErrorKind::AlreadyExists, reason);
    Error::os("flock", object, error)
}

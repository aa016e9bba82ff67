//! Rendezvous: opening a FIFO's ends in either order, with a deadline, and only a FIFO that nobody
//! else can have a hand in.
//!
//! open(2) of a FIFO's end sleeps until the other end is opened, and takes no deadline. With
//! `O_NONBLOCK` opening to read succeeds at once, and the end sleeps in poll until the first
//! writer; opening to write fails with `ENXIO` while nobody reads. The kernel tells nobody when
//! that changes, so a sender tries again and again. An inotify watch for `IN_OPEN` would be no
//! better: it misses a foreign reader that sleeps in its own open, which is an event only when it
//! returns.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::SFlag;

use crate::sys::{self, Id, Stat};
use crate::{Error, Result, Wait};

/// A sender's first pause between two tries, for a receiver that is about to come.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
/// Its longest: a late receiver costs next to nothing.
const LAST_PAUSE: Duration = Duration::from_millis(1);

/// What the FIFO at `path` is called in errors.
pub(crate) fn object(path: &Path) -> String {
    format!("FIFO {}", path.display())
}

/// The name that an inherited end brings along.
pub(crate) fn named(object: &[u8]) -> Result<&str> {
    std::str::from_utf8(object)
        .map_err(|_| Error::malformed("inherited FIFO", "its name is no text"))
}

/// Opens the FIFO `path` to read, without waiting; `id` is which it must be, and `access` is to read
/// alone, or to hold it open for writing, too.
pub(crate) fn reader(path: &Path, id: Option<Id>, access: OFlag) -> Result<OwnedFd> {
    let node = find(path, id)?;
    sys::open_end(&node, access).map_err(|errno| Error::os("open", object(path), errno))
}

/// Opens the FIFO `path` to write, as soon as somebody has it open to read.
pub(crate) fn writer(path: &Path, id: Option<Id>, wait: Wait) -> Result<OwnedFd> {
    let mut pause = FIRST_PAUSE;
    loop {
        // Found anew each time: the path may have been removed, or be another FIFO's by now.
        let node = find(path, id)?;
        match sys::open_end(&node, OFlag::O_WRONLY) {
            Err(Errno::ENXIO) if wait.is_over() => return Err(wait.error()),
            Err(Errno::ENXIO) => {
                thread::sleep(wait.remaining().map_or(pause, |left| left.min(pause)));
                pause = (pause * 2).min(LAST_PAUSE);
            }
            opened => return opened.map_err(|errno| Error::os("open", object(path), errno)),
        }
    }
}

/// The FIFO at `path`, unopened, once it is seen to be one, this user's, and closed to others.
fn find(path: &Path, id: Option<Id>) -> Result<OwnedFd> {
    let node = sys::find(AT_FDCWD, path).map_err(|errno| match (errno, id) {
        (Errno::ENOENT, Some(_)) => removed(path),
        (Errno::ENOENT, None) => {
            let error = io::Error::from(errno);
            let help = "nobody made it, or its maker has ended; make it with `Fifo::create`";
            let error = io::Error::new(error.kind(), format!("{error}: {help}"));
            Error::os("open", object(path), error)
        }
        _ => Error::os("open", object(path), errno),
    })?;
    let stat = sys::stat(&node).map_err(|errno| Error::os("fstat", object(path), errno))?;
    if id.is_some_and(|id| id != stat.id) {
        return Err(removed(path));
    }
    check(&stat, path)?;
    Ok(node)
}

/// That what was found at `path` is a FIFO, this user's, and closed to others.
pub(crate) fn check(stat: &Stat, path: &Path) -> Result<()> {
    let refuse = |kind, reason: String| {
        let error = io::Error::new(kind, reason);
        Err(Error::os("open", path.display().to_string(), error))
    };
    if stat.kind != SFlag::S_IFIFO {
        let kind = kind(stat.kind);
        return refuse(
            io::ErrorKind::InvalidInput,
            format!("is {kind}, not a FIFO"),
        );
    }
    let user = sys::user();
    if stat.uid != user {
        let reason = format!(
            "the FIFO is user {}'s, and this process is user {user}'s: each user makes their own",
            stat.uid
        );
        return refuse(io::ErrorKind::PermissionDenied, reason);
    }
    if stat.mode & 0o077 != 0 {
        let reason = format!(
            "the FIFO's mode {:o} lets other users in: make it with `Fifo::create` or `mkfifo -m 600`",
            stat.mode
        );
        return refuse(io::ErrorKind::PermissionDenied, reason);
    }
    Ok(())
}

/// The directory at `path`, to make a FIFO in: one in which no other user can put something else in
/// its place.
pub(crate) fn directory(path: &Path) -> Result<OwnedFd> {
    let name = || format!("directory {}", path.display());
    let fd = sys::open_directory(path).map_err(|errno| Error::os("open", name(), errno))?;
    let stat = sys::stat(&fd).map_err(|errno| Error::os("fstat", name(), errno))?;
    let (others_write, sticky) = (stat.mode & 0o022 != 0, stat.mode & 0o1000 != 0);
    let (user, strange) = (sys::user(), stat.uid != 0 && stat.uid != sys::user());
    if strange || (others_write && !sticky) {
        let reason = format!(
            "user {}'s, of mode {:o}, and this process is user {user}'s: others could put something \
             else in the FIFO's place; make a directory of mode 700 for it, in $XDG_RUNTIME_DIR",
            stat.uid, stat.mode
        );
        let error = io::Error::new(io::ErrorKind::PermissionDenied, reason);
        return Err(Error::os("mkfifo", name(), error));
    }
    Ok(fd)
}

fn removed(path: &Path) -> Error {
    Error::Removed {
        object: object(path).into(),
    }
}

fn kind(kind: SFlag) -> &'static str {
    match kind {
        SFlag::S_IFREG => "a regular file",
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFLNK => "a symbolic link",
        SFlag::S_IFSOCK => "a socket",
        _ => "a device",
    }
}

//! System calls: making a FIFO 0600 under any umask, finding one without opening it, opening what
//! was found, locking it, and a private directory.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
#[expect(deprecated)]
use nix::fcntl::flock;
use nix::fcntl::{AT_FDCWD, FlockArg, OFlag, open, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstat};
use nix::unistd::{self, UnlinkatFlags, mkdtemp, mkfifoat};

use crate::{Error, Result};

/// What fstat tells of a file.
pub(crate) struct Stat {
    pub(crate) kind: SFlag,
    /// The permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) id: Id,
}

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

/// Makes the FIFO `name` in `dir`, exclusively and 0600, and returns it unopened.  mkfifoat(3)
pub(crate) fn make_fifo(dir: impl AsFd, name: &Path, object: &str) -> Result<OwnedFd> {
    let private = Mode::S_IRUSR | Mode::S_IWUSR;
    mkfifoat(&dir, name, private).map_err(|errno| {
        let mut error = io::Error::from(errno);
        if errno == Errno::EEXIST {
            let help =
                "open it with `open_sender` or `open_receiver`, or remove what a killed maker left";
            error = io::Error::new(error.kind(), format!("{error}: {help}"));
        }
        Error::os("mkfifo", object, error)
    })?;
    let made = match find(&dir, name) {
        Ok(node) => set_mode(&node, private)
            .map(|()| node)
            .map_err(|errno| ("chmod", errno)),
        Err(errno) => Err(("open", errno)),
    };
    made.map_err(|(call, errno)| {
        if errno != Errno::ENOENT {
            remove_file(&dir, name); // else somebody has, and the name may be another's by now
        }
        Error::os(call, object, errno)
    })
}

/// What `name` in `dir` is, not followed and not opened.  open(2), `O_PATH`
pub(crate) fn find(dir: impl AsFd, name: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

/// The directory at `path`, to find files in.  open(2), `O_PATH`
pub(crate) fn open_directory(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
}

/// fstat(2)
pub(crate) fn stat(node: &OwnedFd) -> nix::Result<Stat> {
    let stat = fstat(node)?;
    Ok(Stat {
        kind: SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        id: Id {
            dev: stat.st_dev,
            ino: stat.st_ino,
        },
    })
}

/// Opens what was found, without waiting for the other end.  fifo(7), proc(5)
pub(crate) fn open_end(node: &OwnedFd, flags: OFlag) -> nix::Result<OwnedFd> {
    let flags = flags | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    open(&by_descriptor(node), flags, Mode::empty())
}

/// Locks what `fd` is open on until its last copy is closed; false if somebody else has.  flock(2)
#[expect(deprecated)] // `Flock` unlocks as it is dropped, for a process that has forked off a copy, too
pub(crate) fn lock(fd: &OwnedFd) -> nix::Result<bool> {
    match flock(fd.as_raw_fd(), FlockArg::LockExclusiveNonblock) {
        Ok(()) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Reads what is there, and forgets it.  read(2)
pub(crate) fn drain(fd: &OwnedFd) -> nix::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        match unistd::read(fd, &mut bytes) {
            Ok(0) | Err(Errno::EAGAIN) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Makes a directory of a name that nobody has, 0700, in `parent`.  mkdtemp(3)
pub(crate) fn make_directory(parent: &Path) -> nix::Result<(PathBuf, OwnedFd)> {
    let path = mkdtemp(&parent.join("ipc-fifo.XXXXXX"))?;
    let made = find(AT_FDCWD, &path).and_then(|dir| set_mode(&dir, Mode::S_IRWXU).map(|()| dir));
    match made {
        Ok(dir) => Ok((path, dir)),
        Err(errno) => {
            let _ = std::fs::remove_dir(&path);
            Err(errno)
        }
    }
}

/// Removes the file `name` from `dir`.  unlinkat(2)
pub(crate) fn remove_file(dir: impl AsFd, name: &Path) {
    let _ = unistd::unlinkat(dir, name, UnlinkatFlags::NoRemoveDir);
}

/// The user on whose behalf the kernel acts.  geteuid(2)
pub(crate) fn user() -> u32 {
    unistd::geteuid().as_raw()
}

/// Gives what was found exactly this mode, if the umask took some of it away. Through /proc,
/// because a descriptor that is no open file can be named in no other way.  umask(2), proc(5)
fn set_mode(node: &OwnedFd, mode: Mode) -> nix::Result<()> {
    if stat(node)?.mode == mode.bits() {
        return Ok(());
    }
    fchmodat(
        AT_FDCWD,
        &by_descriptor(node),
        mode,
        FchmodatFlags::FollowSymlink,
    )
}

fn by_descriptor(node: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", node.as_raw_fd()).into()
}

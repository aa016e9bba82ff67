//! Taking over the socket file that a killed server has left, and never a live one's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::{Error, Result, Wait, file, sys};

/// How long a start waits for another's: each is a few system calls.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// The sole right to make or take over a socket file: a lock on `<path>.lock`. The kernel gives it
/// up for a process that is killed; the file that is then left is locked again, and removed, by the
/// next start.
pub(crate) struct Lock {
    path: PathBuf,
    /// Held until after the file is removed.
    _file: Flock<File>,
}

impl Lock {
    /// The lock for the socket file `path`.  flock(2)
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let os = |call| {
            let object = format!("lock file {}", path.display());
            move |error| Error::os(call, object, error)
        };
        let wait = Wait::from(PATIENCE);
        loop {
            let file = open(&path).map_err(os("open"))?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                // Whoever had it before has removed it: another may have made and locked a new one.
                Ok(file) if file.metadata().is_ok_and(|found| found.nlink() == 0) => {}
                Ok(file) => return Ok(Lock { path, _file: file }),
                Err((_, error)) if error == Errno::EWOULDBLOCK && !wait.is_over() => {
                    thread::sleep(PAUSE);
                }
                Err((_, error)) => return Err(os("flock")(error.into())),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(file::MODE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
    };
    match open() {
        // A strange umask took its mode: give it back, for those who come next, too.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            file::give_back_mode(path)?;
            open()
        }
        opened => opened,
    }
}

/// Whether `path` is a socket's file and the socket is gone.
///
/// The probe is a datagram socket: the kernel finds the other first, and then says that it is of
/// another type. So a server that is there notices nothing, even with a full queue or not yet
/// listening.  `unix_find_bsd` in the kernel
pub(crate) fn is_stale(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|found| found.file_type().is_socket())
        && sys::probe(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

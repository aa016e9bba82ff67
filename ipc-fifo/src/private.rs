//! A FIFO that has a name only while it is opened.

use std::env;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::{Error, Result, sys};

/// What it is called in errors, having no name any more.
pub(crate) const OBJECT: &str = "private FIFO";
/// What it was called in its directory.
const NAME: &str = "fifo";

/// The read end, opened for this `access`, and the write end of a new FIFO, whose name and directory
/// are gone again.
pub(crate) fn ends(access: OFlag) -> Result<(OwnedFd, OwnedFd)> {
    let directory = Directory::new()?;
    let node = sys::make_fifo(&directory.fd, Path::new(NAME), OBJECT)?;
    let open =
        |flags| sys::open_end(&node, flags).map_err(|errno| Error::os("open", OBJECT, errno));
    // In this order neither waits.
    Ok((open(access)?, open(OFlag::O_WRONLY)?))
}

/// A directory of its own, removed on drop with the FIFO in it.
struct Directory {
    path: PathBuf,
    fd: OwnedFd,
}

impl Directory {
    fn new() -> Result<Self> {
        let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let temporary = env::temp_dir();
        let made = runtime.and_then(|parent| sys::make_directory(&parent).ok());
        let (path, fd) = made
            .map_or_else(|| sys::make_directory(&temporary), Ok)
            .map_err(|errno| Error::os("mkdtemp", temporary.display().to_string(), errno))?;
        Ok(Directory { path, fd })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        sys::remove_file(&self.fd, Path::new(NAME));
        let _ = fs::remove_dir(&self.path);
    }
}

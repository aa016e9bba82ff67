//! A file that one process at a time has, and that says which.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{mem, process};

use crate::{Error, Result, siblings, sys};

/// A file that one process at a time has: a second start of a service finds it held, and is told by
/// whom.
///
/// What counts is the lock, which ends with the process whatever kills it; the number in the file
/// is for people, and for `kill $(cat FILE)`. Children do not inherit the lock. Only the file's
/// user can open it, since whoever can open it can lock it. Dropping it, in the process that made
/// it, removes the file.
///
/// flock(2)
#[derive(Debug)]
pub struct PidFile {
    /// Closed by its owner alone: in a forked child it is closed already.
    file: Option<File>,
    path: PathBuf,
    owner: u32,
}

impl PidFile {
    /// Locks the file, which is made if there is none, and writes this process's number into it.
    ///
    /// # Errors
    ///
    /// [`Held`](Error::Held) if another process has it; [`Os`](Error::Os) if it cannot be made, is
    /// another user's, or is no plain file.
    ///
    /// ```
    /// use ipc_process::{Error, PidFile};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("service.pid");
    /// let held = PidFile::lock(&path)?;
    /// assert_eq!(std::fs::read_to_string(&path)?, format!("{}\n", std::process::id()));
    /// let error = PidFile::lock(&path).unwrap_err();
    /// assert!(matches!(error, Error::Held { pid: Some(pid), .. } if pid == std::process::id()));
    /// drop(held);
    /// assert!(!path.exists());
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = PidFile::lock_only(path.as_ref())?;
        file.take_over()?;
        Ok(file)
    }

    /// Locks the file for a process that this one is going to make.
    pub(crate) fn lock_only(path: &Path) -> Result<Self> {
        let os = |call| move |e: io::Error| Error::os(call, object(path), e);
        let path = std::path::absolute(path).map_err(os("getcwd"))?;
        loop {
            let file = open(&path).map_err(os("open"))?;
            match sys::lock(file.as_fd()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::Held {
                        pid: written_in(&file),
                        path,
                    });
                }
                locked => locked.map_err(os("flock"))?,
            }
            // The one who had it may have removed it before it unlocked it.
            if is_at(&file, &path).map_err(os("fstat"))? {
                file.set_permissions(Permissions::from_mode(0o600))
                    .map_err(os("fchmod"))?;
                return Ok(PidFile {
                    file: Some(file),
                    path,
                    owner: process::id(),
                });
            }
        }
    }

    /// Makes it this process's.
    pub(crate) fn take_over(&mut self) -> Result<()> {
        let Some(mut file) = self.file.as_ref() else {
            return Ok(()); // it is there until the drop
        };
        let mut write = || -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", process::id())
        };
        write().map_err(|e| Error::os("write", object(&self.path), e))?;
        siblings::add_fd(file.as_fd());
        self.owner = process::id();
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let file = self.file.take();
        if self.owner != process::id() {
            mem::forget(file);
        } else if let Some(file) = file {
            if is_at(&file, &self.path).unwrap_or(false) {
                let _ = fs::remove_file(&self.path); // while it is locked
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    // A link could be anybody's, and a FIFO could make this wait.
    let file = options
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .and_then(sys::off_the_standard_streams)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "no plain file"))
    }
}

/// Whether the file is what the path leads to.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        there => there.map(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())),
    }
}

fn written_in(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn object(path: &Path) -> String {
    format!("pid file {}", path.display())
}

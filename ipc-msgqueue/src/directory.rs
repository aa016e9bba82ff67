//! [`Directory`]: files in a directory that was given, by plain names: nothing leads out of it.
//!
//! Everything is relative to the directory's descriptor, and no link is followed.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::{Error, Result};

/// An open directory.
pub(crate) struct Directory<'a> {
    fd: OwnedFd,
    path: &'a Path,
}

impl<'a> Directory<'a> {
    /// Opens the directory `path`, which may be anybody's.
    pub(crate) fn open(path: &'a Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(AT_FDCWD, path, flags, Mode::empty())
            .map_err(|errno| Error::os("open", object(path), errno))?;
        Ok(Directory { fd, path })
    }

    /// Opens the directory `path` if nobody but this user has access.
    pub(crate) fn open_private(path: &'a Path) -> Result<Self> {
        let directory = Directory::open(path)?;
        let failed = |source| Error::os("fstat", object(path), source);
        let found = fstat(&directory.fd).map_err(|errno| failed(errno.into()))?;
        let (owner, mode, user) = (found.st_uid, found.st_mode & 0o777, geteuid().as_raw());
        if owner != user || mode & 0o077 != 0 {
            let reason = format!(
                "it belongs to uid {owner} with mode {mode:04o}; it must be private: of uid {user} \
                 with mode 0700"
            );
            return Err(failed(io::Error::new(
                io::ErrorKind::PermissionDenied,
                reason,
            )));
        }
        Ok(directory)
    }

    /// Makes a file that was not there, 0600 under any umask, with these bytes. Whatever fails,
    /// there is no file.
    pub(crate) fn create(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| self.error("openat", name, errno))?;
        let mut file = File::from(fd);
        let written = file
            .set_permissions(PermissionsExt::from_mode(0o600))
            .and_then(|()| file.write_all(bytes));
        written.map_err(|error| {
            self.remove(name);
            self.error("write", name, error)
        })
    }

    /// Reads the file into `body`, if it is a plain file of this user, with this one name, and of
    /// `len` bytes. If it is to `remove` it, the file is gone before the first byte is read: whoever is
    /// killed on the way leaves nothing.
    pub(crate) fn read(
        &self,
        name: &str,
        len: u64,
        body: &mut Vec<u8>,
        remove: bool,
    ) -> Result<()> {
        // O_NONBLOCK: opening a FIFO would wait.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::empty())
            .map_err(|errno| self.error("openat", name, errno))?;
        let file = File::from(fd);
        let found = file
            .metadata()
            .map_err(|error| self.error("fstat", name, error))?;
        let strange = |reason: String| {
            let error = io::Error::new(io::ErrorKind::InvalidData, reason);
            Err(self.error("fstat", name, error))
        };
        if !found.is_file() || found.nlink() != 1 {
            return strange("it is no plain file with one name".to_owned());
        }
        if found.uid() != geteuid().as_raw() {
            return strange(format!("it belongs to uid {}", found.uid()));
        }
        if remove {
            self.remove(name);
        }
        if found.len() != len {
            return strange(format!(
                "it has {} bytes, the message says {len}",
                found.len()
            ));
        }
        body.clear();
        let read = file.take(len).read_to_end(body);
        match read.map(|read| read as u64) {
            Ok(read) if read == len => Ok(()),
            Ok(read) => strange(format!("it shrank to {read} bytes while it was read")),
            Err(error) => Err(self.error("read", name, error)),
        }
    }

    /// Removes the file, if it is there.
    pub(crate) fn remove(&self, name: &str) {
        let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
    }

    /// Calls `each` with every name that is text.
    pub(crate) fn names(&self, mut each: impl FnMut(&str)) {
        let Ok(fd) = self.fd.try_clone() else { return };
        let Ok(mut entries) = Dir::from_fd(fd) else {
            return;
        };
        for entry in entries.iter().flatten() {
            let name: &CStr = entry.file_name();
            if let Ok(name) = name.to_str() {
                each(name);
            }
        }
    }

    fn error(&self, call: &'static str, name: &str, source: impl Into<io::Error>) -> Error {
        let path: PathBuf = self.path.join(name);
        Error::os(call, format!("spilled message {}", path.display()), source)
    }
}

fn object(path: &Path) -> String {
    format!("spill directory {}", path.display())
}

//! The file by which a listener is found.

use std::fs::{self, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use crate::sys;

pub(crate) const MODE: u32 = 0o600;

/// The file of a bound socket: removed on drop, by the process that made it, if it is still the
/// same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Absolute: the working directory may change.
    path: PathBuf,
    inode: (u64, u64),
    maker: u32,
}

impl SocketFile {
    /// Takes over the file at `path`, which `bind` has just made there, and gives it back what a
    /// strange umask took of its mode.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let found = fs::symlink_metadata(&path)?; // takes no descriptor: there may be none left
        let file = SocketFile {
            path,
            inode: inode(&found),
            maker: process::id(),
        };
        if found.file_type().is_socket() && found.mode() & MODE != MODE {
            give_back_mode(&file.path)?;
        }
        Ok(file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = || {
            let found = fs::symlink_metadata(&self.path);
            found.is_ok_and(|found| inode(&found) == self.inode)
        };
        if process::id() == self.maker && same() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Gives this user's file at `path` the mode that it was to be made with, by a descriptor: the name
/// may come to mean another file.
pub(crate) fn give_back_mode(path: &Path) -> io::Result<()> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
        .open(path)?;
    if opened.metadata()?.uid() != sys::user() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let name = format!("/proc/self/fd/{}", opened.as_raw_fd());
    fs::set_permissions(name, Permissions::from_mode(MODE))
}

fn inode(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only root can make such a file, and only root could change it: for others there is no case.
    #[test]
    fn the_mode_of_anothers_file_stays() {
        let path = std::env::temp_dir().join(format!("ipc-socket-file-{}", process::id()));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let given_away = std::os::unix::fs::chown(&path, Some(65_534), None).is_ok();
        let result = give_back_mode(&path);
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        fs::remove_file(&path).unwrap();
        assert_eq!((result.is_err(), mode == 0o400), (given_away, given_away));
    }
}

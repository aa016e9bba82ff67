//! A file in the place of stdout and stderr.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::fork::flush_streams;
use crate::{Error, Result, sys};

/// A file that takes what this process, and children made later, write to stdout and stderr.
///
/// It is appended to, so that several processes may write lines into it. Whoever rotates logs moves
/// the file away and sends SIGHUP; then [`reopen`](LogFile::reopen), in every process that has it.
///
/// ```
/// use ipc_process::{LogFile, fork};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("service.log");
/// # let moved = directory.path().join("service.log.1");
/// let (child, ()) = fork(((), ()), |()| -> Result<(), Box<dyn std::error::Error>> {
///     let log = LogFile::open(&path)?;
///     println!("before");
///     std::fs::rename(&path, &moved)?;
///     println!("still there");
///     log.reopen()?;
///     println!("after");
///     Ok(())
/// })?;
/// child.join()?;
/// assert_eq!(std::fs::read_to_string(&moved)?, "before\nstill there\n");
/// assert_eq!(std::fs::read_to_string(&path)?, "after\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LogFile {
    path: PathBuf,
}

impl LogFile {
    /// Opens the file, which is made (0600) if there is none, in the place of stdout and stderr.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) if it cannot be opened; the streams are then as they were.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = std::path::absolute(path.as_ref());
        let path = path.map_err(|e| Error::os("getcwd", "log file", e))?;
        let log = LogFile { path };
        log.reopen()?;
        Ok(log)
    }

    /// Opens the path anew: another file, if somebody has moved the old one away.
    ///
    /// # Errors
    ///
    /// As [`open`](LogFile::open).
    pub fn reopen(&self) -> Result<()> {
        let file = append_to(&self.path)?;
        flush_streams();
        let os = |e: nix::Error| Error::os("dup2", "stdout and stderr", e);
        nix::unistd::dup2_stdout(&file).map_err(os)?;
        nix::unistd::dup2_stderr(&file).map_err(os)
    }
}

/// Whether the file could be opened.
pub(crate) fn append_to(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .and_then(sys::off_the_standard_streams)
        .map_err(|e: io::Error| Error::os("open", format!("log file {}", path.display()), e))
}

//! What can go wrong with a child.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::{error, fmt, io};

/// The result of every operation on a child.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a child.
///
/// [`Display`](fmt::Display) says what happened and what to do about it; `Debug` prints the same,
/// so that `unwrap` and a failing `main` are readable.
#[non_exhaustive]
pub enum Error {
    /// The child ended, and not with success.
    Failed {
        /// Its process id, as it was.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
    },
    /// Another process has the pid file.
    Held {
        /// The file.
        path: PathBuf,
        /// The process that has it, if it has said so yet.
        pid: Option<u32>,
    },
    /// What the channels have to say: an end cannot be taken apart, say, or a wait is over.
    Ipc(ipc_core::Error),
    /// This program was not started by [`run`](crate::run), or its ends have been taken already.
    Nothing,
    /// A system call failed.
    Os {
        /// The call, by its man page: `fork`.
        call: &'static str,
        /// The object it was made on, such as `child 4711`.
        object: Box<str>,
        /// What the kernel said.
        source: io::Error,
    },
    /// This process has several threads: a fork would copy one of them, and the locks of all.
    Threaded {
        /// How many there are.
        threads: usize,
    },
    /// The function is not among those that `entries!` names at the top of `main`.
    Unregistered {
        /// The function, with its path.
        entry: &'static str,
    },
    /// The child is gone, and how it ended is not known: the kernel threw its status away because
    /// SIGCHLD is ignored, somebody else waited for it, or this process is not the one that forked
    /// it.
    Unknown {
        /// Its process id, as it was.
        pid: u32,
    },
}

impl Error {
    pub(crate) fn os(
        call: &'static str,
        object: impl Into<Box<str>>,
        source: impl Into<io::Error>,
    ) -> Self {
        Error::Os {
            call,
            object: object.into(),
            source: source.into(),
        }
    }

    /// The [`io::ErrorKind`] nearest in meaning.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Error::Failed { .. } => io::ErrorKind::Other,
            Error::Held { .. } => io::ErrorKind::AlreadyExists,
            Error::Ipc(error) => error.kind(),
            Error::Os { source, .. } => source.kind(),
            Error::Threaded { .. } => io::ErrorKind::Unsupported,
            Error::Nothing | Error::Unknown { .. } => io::ErrorKind::NotFound,
            Error::Unregistered { .. } => io::ErrorKind::InvalidInput,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed { pid, status } => {
                write!(f, "child {pid} failed with {status}")?;
                match status.code() {
                    Some(101) => f.write_str(": it panicked, its message is on stderr"),
                    _ => Ok(()),
                }
            }
            Error::Held { path, pid } => {
                write!(f, "pid file {} is locked by ", path.display())?;
                match pid {
                    Some(pid) => write!(f, "process {pid}: it is running already, stop it first"),
                    None => f.write_str("another process, which is just starting"),
                }
            }
            Error::Ipc(error) => error.fmt(f),
            Error::Nothing => f.write_str(
                "no ends were handed to this program, or they have been taken: start it with \
                 ipc_process::run, and call inherited() once",
            ),
            Error::Os {
                call,
                object,
                source,
            } => write!(f, "{call} on {object}: {source}"),
            Error::Threaded { threads } => write!(
                f,
                "fork refused, this process has {threads} threads and a child would get the locks \
                 of all but only one to release them: fork before starting threads (or a runtime), \
                 or spawn a program of its own for the other end"
            ),
            Error::Unknown { pid } => write!(
                f,
                "child {pid} is gone and its status is not known: SIGCHLD is ignored, another \
                 wait took it, or another process forked it; leave SIGCHLD at its default and \
                 wait for children by their `Child` only"
            ),
            Error::Unregistered { entry } => write!(
                f,
                "{entry} cannot be spawned, a new process would not find it: name it in \
                 ipc_process::entries! {{ .. }} at the top of main, as a function"
            ),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Ipc(error) => Some(error),
            Error::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<ipc_core::Error> for Error {
    fn from(error: ipc_core::Error) -> Self {
        Error::Ipc(error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}

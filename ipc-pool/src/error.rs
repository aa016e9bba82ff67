//! What can go wrong with a pool.

use std::{error, fmt, io};

/// The result of every operation on a pool.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a pool.
///
/// [`Display`](fmt::Display) says what happened and what to do about it; `Debug` prints the same,
/// so that `unwrap` and a failing `main` are readable.
#[non_exhaustive]
pub enum Error {
    /// The handler answered with an error, or panicked. The task is done all the same.
    Task {
        /// The task's id.
        id: u64,
        /// What the handler said.
        message: Box<str>,
    },
    /// The task killed too many workers, and is given to no other.
    Quarantined {
        /// The task's id; the pool keeps the payload and the history.
        id: u64,
    },
    /// The payload is longer than the pool carries. Nothing was submitted.
    TooLarge {
        /// Bytes in the payload.
        len: usize,
        /// Bytes allowed: `Pool::max_len`.
        max: usize,
    },
    /// There is no such worker.
    UnknownWorker {
        /// The id that was given.
        worker: usize,
        /// How many there are: ids are below this.
        workers: usize,
    },
    /// The deadline passed. A task that was submitted goes on.
    TimedOut,
    /// It cannot be done without waiting.
    WouldBlock,
    /// The pool is stopped, or being stopped.
    Stopped,
    /// The pool is not made for this. Nothing was done.
    Invalid {
        /// What it lacks.
        reason: &'static str,
    },
    /// A pool could not start, or a new worker in a reload.
    Start {
        /// What the worker said, or how it ended; or what [`on_start`](crate::Pool::on_start) panicked with.
        reason: Box<str>,
    },
    /// The pool has failed: its template is dead, say, or a callback of the owner panicked.
    Failed {
        /// What happened.
        reason: Box<str>,
        /// The payloads of the tasks that waited, and were not run.
        queue: Vec<Vec<u8>>,
    },
    /// A process could not be made or watched.
    Process(ipc_process::Error),
    /// A channel to a worker failed.
    Channel(ipc_core::Error),
}

impl Error {
    /// The [`io::ErrorKind`] nearest in meaning.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Error::Task { .. }
            | Error::Quarantined { .. }
            | Error::Start { .. }
            | Error::Failed { .. } => io::ErrorKind::Other,
            Error::TooLarge { .. } | Error::UnknownWorker { .. } | Error::Invalid { .. } => {
                io::ErrorKind::InvalidInput
            }
            Error::TimedOut => io::ErrorKind::TimedOut,
            Error::WouldBlock => io::ErrorKind::WouldBlock,
            Error::Stopped => io::ErrorKind::BrokenPipe,
            Error::Process(error) => error.kind(),
            Error::Channel(error) => error.kind(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Task { id, message } => write!(f, "task {id} failed: {message}"),
            Error::Quarantined { id } => write!(
                f,
                "task {id} killed its worker again and again and is quarantined: its payload and \
                 how the workers died are kept (Handle::quarantined)"
            ),
            Error::TooLarge { len, max } => {
                write!(
                    f,
                    "payload of {len} bytes, max_len is {max}: raise Pool::max_len"
                )
            }
            Error::UnknownWorker { worker, workers } => write!(
                f,
                "there is no worker {worker}: the pool has {workers}, with ids from 0 on"
            ),
            Error::TimedOut => f.write_str("the deadline passed"),
            Error::WouldBlock => f.write_str("it cannot be done without waiting"),
            Error::Stopped => f.write_str("the pool is stopped"),
            Error::Invalid { reason } => write!(f, "the pool is not made for this: {reason}"),
            Error::Start { reason } => write!(f, "could not start: {reason}"),
            Error::Failed { reason, queue } => write!(
                f,
                "the pool has failed: {reason}; the {} tasks that waited are in this error, for a new pool",
                queue.len()
            ),
            Error::Process(error) => error.fmt(f),
            Error::Channel(error) => error.fmt(f),
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
            Error::Process(error) => error.source(),
            Error::Channel(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ipc_core::Error> for Error {
    fn from(error: ipc_core::Error) -> Self {
        match error {
            ipc_core::Error::TimedOut => Error::TimedOut,
            ipc_core::Error::WouldBlock => Error::WouldBlock,
            error => Error::Channel(error),
        }
    }
}

impl From<ipc_process::Error> for Error {
    fn from(error: ipc_process::Error) -> Self {
        Error::Process(error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}

//! The one error type of all mechanisms.

use std::{error, fmt, io};

/// The result of every operation on a channel.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong on a channel.
///
/// [`Display`](fmt::Display) says what happened, to which object, and what to do about it; `Debug` prints the same,
/// so that `unwrap` and a failing `main` are readable.
///
/// ```
/// use ipc_core::{Error, Receiver, Sender};
///
/// let (mut tx, mut rx) = ipc_pipe::PipeOptions::new().max_len(4).channel()?;
/// assert_eq!(
///     tx.send(b"hello").unwrap_err().to_string(),
///     "message of 5 bytes, max_len is 4: raise max_len at both ends, or send it in parts"
/// );
/// drop(tx);
/// match rx.recv() {
///     Err(Error::Disconnected) => {} // the end of a conversation is no failure
///     message => println!("{:?}", message?),
/// }
/// # Ok::<(), Error>(())
/// ```
#[non_exhaustive]
pub enum Error {
    /// A codec refused a value, or the bytes of one.
    Codec(Box<dyn error::Error + Send + Sync>),
    /// The peer is gone, and everything it had sent has been received.
    Disconnected,
    /// What was received is no message. The receiver is poisoned: it says so from now on.
    Malformed {
        /// The object it came from, such as `FIFO /run/app/in`.
        object: Box<str>,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// A system call failed.
    Os {
        /// The call, by its man page: `msgsnd`.
        call: &'static str,
        /// The object it was made on, such as `FIFO /run/app/in`.
        object: Box<str>,
        /// What the kernel said.
        source: io::Error,
    },
    /// The object itself was removed while in use.
    Removed {
        /// The object, such as `SysV queue 7`.
        object: Box<str>,
    },
    /// The deadline passed. Nothing was sent, and nothing received was lost.
    TimedOut,
    /// The message is longer than this end carries. Nothing was sent; the sender stays usable.
    TooLarge {
        /// Bytes in the message.
        len: usize,
        /// Bytes allowed.
        max: usize,
        /// Which limit it is: `max_len`, `msgmax`, `PIPE_BUF`, `ring capacity`, `SO_SNDBUF`.
        limit: &'static str,
    },
    /// It cannot be done without waiting. Nothing was sent or received.
    WouldBlock,
}

impl Error {
    /// The error of the system call `call` on `object`.
    pub fn os(
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

    /// What arrived from `object` is no message, for this `reason`.
    pub fn malformed(object: impl Into<Box<str>>, reason: impl Into<Box<str>>) -> Self {
        Error::Malformed {
            object: object.into(),
            reason: reason.into(),
        }
    }

    /// The [`io::ErrorKind`] nearest in meaning.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Error::Codec(_) | Error::Malformed { .. } => io::ErrorKind::InvalidData,
            Error::Disconnected => io::ErrorKind::BrokenPipe,
            Error::Os { source, .. } => source.kind(),
            Error::Removed { .. } => io::ErrorKind::NotFound,
            Error::TimedOut => io::ErrorKind::TimedOut,
            Error::TooLarge { .. } => io::ErrorKind::InvalidInput,
            Error::WouldBlock => io::ErrorKind::WouldBlock,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Codec(source) => write!(f, "codec: {source}"),
            Error::Disconnected => f.write_str("the peer is gone"),
            Error::Malformed { object, reason } => {
                write!(
                    f,
                    "{object}: {reason}; close this end, the stream cannot be trusted any more"
                )
            }
            Error::Os {
                call,
                object,
                source,
            } => {
                write!(f, "{call} on {object}: {source}")?;
                f.write_str(advice(source))
            }
            Error::Removed { object } => write!(
                f,
                "{object} was removed while in use; open or create it anew"
            ),
            Error::TimedOut => f.write_str("the deadline passed"),
            Error::TooLarge { len, max, limit } => {
                let (len, max) = (Grouped(*len), Grouped(*max));
                write!(
                    f,
                    "message of {len} bytes, {limit} is {max}: {}",
                    remedy(limit)
                )
            }
            Error::WouldBlock => f.write_str("it would block"),
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
            Error::Codec(source) => Some(&**source),
            Error::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}

/// What to do about errors that every call may meet.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => ": close some, or raise RLIMIT_NOFILE (ulimit -n)",
        Some(libc::ENFILE) => ": the whole system's; raise fs.file-max",
        Some(libc::ENOBUFS) => ": no memory in one piece; send it again, or in parts",
        _ => "",
    }
}

fn remedy(limit: &str) -> &'static str {
    match limit {
        "max_len" => "raise max_len at both ends, or send it in parts",
        "msgmax" => "raise kernel.msgmax or use spill",
        "msg_qbytes" => "raise the queue's capacity, or use spill",
        "ring capacity" => "ask for a larger capacity, or send it in parts",
        "PIPE_BUF" => {
            "it is the 4,096 bytes that the kernel keeps in one piece, less a header; send it in parts"
        }
        "SO_SNDBUF" => "ask for a larger send buffer, or send it in parts",
        _ => "send it in parts",
    }
}

/// A number with its thousands set apart: `16,777,216`.
struct Grouped(usize);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_the_limit_and_the_remedy() {
        let error = Error::TooLarge {
            len: 9_000,
            max: 8_192,
            limit: "msgmax",
        };
        assert_eq!(
            error.to_string(),
            "message of 9,000 bytes, msgmax is 8,192: raise kernel.msgmax or use spill"
        );
        let error = Error::os("pipe2", "pipe", io::Error::from_raw_os_error(libc::EMFILE));
        assert!(error.to_string().contains("raise RLIMIT_NOFILE"), "{error}");
        assert_eq!(Grouped(16_777_216).to_string(), "16,777,216");
        assert_eq!(Grouped(7).to_string(), "7");
    }
}

//! Framed, buffered halves over any kernel byte stream: pipe, FIFO, unix stream and TCP are thin
//! types on them.
//!
//! A mechanism brings a [`Source`] and a [`Sink`], two wrappers of a descriptor that know its read
//! and its write call, and gets the whole contract: frames, partial ones, tails, deadlines, polling.
//!
//! ```
//! use std::fs::File;
//! use std::io::Write;
//!
//! use ipc_core::stream::{FramedReceiver, PipeFd};
//! use ipc_core::{Receiver, Spin};
//!
//! let (reader, writer) = nix::unistd::pipe()?;
//! let mut rx = FramedReceiver::new(PipeFd::new(reader, "my pipe")?, 1024, Spin::Never);
//! File::from(writer).write_all(b"\0\0\0\x05hello")?; // as a foreign program would
//! assert_eq!(rx.recv()?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod gather;
mod inflow;
mod lag;
mod outflow;
mod pace;
mod pipe;
mod receiver;
mod records;
mod sender;
mod shared;
mod stall;

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

pub use pipe::PipeFd;
pub use receiver::FramedReceiver;
pub use sender::FramedSender;
pub use shared::Linkable;

/// Whether a read may sleep in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Return `EAGAIN` rather than sleep.
    Now,
    /// Sleep until there is something. `EAGAIN` is allowed all the same.
    Block,
}

/// A descriptor that bytes are read from.
pub trait Source: AsFd + Send + Sync + 'static {
    /// Reads what is there; 0 is the end of the stream. `InvalidData` poisons the receiver, for the
    /// reason that its text gives: then nothing is read any more.
    fn read(&self, buf: &mut [u8], mode: Mode) -> io::Result<usize>;

    /// Whether a read that does not fill its buffer has taken all that was there. Not so where the
    /// kernel keeps boundaries: a unix socket's read ends where a message carries descriptors.
    fn short_read_drains(&self) -> bool {
        false
    }

    /// What it is, for errors: `FIFO /run/app/in`.
    fn object(&self) -> Box<str>;
}

/// A descriptor that bytes are written to.
pub trait Sink: AsFd + Send + Sync + 'static {
    /// Writes what fits without sleeping and without raising SIGPIPE.
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// What it is, for errors.
    fn object(&self) -> Box<str>;
}

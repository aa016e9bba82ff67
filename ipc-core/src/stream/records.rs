//! Several writers of one pipe or FIFO. Each record is one write of at most `PIPE_BUF` bytes, which
//! the kernel takes whole or not at all, and never mixes with another.  pipe(7)

use std::os::fd::AsFd;

use super::{FramedSender, PipeFd};
use crate::frame::HEADER_LEN;
use crate::{Error, Result, Spin};

/// What the kernel takes whole or not at all.  pipe(7)
pub(super) const PIPE_BUF: usize = libc::PIPE_BUF;
/// The longest message whose frame is no longer than that.
pub(super) const LONGEST: usize = PIPE_BUF - HEADER_LEN;

impl FramedSender<PipeFd> {
    /// A sender among several: its messages, of up to `max_len` bytes, are records of at most
    /// `PIPE_BUF` bytes with their header.
    pub fn records(io: PipeFd, max_len: usize, spin: Spin) -> Self {
        FramedSender::new(io, max_len, spin).into_records()
    }

    /// Another sender to the same pipe or FIFO. They share the description, which is never switched
    /// by senders.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when this is no sender of records, or when there are no descriptors left.
    pub fn try_clone(&self) -> Result<Self> {
        let os = |error| Error::os("fcntl(F_DUPFD_CLOEXEC)", self.io().name(), error);
        if !self.is_records() {
            let help = "its messages may be longer than PIPE_BUF, and those of several writers \
                        would be mixed up: make it with the option `many_writers`";
            return Err(os(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                help,
            )));
        }
        let fd = self.as_fd().try_clone_to_owned().map_err(os)?;
        let io = PipeFd::new(fd, self.io().name()).map_err(os)?;
        let (max_len, spin) = self.settings();
        Ok(FramedSender::records(io, max_len, spin))
    }
}

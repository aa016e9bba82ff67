//! The way into a receiver: reading until a frame is whole, and why nothing more comes.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::lag::Lag;
use super::pace::Pace;
use super::shared::{Drive, Input};
use super::stall::Stall;
use super::{Mode, Source};
use crate::frame::{Decoder, HEADER_LEN, Oversize};
use crate::{Error, Interest, Result, Wait, sys};

/// Why nothing more comes.
#[derive(Clone, Debug)]
pub(super) enum End {
    Disconnected,
    /// So many bytes into a frame.
    Truncated(usize),
    Malformed(Box<str>),
}

/// What a read has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Frame,
    Part,
    Nothing,
}

/// The way in, and the way out of the same endpoint.
pub(super) struct Inflow<R> {
    pub(super) input: Arc<Input<R>>,
    pub(super) output: Option<Weak<dyn Drive>>,
    /// Whether the output has an unsent tail.
    pub(super) pending: Arc<AtomicBool>,
    pub(super) decoder: Decoder,
    /// The last receive read all that the kernel had.
    pub(super) drained: bool,
    pub(super) lag: Lag,
    pub(super) stall: Stall,
    pub(super) end: Option<End>,
}

impl<R: Source> Inflow<R> {
    pub(super) fn new(io: R, max_len: usize) -> Self {
        Inflow {
            input: Arc::new(Input::new(io, HEADER_LEN + max_len)),
            output: None,
            pending: Arc::default(),
            decoder: Decoder::new(max_len),
            drained: false,
            lag: Lag::default(),
            stall: Stall::default(),
            end: None,
        }
    }

    /// Takes the next frame that was read already; false if there is none.
    #[inline]
    pub(super) fn next(&mut self) -> Result<bool> {
        match self.decoder.next() {
            Ok(false) if self.end.is_some() => Err(self.ended()),
            Ok(true) => {
                self.lag.took(1);
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(oversize) => Err(self.oversize(oversize)),
        }
    }

    #[cold]
    fn oversize(&mut self, Oversize { claimed }: Oversize) -> Error {
        let max = self.decoder.max_len();
        self.poison(format!(
            "a frame header claims {claimed} bytes, max_len is {max}"
        ))
    }

    #[cold]
    fn poison(&mut self, reason: String) -> Error {
        self.end = Some(End::Malformed(reason.into()));
        self.ended()
    }

    /// Reads once.
    pub(super) fn read(&mut self, mode: Mode) -> Result<Read> {
        let from_kernel = !self.input.has_taken();
        let space = self.decoder.space();
        let room = space.len();
        match self.input.read(space, mode) {
            Ok(0) => Err(self.end_of_stream()),
            Ok(len) => {
                self.decoder.filled(len);
                self.drained = from_kernel && len < room && self.input.io.short_read_drains();
                self.lag.read(len);
                if self.next()? {
                    self.stall.received();
                    return Ok(Read::Frame);
                }
                Ok(Read::Part)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Ok(Read::Part),
                io::ErrorKind::WouldBlock => self.check_stall().map(|()| Read::Nothing),
                io::ErrorKind::ConnectionReset => Err(self.end_of_stream()),
                io::ErrorKind::InvalidData => Err(self.poison(error.to_string())),
                _ => Err(Error::os("read", self.input.io.object(), error)),
            },
        }
    }

    /// Reads until a frame is whole, or there is nothing to read: `None`.
    pub(super) fn fill(&mut self, mode: Mode, wait: Wait) -> Result<Option<()>> {
        let mut pace = Pace::default();
        loop {
            match self.read(mode)? {
                Read::Frame => return Ok(Some(())),
                Read::Part if self.input.has_taken() => {} // it is here already
                Read::Part => pace.go_on(wait)?,
                Read::Nothing => return Ok(None),
            }
        }
    }

    /// Reads until a frame is whole.
    #[inline]
    pub(super) fn block(&mut self) -> Result<()> {
        while self.fill(Mode::Block, Wait::Forever)?.is_none() {
            self.sleep(Wait::Forever)?; // somebody else made it non-blocking
        }
        Ok(())
    }

    /// Sleeps until there may be something to read; a tail is sent on meanwhile.
    pub(super) fn sleep(&mut self, wait: Wait) -> Result<()> {
        let mut fds = [sys::pollfd(self.input.as_fd(), Interest::Read); 2];
        let mut count = 1;
        // Without a tail it is not held: a sender that is dropped meanwhile has to close.
        let output = self.output.as_ref().filter(|_| self.is_pending());
        let output = output.and_then(Weak::upgrade);
        if let Some(output) = &output {
            // Its failure is told by the next send; what can still be received comes first. After a few
            // writes poll tells whether there is room for more.
            let few = Wait::Until(Instant::now());
            if let Ok(false) | Err(Error::TimedOut) = output.drive(few) {
                fds[1] = sys::pollfd(output.as_fd(), Interest::Write);
                count = 2;
            }
        }
        sys::poll(&mut fds[..count], wait.or_until(self.stall.until()))?;
        Ok(())
    }

    /// Gives a peer up that has begun a header and does not go on.
    #[inline]
    fn check_stall(&mut self) -> Result<()> {
        if self.stall.is_late(self.decoder.unread().len()) {
            let (limit, part) = (self.stall.limit(), self.decoder.unread().len());
            let reason = format!("{part} bytes of a frame header, and no more in {limit:?}");
            return Err(self.poison(reason));
        }
        Ok(())
    }

    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    #[cold]
    fn end_of_stream(&mut self) -> Error {
        self.end = Some(match self.decoder.unread().len() {
            0 => End::Disconnected,
            part => End::Truncated(part),
        });
        self.ended()
    }

    #[cold]
    fn ended(&self) -> Error {
        match &self.end {
            Some(End::Truncated(part)) => {
                let reason = format!("the stream ended {part} bytes into a frame");
                Error::malformed(self.input.io.object(), reason)
            }
            Some(End::Malformed(reason)) => {
                Error::malformed(self.input.io.object(), reason.clone())
            }
            _ => Error::Disconnected,
        }
    }
}

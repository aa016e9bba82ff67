//! The half that reads frames.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::lag::Lag;
use super::shared::{Drive, Input, Linkable};
use super::stall::Stall;
use super::{Mode, Source};
use crate::frame::{Decoder, HEADER_LEN, LARGEST_MAX_LEN, Oversize};
use crate::inherit::{Reader, Writer};
use crate::spin::{Look, Poller};
use crate::{Error, Interest, Ready, Receiver, Result, Spin, Wait, sys};

/// A receiver of frames from a byte stream.
pub struct FramedReceiver<R: Source> {
    flow: Inflow<R>,
    poller: Poller,
}

impl<R: Source> FramedReceiver<R> {
    /// A receiver of messages of up to `max_len` bytes.
    pub fn new(io: R, max_len: usize, spin: Spin) -> Self {
        let max_len = max_len.min(LARGEST_MAX_LEN);
        FramedReceiver {
            flow: Inflow {
                input: Arc::new(Input::new(io, HEADER_LEN + max_len)),
                output: None,
                pending: Arc::default(),
                decoder: Decoder::new(max_len),
                drained: false,
                lag: Lag::default(),
                stall: Stall::default(),
                end: None,
            },
            poller: Poller::new(spin, Look::Call),
        }
    }

    /// A receiver made of its source and the state that [`into_parts`](Self::into_parts) gave.
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) for a state that is none.
    pub fn from_parts(io: R, state: &[u8]) -> Result<Self> {
        let mut state = Reader::new(state);
        let (max_len, spin, unread) = (state.len()?, state.spin()?, state.bytes()?);
        let stall = Stall::from_state(&mut state)?;
        state.end()?;
        let mut receiver = FramedReceiver::new(io, max_len, spin);
        receiver.flow.stall = stall;
        receiver.flow.decoder.extend(unread);
        Ok(receiver)
    }

    /// Requires the header of the first frame to be whole within `limit` from now, and of any other
    /// within `limit` of its first byte: else a receive is [`Malformed`](Error::Malformed).
    pub fn set_header_deadline(&mut self, limit: Duration) {
        self.flow.stall = Stall::new(limit);
    }

    /// The descriptor and the state of this half: what was read and not yet received goes along.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated.
    pub fn into_parts(self) -> Result<(OwnedFd, Vec<u8>)> {
        let dup = self.as_fd().try_clone_to_owned();
        let fd = dup.map_err(|source| Error::os("fcntl(F_DUPFD)", self.io().object(), source))?;
        let unread = [self.flow.decoder.unread(), &self.flow.input.take()].concat();
        let mut state = Writer::new();
        state
            .len(self.max_len())
            .spin(self.poller.spin())
            .bytes(&unread);
        self.flow.stall.write(&mut state);
        Ok((fd, state.finish()))
    }

    /// The longest message in bytes that is accepted.
    pub fn max_len(&self) -> usize {
        self.flow.decoder.max_len()
    }

    /// Whether the stream has ended, and so can [begin anew](Self::restart): not one that was
    /// malformed while its writer was there.
    pub fn has_ended(&self) -> bool {
        matches!(self.flow.end, Some(End::Disconnected | End::Truncated(_)))
    }

    /// Begins anew with what the source brings from now on; a frame that the end cut off is
    /// forgotten.
    pub fn restart(&mut self) {
        self.flow.decoder = Decoder::new(self.max_len());
        self.flow.input.reopen();
        self.flow.drained = false;
        self.flow.end = None;
    }

    /// Whether something was read and not yet received.
    pub fn has_unread(&self) -> bool {
        !self.flow.decoder.unread().is_empty() || self.flow.input.has_taken()
    }

    /// The source.
    pub fn io(&self) -> &R {
        &self.flow.input.io
    }
}

impl<R: Source> Receiver for FramedReceiver<R> {
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        self.flow.drained = false;
        if self.flow.next()? {
            return Ok(());
        }
        if wait != Wait::Never {
            if self.poller.spin() == Spin::Adaptive {
                self.flow.lag.wait();
            }
            self.poller.yield_first();
        }
        let may_block = !self.flow.is_pending() && !self.flow.stall.is_watched();
        if wait == Wait::Forever && may_block && self.poller.sleeps_first() {
            return self.poller.sleep(|| self.flow.block());
        }
        match self.flow.fill(Mode::Now)? {
            Some(()) => Ok(()),
            None if wait == Wait::Never => Err(Error::WouldBlock),
            None => {
                self.flow.lag.found_nothing();
                self.poller.expect_len(self.flow.decoder.last_len());
                self.poller.wait(
                    wait,
                    &mut self.flow,
                    |flow| flow.fill(Mode::Now),
                    Inflow::sleep,
                )
            }
        }
    }

    fn message(&self) -> &[u8] {
        self.flow.decoder.message()
    }

    fn recv_many(&mut self, max: usize, wait: Wait, each: &mut dyn FnMut(&[u8])) -> Result<usize> {
        if max == 0 {
            return Ok(0);
        }
        self.recv_wait(wait)?;
        each(self.message());
        // What one read brought, and no further system call.
        let more = self.flow.decoder.next_many(max - 1, each);
        self.flow.lag.took(more);
        Ok(1 + more)
    }

    fn linkable(&mut self) -> Option<Linkable<'_>> {
        let input: Weak<Input<R>> = Arc::downgrade(&self.flow.input);
        Some(Linkable {
            input,
            output: &mut self.flow.output,
            pending: &mut self.flow.pending,
        })
    }
}

impl<R: Source> Ready for FramedReceiver<R> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        Ok(self.flow.end.is_some() || self.flow.decoder.is_ready() || self.flow.input.has_taken())
    }

    fn deadline(&self) -> Option<Instant> {
        self.flow.stall.until()
    }

    fn is_drained(&self) -> bool {
        self.flow.drained
    }
}

impl<R: Source> AsFd for FramedReceiver<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io().as_fd()
    }
}

impl<R: Source> fmt::Debug for FramedReceiver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedReceiver")
            .field("object", &self.io().object())
            .field("max_len", &self.max_len())
            .field("end", &self.flow.end)
            .finish_non_exhaustive()
    }
}

/// Why nothing more comes.
#[derive(Clone, Debug)]
enum End {
    Disconnected,
    /// So many bytes into a frame.
    Truncated(usize),
    Malformed(Box<str>),
}

/// The way in, and the way out of the same endpoint.
struct Inflow<R> {
    input: Arc<Input<R>>,
    output: Option<Weak<dyn Drive>>,
    /// Whether the output has an unsent tail.
    pending: Arc<AtomicBool>,
    decoder: Decoder,
    /// The last receive read all that the kernel had.
    drained: bool,
    lag: Lag,
    stall: Stall,
    end: Option<End>,
}

impl<R: Source> Inflow<R> {
    /// Takes the next frame that was read already; false if there is none.
    #[inline]
    fn next(&mut self) -> Result<bool> {
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

    /// Reads until a frame is whole, or there is nothing to read: `None`.
    fn fill(&mut self, mode: Mode) -> Result<Option<()>> {
        loop {
            let from_kernel = !self.input.has_taken();
            let space = self.decoder.space();
            let room = space.len();
            match self.input.read(space, mode) {
                Ok(0) => return Err(self.end_of_stream()),
                Ok(len) => {
                    self.decoder.filled(len);
                    self.drained = from_kernel && len < room && self.input.io.short_read_drains();
                    self.lag.read(len);
                    if self.next()? {
                        self.stall.received();
                        return Ok(Some(()));
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return self.check_stall().map(|()| None),
                    io::ErrorKind::ConnectionReset => return Err(self.end_of_stream()),
                    io::ErrorKind::InvalidData => return Err(self.poison(error.to_string())),
                    _ => return Err(Error::os("read", self.input.io.object(), error)),
                },
            }
        }
    }

    /// Reads until a frame is whole.
    #[inline]
    fn block(&mut self) -> Result<()> {
        while self.fill(Mode::Block)?.is_none() {
            self.sleep(Wait::Forever)?; // somebody else made it non-blocking
        }
        Ok(())
    }

    /// Sleeps until there may be something to read; a tail is sent on meanwhile.
    fn sleep(&mut self, wait: Wait) -> Result<()> {
        let mut fds = [sys::pollfd(self.input.as_fd(), Interest::Read); 2];
        let mut count = 1;
        // Without a tail it is not held: a sender that is dropped meanwhile has to close.
        let output = self.output.as_ref().filter(|_| self.is_pending());
        let output = output.and_then(Weak::upgrade);
        if let Some(output) = &output {
            // Its failure is told by the next send; what can still be received comes first.
            if let Ok(false) = output.drive() {
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
    fn is_pending(&self) -> bool {
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

//! The half that reads frames.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::inflow::{End, Inflow, Read};
use super::shared::{Input, Linkable};
use super::stall::Stall;
use super::{Mode, Source};
use crate::frame::{Decoder, LARGEST_MAX_LEN};
use crate::inherit::{Reader, Writer};
use crate::spin::{Look, Poller};
use crate::{Error, Interest, Ready, Receiver, Result, Spin, Wait};

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
            flow: Inflow::new(io, max_len),
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

    /// Goes on where the first read brought no frame.
    #[inline(never)] // it mostly does
    fn wait(&mut self, first: Read, wait: Wait) -> Result<()> {
        if first == Read::Part && self.flow.fill(Mode::Now, wait)?.is_some() {
            return Ok(());
        }
        if wait == Wait::Never {
            return Err(Error::WouldBlock);
        }
        self.flow.lag.found_nothing();
        self.poller.expect_len(self.flow.decoder.last_len());
        let look = |flow: &mut Inflow<R>| flow.fill(Mode::Now, wait);
        self.poller.wait(wait, &mut self.flow, look, Inflow::sleep)
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
        match self.flow.read(Mode::Now)? {
            Read::Frame => Ok(()),
            first => self.wait(first, wait),
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
        let flow = &mut self.flow;
        let ready = flow.end.is_some() || flow.decoder.is_ready() || flow.input.has_taken();
        // What came behind a frame may be the last that comes: its time begins without another read.
        Ok(ready || flow.stall.is_late(flow.decoder.unread().len()))
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

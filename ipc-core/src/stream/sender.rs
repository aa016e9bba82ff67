//! The half that writes frames.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use super::Sink;
use super::gather::Gather;
use super::outflow::{Outflow, after};
use super::pace::Pace;
use super::records::{LONGEST, PIPE_BUF};
use super::shared::{Drive, Output};
use crate::frame::{self, HEADER_LEN};
use crate::inherit::{Reader, Writer};
use crate::spin::{Look, Poller};
use crate::{Error, Interest, Ready, Receiver, Result, Sender, Spin, Wait};

/// Frames up to this length are copied to one place and written by one plain call, which is cheaper
/// than a vectored one; it is also what a pipe takes whole or not at all.
const CONTIGUOUS: usize = PIPE_BUF;
/// Bytes that a batch gathers for one write.
const BATCH: usize = 64 << 10;

/// A sender of frames over a byte stream.
pub struct FramedSender<W: Sink> {
    flow: Outflow<W>,
    poller: Poller,
    /// Frames on their way to one write.
    gather: Gather,
    max_len: usize,
    /// Each write is at most `PIPE_BUF` bytes: there are other writers.
    records: bool,
}

impl<W: Sink> FramedSender<W> {
    /// A sender of messages of up to `max_len` bytes.
    pub fn new(io: W, max_len: usize, spin: Spin) -> Self {
        FramedSender {
            flow: Outflow {
                output: Arc::new(Output::new(io)),
                input: None,
            },
            poller: Poller::new(spin, Look::Call),
            gather: Gather::default(),
            max_len: max_len.min(frame::LARGEST_MAX_LEN),
            records: false,
        }
    }

    /// The same, with writes that several writers do not mix up.
    pub(super) fn into_records(mut self) -> Self {
        (self.max_len, self.records) = (self.max_len.min(LONGEST), true);
        self
    }

    /// Whether its writes are records.
    pub(super) fn is_records(&self) -> bool {
        self.records
    }

    /// The longest message, and how it waits.
    pub(super) fn settings(&self) -> (usize, Spin) {
        (self.max_len, self.poller.spin())
    }

    /// A sender made of its sink and the state that [`into_parts`](Self::into_parts) gave.
    ///
    /// # Errors
    ///
    /// [`Malformed`](Error::Malformed) for a state that is none.
    pub fn from_parts(io: W, state: &[u8]) -> Result<Self> {
        let mut state = Reader::new(state);
        let (max_len, spin, tail) = (state.len()?, state.spin()?, state.bytes()?);
        let records = state.len()? != 0;
        state.end()?;
        let sender = FramedSender::new(io, max_len, spin);
        sender.flow.output.keep(tail, &[]);
        Ok(if records {
            sender.into_records()
        } else {
            sender
        })
    }

    /// The descriptor and the state of this half, tail and all.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated.
    pub fn into_parts(self) -> Result<(OwnedFd, Vec<u8>)> {
        let dup = self.as_fd().try_clone_to_owned();
        let fd = dup.map_err(|source| Error::os("fcntl(F_DUPFD)", self.io().object(), source))?;
        let mut state = Writer::new();
        state
            .len(self.max_len)
            .spin(self.poller.spin())
            .bytes(&self.flow.output.take())
            .len(usize::from(self.records));
        Ok((fd, state.finish()))
    }

    /// Sends the tail, then closes.
    ///
    /// # Errors
    ///
    /// As [`flush`](Sender::flush); it is closed all the same.
    pub fn close(mut self, wait: Wait) -> Result<()> {
        self.flush(wait)
    }

    /// The sink.
    pub fn io(&self) -> &W {
        &self.flow.output.io
    }

    fn output(&self) -> Weak<dyn Drive> {
        let output: Weak<Output<W>> = Arc::downgrade(&self.flow.output);
        output
    }

    /// Refuses what is too long, and sends the tail of the message before.
    #[inline]
    fn prepare(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() > self.max_len {
            return Err(Error::TooLarge {
                len: msg.len(),
                max: self.max_len,
                limit: if self.records && self.max_len == LONGEST {
                    "PIPE_BUF"
                } else {
                    "max_len"
                },
            });
        }
        if self.flow.output.is_pending() {
            self.flush(wait)
        } else {
            Ok(())
        }
    }

    /// Gathers the first of `msgs` up to a write's worth, sends them, and returns how many were
    /// accepted.
    fn send_batch(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        self.prepare(msgs[0], wait)?;
        let batch = if self.records { PIPE_BUF } else { BATCH };
        let (frames, count) = self.gather.many(msgs, self.max_len, batch);
        let sent = self.flow.write(&mut self.poller, frames, &[], wait)?;
        if sent == frames.len() {
            return Ok(count);
        }
        let (mut accepted, mut end) = (0, 0);
        while end < sent {
            end += HEADER_LEN + msgs[accepted].len();
            accepted += 1;
        }
        self.flow.output.keep(&frames[sent..end], &[]);
        Ok(accepted)
    }
}

impl<W: Sink> Sender for FramedSender<W> {
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.prepare(msg, wait)?;
        let header;
        let (head, body): (&[u8], &[u8]) = if HEADER_LEN + msg.len() <= CONTIGUOUS {
            (self.gather.one(msg), &[])
        } else {
            header = frame::header(msg.len());
            (&header, msg)
        };
        let sent = self.flow.write(&mut self.poller, head, body, wait)?;
        if sent < head.len() + body.len() {
            let (head, body) = after(head, body, sent);
            self.flow.output.keep(head, body);
        }
        Ok(())
    }

    fn max_len(&self) -> usize {
        self.max_len
    }

    fn send_many(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        let (mut accepted, mut pace) = (0, Pace::default());
        while accepted < msgs.len() {
            let rest = &msgs[accepted..];
            let sent = if HEADER_LEN + rest[0].len() <= CONTIGUOUS {
                self.send_batch(rest, wait)
            } else {
                self.send_wait(rest[0], wait).map(|()| 1)
            };
            match sent {
                Ok(more) => accepted += more,
                Err(error) if accepted == 0 => return Err(error),
                Err(_) => break,
            }
            if pace.go_on(wait).is_err() {
                break;
            }
        }
        Ok(accepted)
    }

    fn flush(&mut self, wait: Wait) -> Result<()> {
        match self.flow.drive(wait)? {
            Some(()) => Ok(()),
            None if wait == Wait::Never => Err(Error::WouldBlock),
            None => self.poller.wait(
                wait,
                &mut self.flow,
                |flow| flow.drive(wait),
                Outflow::sleep,
            ),
        }
    }

    fn pending(&self) -> Option<BorrowedFd<'_>> {
        self.flow.output.is_pending().then(|| self.as_fd())
    }

    fn link(&mut self, receiver: &mut dyn Receiver) {
        if let Some(receiver) = receiver.linkable() {
            *receiver.output = Some(self.output());
            *receiver.pending = self.flow.output.pending();
            self.flow.input = Some(receiver.input);
        }
    }

    fn unlink(&mut self) {
        self.flow.input = None;
    }
}

impl<W: Sink> Ready for FramedSender<W> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.as_fd(), Interest::Write)
    }

    /// A stream's room is the kernel's to tell: never ready before it says so. What has arrived at
    /// the same endpoint is taken in, since the peer may be waiting for room, too.
    fn arm(&mut self) -> Result<bool> {
        if let Some(input) = self.flow.input.as_ref().and_then(Weak::upgrade) {
            while input.has_room() && input.take_in() {}
        }
        Ok(false)
    }
}

impl<W: Sink> AsFd for FramedSender<W> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io().as_fd()
    }
}

impl<W: Sink> fmt::Debug for FramedSender<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedSender")
            .field("object", &self.io().object())
            .field("max_len", &self.max_len)
            .field("pending", &self.flow.output.is_pending())
            .finish_non_exhaustive()
    }
}

/// Tries the tail once: a drop never waits.
impl<W: Sink> Drop for FramedSender<W> {
    fn drop(&mut self) {
        if self.flow.output.is_pending() {
            let _ = self.flow.output.drive(Wait::Never);
        }
    }
}

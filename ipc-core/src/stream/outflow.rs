//! The way out of a sender: writing without sleeping, and sleeping while what arrives is taken in.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};

use super::Sink;
use super::shared::{Drive, Output, TakeIn};
use crate::spin::Poller;
use crate::{Error, Interest, Result, Wait, sys};

/// The way out, and the way in of the same endpoint.
pub(super) struct Outflow<W> {
    pub(super) output: Arc<Output<W>>,
    pub(super) input: Option<Weak<dyn TakeIn>>,
}

impl<W: Sink> Outflow<W> {
    /// Writes `head` and `body`, and returns how many bytes the kernel took: all of them, unless
    /// the wait was over, or the kernel failed, after the first.
    #[inline]
    pub(super) fn write(
        &mut self,
        poller: &mut Poller,
        head: &[u8],
        body: &[u8],
        wait: Wait,
    ) -> Result<usize> {
        match self.output.write(head, body) {
            Ok(sent) if sent == head.len() + body.len() => Ok(sent),
            first => {
                let writing = Writing {
                    flow: self,
                    head,
                    body,
                    sent: 0,
                    first: Some(first),
                };
                writing.finish(poller, wait)
            }
        }
    }

    /// Sends what the kernel takes of the tail; `None` while some is left.
    pub(super) fn drive(&self, wait: Wait) -> Result<Option<()>> {
        Ok(self.output.drive(wait)?.then_some(()))
    }

    /// Sleeps until there may be room; what arrives meanwhile is taken in.
    pub(super) fn sleep(&mut self, wait: Wait) -> Result<()> {
        let input = self.input.as_ref().and_then(Weak::upgrade);
        let mut fds = [sys::pollfd(self.output.as_fd(), Interest::Write); 2];
        let mut count = 1;
        if let Some(input) = input.as_ref().filter(|input| input.has_room()) {
            fds[1] = sys::pollfd(input.as_fd(), Interest::Read);
            count = 2;
        }
        sys::poll(&mut fds[..count], wait)?;
        if let (Some(input), true) = (input, count == 2 && fds[1].revents != 0) {
            input.take_in();
        }
        Ok(())
    }
}

/// One write under way.
struct Writing<'a, W> {
    flow: &'a mut Outflow<W>,
    head: &'a [u8],
    body: &'a [u8],
    sent: usize,
    /// What the first call returned.
    first: Option<io::Result<usize>>,
}

impl<W: Sink> Writing<'_, W> {
    #[inline(never)] // the kernel mostly takes all at once
    fn finish(mut self, poller: &mut Poller, wait: Wait) -> Result<usize> {
        let done = match self.advance() {
            Ok(None) if wait == Wait::Never => Err(Error::WouldBlock),
            Ok(None) => {
                poller.expect_len(self.head.len() + self.body.len());
                poller.wait(wait, &mut self, Writing::advance, |writing, wait| {
                    writing.flow.sleep(wait)
                })
            }
            done => done.map(drop),
        };
        match done {
            Err(error) if self.sent == 0 || matches!(error, Error::Disconnected) => Err(error),
            _ => Ok(self.sent), // another error is met again, by the tail
        }
    }

    /// Writes until all is written, or the kernel takes no more: `None`. The deadline does not matter
    /// before that: where there is always room, sending the rest is quicker than keeping a copy of it.
    fn advance(&mut self) -> Result<Option<()>> {
        while self.sent < self.head.len() + self.body.len() {
            let (head, body) = after(self.head, self.body, self.sent);
            let first = self.first.take();
            match first.unwrap_or_else(|| self.flow.output.write(head, body)) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(self.flow.output.error(error)),
            }
        }
        Ok(Some(()))
    }
}

/// What is left of `head` and `body` after their first `sent` bytes.
pub(super) fn after<'a>(head: &'a [u8], body: &'a [u8], sent: usize) -> (&'a [u8], &'a [u8]) {
    match sent.checked_sub(head.len()) {
        None => (&head[sent..], body),
        Some(sent) => (&[], &body[sent..]),
    }
}

//! A pipe whose halves do now and then what they were asked for, and say `WouldBlock` all the same.

use std::os::fd::BorrowedFd;

use ipc_core::{Error, Interest, Ready, Receiver, Result, Sender, Wait};
use ipc_pipe::{PipeReceiver, PipeSender};

#[derive(Debug)]
pub(crate) struct Careless<H> {
    inner: H,
    count: usize,
    /// Of how many it is one.
    every: usize,
}

pub(crate) fn channel() -> (Careless<PipeSender>, Careless<PipeReceiver>) {
    let (inner, receiver) = ipc_pipe::channel().unwrap();
    let sender = Careless {
        inner,
        count: 0,
        every: 7,
    };
    let receiver = Careless {
        inner: receiver,
        count: 0,
        every: 5, // else what is lost is what was doubled
    };
    (sender, receiver)
}

impl<H> Careless<H> {
    fn after(&mut self) -> Result<()> {
        self.count += 1;
        if self.count % self.every == 0 {
            return Err(Error::WouldBlock);
        }
        Ok(())
    }
}

impl Sender for Careless<PipeSender> {
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.inner.send_wait(msg, wait)?;
        self.after()
    }

    fn max_len(&self) -> usize {
        self.inner.max_len()
    }

    fn flush(&mut self, wait: Wait) -> Result<()> {
        self.inner.flush(wait)
    }

    fn pending(&self) -> Option<BorrowedFd<'_>> {
        self.inner.pending()
    }
}

impl Receiver for Careless<PipeReceiver> {
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        self.inner.recv_wait(wait)?;
        self.after()
    }

    fn message(&self) -> &[u8] {
        self.inner.message()
    }
}

impl<H: Ready> Ready for Careless<H> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.inner.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        self.inner.arm()
    }
}

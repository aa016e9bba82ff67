//! A pipe whose halves say `WouldBlock` before they have asked the kernel: edges are missed.

use std::os::fd::BorrowedFd;

use ipc_core::{Error, Interest, Ready, Receiver, Result, Sender, Wait};
use ipc_pipe::{PipeReceiver, PipeSender};

#[derive(Debug)]
pub(crate) struct Hasty<H> {
    inner: H,
    count: usize,
}

pub(crate) fn channel() -> (Hasty<PipeSender>, Hasty<PipeReceiver>) {
    let (inner, receiver) = ipc_pipe::channel().unwrap();
    let sender = Hasty { inner, count: 0 };
    let receiver = Hasty {
        inner: receiver,
        count: 0,
    };
    (sender, receiver)
}

impl<H> Hasty<H> {
    fn check(&mut self, wait: Wait) -> Result<()> {
        self.count += 1;
        if wait == Wait::Never && self.count % 7 == 0 {
            return Err(Error::WouldBlock);
        }
        Ok(())
    }
}

impl Sender for Hasty<PipeSender> {
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.check(wait)?;
        self.inner.send_wait(msg, wait)
    }

    fn max_len(&self) -> usize {
        self.inner.max_len()
    }
}

impl Receiver for Hasty<PipeReceiver> {
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        self.check(wait)?;
        self.inner.recv_wait(wait)
    }

    fn message(&self) -> &[u8] {
        self.inner.message()
    }
}

impl<H: Ready> Ready for Hasty<H> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.inner.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        self.inner.arm()
    }
}

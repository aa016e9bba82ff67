// A pair of pipes, made by hand: the tests of the mechanism crates stand on this crate, so that
// its own cannot stand on one of them. Examples include this file as `ipc_pipe`.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ipc_core::stream::{FramedReceiver, FramedSender, PipeFd};
pub use ipc_core::{Channel, Receiver, Sender};
use ipc_core::{Duplex, Error, Inherit, Interest, Ready, Result, Spin};
use nix::fcntl::OFlag;

const MAX_LEN: usize = 1 << 20;

pub type End = Duplex<Tx, Rx>;

#[derive(Debug)]
pub struct Tx(FramedSender<PipeFd>);

#[derive(Debug)]
pub struct Rx(FramedReceiver<PipeFd>);

/// Two endpoints over two pipes.
pub fn pair() -> Result<(End, End)> {
    let (there, back) = (channel()?, channel()?);
    Ok((Duplex::new(there.0, back.1), Duplex::new(back.0, there.1)))
}

/// A pipe without frames: the end to read, and the end to write.
pub fn raw() -> (File, File) {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    (reader.into(), writer.into())
}

/// One pipe.
pub fn channel() -> Result<(Tx, Rx)> {
    let (reader, writer) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::os("pipe2", "pipe", e))?;
    let wrap = |fd| PipeFd::new(fd, "pipe").map_err(|e| Error::os("fcntl", "pipe", e));
    Ok((
        Tx(FramedSender::new(wrap(writer)?, MAX_LEN, Spin::Never)),
        Rx(FramedReceiver::new(wrap(reader)?, MAX_LEN, Spin::Never)),
    ))
}

impl Sender for Tx {
    ipc_core::forward_sender!(self => self.0);
}

impl Receiver for Rx {
    ipc_core::forward_receiver!(self => self.0);
}

impl Ready for Rx {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.0.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        self.0.arm()
    }
}

impl AsFd for Tx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Rx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

macro_rules! inherit {
    ($half:ident, $framed:ident, $interest:ident) => {
        impl Inherit for $half {
            fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
                each(self.as_fd());
            }

            fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
                let (fd, state) = self.0.into_parts()?;
                Ok((vec![fd], state))
            }

            fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
                let end = PipeFd::inherited(fds, Interest::$interest, "pipe")?;
                Ok($half($framed::from_parts(end, state)?))
            }
        }
    };
}

inherit!(Tx, FramedSender, Write);
inherit!(Rx, FramedReceiver, Read);

/// Any descriptor as an end; clones are the very same one.
#[derive(Clone, Debug)]
pub struct Raw(pub Arc<OwnedFd>);

impl Raw {
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        Raw(Arc::new(fd.into()))
    }
}

impl AsFd for Raw {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Inherit for Raw {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        Ok((vec![self.0.try_clone().unwrap()], Vec::new()))
    }

    fn from_parts(mut fds: Vec<OwnedFd>, _: &[u8]) -> Result<Self> {
        Ok(Raw::new(fds.remove(0)))
    }
}

//! The toolkit's halves, driven by `Async`.

use ipc_core::{Async, Duplex, Ready, Receiver, Sender};
use ipc_pipe::PipeOptions;
use ipc_socket::{Kind, SocketOptions};

use super::{End, unregistered};
use crate::Result;
use crate::cells::Ends;
use crate::plan::Cell;

pub(crate) fn pipe(_: &Cell) -> Result<Box<dyn Ends>> {
    Ok(unregistered(PipeOptions::new().pair()?, Halves::new))
}

pub(crate) fn unix(_: &Cell) -> Result<Box<dyn Ends>> {
    let pair = SocketOptions::new().kind(Kind::Unix).pair()?;
    Ok(unregistered(pair, Halves::new))
}

/// Halves apart, so that a message can be sent on where it lies.
struct Halves<S, R> {
    sender: Async<S>,
    receiver: Async<R>,
}

impl<S: Sender + Ready, R: Receiver + Ready> Halves<S, R> {
    fn new(end: Duplex<S, R>) -> Result<Self> {
        let (sender, receiver) = end.split();
        Ok(Halves {
            sender: Async::new(sender)?,
            receiver: Async::new(receiver)?,
        })
    }
}

impl<S: Sender + Ready, R: Receiver + Ready> End for Halves<S, R> {
    async fn send(&mut self, msg: &[u8]) -> Result<()> {
        Ok(self.sender.send(msg).await?)
    }

    async fn send_many(&mut self, msgs: &[&[u8]]) -> Result<()> {
        let mut rest = msgs;
        while !rest.is_empty() {
            let sent = self.sender.send_many(rest).await?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    async fn recv(&mut self) -> Result<&[u8]> {
        Ok(self.receiver.recv().await?)
    }

    async fn recv_many(&mut self, max: usize, each: impl FnMut(&[u8])) -> Result<()> {
        self.receiver.recv_many(max, each).await?;
        Ok(())
    }

    async fn echo(&mut self) -> Result<&[u8]> {
        let message = self.receiver.recv().await?;
        self.sender.send(message).await?;
        Ok(message)
    }
}

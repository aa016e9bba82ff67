//! What a tokio program has without the toolkit: tokio's own pipes and unix stream, and
//! `LengthDelimitedCodec`, whose frames are the toolkit's too.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use ipc_core::Error;
use ipc_core::frame::DEFAULT_MAX_LEN;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixStream, unix::pipe};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::{End, unregistered};
use crate::Result;
use crate::cells::Ends;
use crate::plan::Cell;

/// Bytes read at once, and gathered for one write: what the toolkit's streams have, too. Their
/// defaults, 8 KiB, would be slower.
const BUFFER: usize = 64 << 10;

pub(crate) fn tokio_pipe(_: &Cell) -> Result<Box<dyn Ends>> {
    let pipe = || pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK);
    let ((there_rx, there_tx), (back_rx, back_tx)) = (pipe()?, pipe()?);
    let register = |(tx, rx): (OwnedFd, OwnedFd)| {
        let (tx, rx) = (
            pipe::Sender::from_owned_fd(tx)?,
            pipe::Receiver::from_owned_fd(rx)?,
        );
        Ok(Framed::new(tx, rx))
    };
    let ends = ((there_tx, back_rx), (back_tx, there_rx));
    Ok(unregistered(ends, register))
}

pub(crate) fn tokio_unix(_: &Cell) -> Result<Box<dyn Ends>> {
    let (driver, peer) = net::UnixStream::pair()?;
    driver.set_nonblocking(true)?;
    peer.set_nonblocking(true)?;
    let register = |stream| {
        let (rx, tx) = UnixStream::from_std(stream)?.into_split();
        Ok(Framed::new(tx, rx))
    };
    Ok(unregistered((driver, peer), register))
}

struct Framed<W, R> {
    sender: FramedWrite<W, LengthDelimitedCodec>,
    receiver: FramedRead<R, LengthDelimitedCodec>,
    message: Bytes,
    /// Where the messages to be sent are put: one allocation for all of them.
    room: BytesMut,
}

impl<W: AsyncWrite + Unpin, R: AsyncRead + Unpin> Framed<W, R> {
    fn new(writer: W, reader: R) -> Self {
        let codec = LengthDelimitedCodec::builder()
            .max_frame_length(DEFAULT_MAX_LEN)
            .new_codec();
        let mut sender = FramedWrite::new(writer, codec.clone());
        sender.set_backpressure_boundary(BUFFER);
        Framed {
            sender,
            receiver: FramedRead::with_capacity(reader, codec, BUFFER),
            message: Bytes::new(),
            room: BytesMut::new(),
        }
    }

    /// A message as the codec takes it.
    fn bytes(&mut self, msg: &[u8]) -> Bytes {
        self.room.extend_from_slice(msg);
        self.room.split().freeze()
    }

    async fn next(&mut self) -> Result<BytesMut> {
        Ok(message(self.receiver.next().await)?)
    }
}

impl<W: AsyncWrite + Unpin, R: AsyncRead + Unpin> End for Framed<W, R> {
    async fn send(&mut self, msg: &[u8]) -> Result<()> {
        let bytes = self.bytes(msg);
        Ok(self.sender.send(bytes).await?)
    }

    async fn send_many(&mut self, msgs: &[&[u8]]) -> Result<()> {
        for msg in msgs {
            let bytes = self.bytes(msg);
            self.sender.feed(bytes).await?;
        }
        Ok(SinkExt::<Bytes>::flush(&mut self.sender).await?)
    }

    async fn recv(&mut self) -> Result<&[u8]> {
        self.message = self.next().await?.freeze();
        Ok(&self.message)
    }

    /// One: the next is there already, if it is, and costs no call.
    async fn recv_many(&mut self, _: usize, mut each: impl FnMut(&[u8])) -> Result<()> {
        each(&self.next().await?);
        Ok(())
    }

    async fn echo(&mut self) -> Result<&[u8]> {
        self.message = self.next().await?.freeze();
        self.sender.send(self.message.clone()).await?;
        Ok(&self.message)
    }
}

/// The end of the stream is an error here.
fn message(next: Option<io::Result<BytesMut>>) -> io::Result<BytesMut> {
    next.unwrap_or_else(|| Err(Error::Disconnected.into()))
}

//! The traits: [`Sender`], [`Receiver`] and [`Channel`], and the contract they share.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::stream::Linkable;
use crate::{Result, Wait};

/// The half that sends. A message is accepted whole or not at all.
///
/// ```
/// use ipc_core::{Error, Sender};
///
/// let (mut tx, rx) = ipc_pipe::channel()?;
/// tx.send(b"hello")?;
/// while tx.try_send(&[0; 1000]).is_ok() {} // nobody receives: until it would block
/// drop(rx);
/// assert!(matches!(tx.send(b"hello"), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
///
/// Every method keeps the [contract](crate#the-contract).
pub trait Sender {
    /// Sends `msg`, waiting as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::Error::TooLarge) before anything is written;
    /// [`WouldBlock`](crate::Error::WouldBlock) or [`TimedOut`](crate::Error::TimedOut) if not one
    /// byte was taken; [`Disconnected`](crate::Error::Disconnected) if the peer is gone.
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()>;

    /// The longest message in bytes that this half carries.
    fn max_len(&self) -> usize;

    /// Sends `msg`, waiting as long as it takes.
    fn send(&mut self, msg: &[u8]) -> Result<()> {
        self.send_wait(msg, Wait::Forever)
    }

    /// Sends `msg` if that needs no waiting, else returns [`WouldBlock`](crate::Error::WouldBlock).
    fn try_send(&mut self, msg: &[u8]) -> Result<()> {
        self.send_wait(msg, Wait::Never)
    }

    /// Sends `msg` within `timeout`, else returns [`TimedOut`](crate::Error::TimedOut).
    fn send_timeout(&mut self, msg: &[u8], timeout: Duration) -> Result<()> {
        self.send_wait(msg, timeout.into())
    }

    /// Sends several messages with as few system calls as the mechanism allows, and returns how
    /// many were accepted.
    ///
    /// # Errors
    ///
    /// Only if none was accepted; an error met after the first is met again by the next call.
    fn send_many(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        for (sent, msg) in msgs.iter().enumerate() {
            match self.send_wait(msg, wait) {
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
                Ok(()) => {}
            }
        }
        Ok(msgs.len())
    }

    /// Waits until everything that was accepted has been handed to the kernel.
    fn flush(&mut self, wait: Wait) -> Result<()> {
        let _ = wait;
        Ok(())
    }

    /// What to wait on, for writing, while the tail of an accepted message is unsent.
    fn pending(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Joins with the receiver of the same endpoint: where both are streams each helps the other
    /// along, so that two ends that each send a large message and then receive do not hang.
    /// [`Duplex::new`](crate::Duplex::new) calls it.
    fn link(&mut self, receiver: &mut dyn Receiver) {
        let _ = receiver;
    }

    /// Takes [`link`](Sender::link) back as far as a receiver in another thread could be hurt: what
    /// a waiting sender takes in does not wake it. [`Duplex::split`](crate::Duplex::split) calls it.
    fn unlink(&mut self) {}
}

/// The half that receives. The current message lives until the next receive.
///
/// Receiving and reading are two steps, [`recv_wait`](Receiver::recv_wait) and
/// [`message`](Receiver::message), because a loop around one lending method does not pass the
/// borrow checker; [`recv`](Receiver::recv) and its kin join them for everyday use.
///
/// ```
/// use ipc_core::{Error, Receiver, Sender, Wait};
/// use std::time::Duration;
///
/// let (mut tx, mut rx) = ipc_pipe::channel()?;
/// assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
/// let soon = Duration::from_millis(1);
/// assert!(matches!(rx.recv_timeout(soon), Err(Error::TimedOut)));
///
/// tx.send_many(&[b"one", b"two", b"three"], Wait::Forever)?;
/// assert_eq!(rx.recv()?, b"one");
/// let mut bytes = 0;
/// let count = rx.recv_many(100, Wait::Forever, &mut |message| bytes += message.len())?;
/// assert_eq!((count, bytes), (2, 8));
/// # Ok::<(), Error>(())
/// ```
///
/// Every method keeps the [contract](crate#the-contract).
pub trait Receiver {
    /// Receives the next message into place, waiting as long as `wait` allows.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::Error::WouldBlock) or [`TimedOut`](crate::Error::TimedOut), which lose
    /// nothing; [`Disconnected`](crate::Error::Disconnected) after the last message of a peer that
    /// is gone; [`Malformed`](crate::Error::Malformed), from then on.
    fn recv_wait(&mut self, wait: Wait) -> Result<()>;

    /// The current message; empty before the first receive and after a failed one.
    fn message(&self) -> &[u8];

    /// Receives the next message, waiting as long as it takes.
    fn recv(&mut self) -> Result<&[u8]> {
        self.recv_wait(Wait::Forever)?;
        Ok(Self::message(self))
    }

    /// Receives a message that is there, else returns [`WouldBlock`](crate::Error::WouldBlock).
    fn try_recv(&mut self) -> Result<&[u8]> {
        self.recv_wait(Wait::Never)?;
        Ok(Self::message(self))
    }

    /// Receives the next message within `timeout`, else returns
    /// [`TimedOut`](crate::Error::TimedOut).
    fn recv_timeout(&mut self, timeout: Duration) -> Result<&[u8]> {
        self.recv_wait(timeout.into())?;
        Ok(Self::message(self))
    }

    /// Waits for one message, then takes those that are there, up to `max`; returns how many. On a
    /// byte stream "there" is what one read brought: more may be in the kernel.
    ///
    /// # Errors
    ///
    /// Only if none was received; an error met after the first is met again by the next call.
    fn recv_many(&mut self, max: usize, wait: Wait, each: &mut dyn FnMut(&[u8])) -> Result<usize> {
        for received in 0..max {
            match self.recv_wait(if received == 0 { wait } else { Wait::Never }) {
                Err(error) if received == 0 => return Err(error),
                Err(_) => return Ok(received),
                Ok(()) => each(Self::message(self)),
            }
        }
        Ok(max)
    }

    /// What a sender needs to [`link`](Sender::link) with this half, if this is a stream's.
    fn linkable(&mut self) -> Option<Linkable<'_>> {
        None
    }
}

/// An endpoint that sends and receives. `Box<dyn Channel + Send>` is one too.
pub trait Channel: Sender + Receiver {
    /// Both halves at once, so that what was received can be sent on without a copy.
    ///
    /// ```
    /// # use ipc_core::{Channel, Receiver, Result, Sender};
    /// fn echo(channel: &mut dyn Channel) -> Result<()> {
    ///     let (tx, rx) = channel.halves();
    ///     tx.send(rx.recv()?)
    /// }
    /// ```
    fn halves(&mut self) -> (&mut dyn Sender, &mut dyn Receiver);
}

//! Two halves as one endpoint.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use crate::{Channel, Error, Inherit, Interest, Ready, Receiver, Result, Sender, Wait};

/// A sending and a receiving half as one endpoint: what every mechanism's `pair()` returns two of.
///
/// ```
/// use ipc_core::{Receiver, Sender};
///
/// let (mut a, b) = ipc_pipe::pair()?;
/// let (mut tx, mut rx) = b.split();
/// a.send(b"hello")?;
/// tx.send(rx.recv()?)?;
/// assert_eq!(a.recv()?, b"hello");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// One that is dropped stops receiving before it stops sending: whoever is told by a receive that it
/// is gone is told so by a send, too (over TCP not by the first one).
#[derive(Debug)]
pub struct Duplex<S, R> {
    // Dropped in this order.
    receiver: R,
    sender: S,
}

impl<S: Sender, R: Receiver> Duplex<S, R> {
    /// Joins two halves, which from now on help each other along ([`Sender::link`]).
    pub fn new(mut sender: S, mut receiver: R) -> Self {
        sender.link(&mut receiver);
        Duplex { receiver, sender }
    }

    /// Takes the halves apart, for a thread each, say. From now on a sender that waits for room
    /// leaves what arrives to the receiver: somebody has to receive.
    pub fn split(mut self) -> (S, R) {
        self.sender.unlink();
        (self.sender, self.receiver)
    }

    /// Both halves at once, as what they are: [`Channel::halves`] knows only what all mechanisms
    /// have.
    ///
    /// They belong to one thread, though the compiler lets them go to two. They stay joined: a stream's
    /// sender that waits for room takes in what arrives. A receiver that is used in another thread
    /// meanwhile, or waited for by a [`Select`](crate::Select) there, is not woken by that, and may
    /// get its bytes in the wrong order. For two threads take the endpoint apart; afterwards it can be
    /// joined again:
    ///
    /// ```
    /// use ipc_core::{Duplex, Receiver, Sender};
    /// use std::thread;
    ///
    /// let (ours, mut theirs) = ipc_pipe::pair()?;
    /// let (mut tx, mut rx) = ours.split();
    /// thread::scope(|scope| {
    ///     scope.spawn(|| tx.send(&[0; 1 << 20]));
    ///     scope.spawn(|| rx.recv().map(<[u8]>::len));
    ///     theirs.send(&[0; 1 << 20])?; // while ours, too, sends before it is heard
    ///     theirs.recv().map(<[u8]>::len)
    /// })?;
    /// let ours = Duplex::new(tx, rx);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn halves(&mut self) -> (&mut S, &mut R) {
        (&mut self.sender, &mut self.receiver)
    }

    /// The sending half, for what is particular to its mechanism.
    pub fn sender(&mut self) -> &mut S {
        &mut self.sender
    }

    /// The receiving half, for what is particular to its mechanism.
    pub fn receiver(&mut self) -> &mut R {
        &mut self.receiver
    }
}

impl<S: Sender, R> Sender for Duplex<S, R> {
    crate::forward_sender!(self => self.sender);
}

impl<S, R: Receiver> Receiver for Duplex<S, R> {
    crate::forward_receiver!(self => self.receiver);
}

impl<S: Sender, R: Receiver> Channel for Duplex<S, R> {
    fn halves(&mut self) -> (&mut dyn Sender, &mut dyn Receiver) {
        (&mut self.sender, &mut self.receiver)
    }
}

/// Ready when there is something to receive; a tail is sent on meanwhile.
impl<S: Sender + Ready, R: Ready> Ready for Duplex<S, R> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        self.receiver.fd()
    }

    fn arm(&mut self) -> Result<bool> {
        // A failed flush is told by the next send; what can still be received comes first.
        match self
            .sender
            .pending()
            .is_some()
            .then(|| self.sender.flush(Wait::Never))
        {
            None | Some(Ok(()) | Err(Error::WouldBlock | Error::Disconnected)) => {}
            Some(Err(error)) => return Err(error),
        }
        self.receiver.arm()
    }

    fn is_drained(&self) -> bool {
        self.receiver.is_drained()
    }

    fn tail(&self) -> Option<BorrowedFd<'_>> {
        self.sender.pending()
    }

    fn deadline(&self) -> Option<Instant> {
        self.receiver.deadline()
    }

    fn sending(&mut self) -> Option<&mut dyn Ready> {
        Some(&mut self.sender)
    }
}

impl<S: Sender + Inherit, R: Receiver + Inherit> Inherit for Duplex<S, R> {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.sender.fds(each);
        self.receiver.fds(each);
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        (self.sender, self.receiver).into_parts()
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let (sender, receiver) = Inherit::from_parts(fds, state)?;
        Ok(Duplex::new(sender, receiver))
    }

    fn forked(&self) {
        self.sender.forked();
        self.receiver.forked();
    }
}

//! The half that receives.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::spin::{Look, Poller};

use crate::doorbell::{Bell, Ear, Heard, LOOKS};
use crate::handover::{Ends, State, duplicates};
use crate::lag::Lag;
use crate::options::object;
use crate::ring::{Consumer, Corrupt, HEADER};
use crate::segment::{Segment, Side};
use crate::wake::{Answering, Asking};
use crate::{Error, Inherit, Interest, Ready, Receiver, Result, Spin, Wait};

/// `recv_many` gives space back in parts of this many bytes, so that its sender does not run dry.
const BATCH: u64 = 16 << 10;
/// Messages this long take no lines away that their sender is writing.
const SMALL: usize = 4 << 10;

/// The receiving end of a ring. A message is read where it lies; its space is given back to the sender by the
/// next receive.
pub struct ShmReceiver {
    flow: Inflow,
    poller: Poller,
    lag: Lag,
}

/// The ring, and the peer's doorbell.
struct Inflow {
    ring: Consumer,
    sender: Answering,
    data: Asking,
    bell: Bell,
    ear: Ear,
    /// The sender is to be woken still: the bell could not be rung.
    owes: bool,
    /// Last, because the ring lies in it.
    segment: Segment,
}

impl ShmReceiver {
    /// The half that stands where `state` says.
    pub(crate) fn new(state: State, ends: Ends) -> Self {
        let Ends { segment, bell, ear } = ends;
        ShmReceiver {
            flow: Inflow {
                ring: match segment.private() {
                    None => Consumer::new(segment.ring(), state.position),
                    Some(place) => Consumer::copying(segment.ring(), state.position, place),
                },
                sender: Answering::new(),
                data: Asking::new(&segment.ring().receiver().asked),
                bell,
                ear,
                owes: false,
                segment,
            },
            poller: Poller::new(state.spin, Look::Load),
            lag: Lag::default(),
        }
    }

    /// The ring's capacity in bytes.
    pub fn capacity(&self) -> usize {
        self.flow.segment.capacity()
    }

    /// Whether a message is there: one load from memory, and no promise when it says no
    /// (`try_recv` asks the kernel, too). For whoever looks at several rings in turn, before
    /// [`arm`](Ready::arm).
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.flow.ring.is_ready()
    }

    /// The length of the message before tells how long the peer may take to write one.
    #[inline(never)]
    fn wait_for_message(&mut self, before: usize, wait: Wait) -> Result<()> {
        if wait == Wait::Never {
            return self.flow.now();
        }
        if self.poller.spin() != Spin::Never && before < SMALL {
            self.lag.wait(|| self.flow.ring.is_ready());
        }
        self.poller.expect_len(before);
        let look = |flow: &mut Inflow| Ok(flow.next()?.then_some(()));
        let waited = self.poller.wait(wait, &mut self.flow, look, Inflow::sleep);
        let asked = &self.flow.ring.ring().receiver().asked;
        self.flow.data.waited(asked);
        waited
    }
}

impl Receiver for ShmReceiver {
    #[inline]
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        let before = self.message().len();
        self.flow.release();
        if !self.flow.next()? {
            self.wait_for_message(before, wait)?;
        }
        self.lag.took(1);
        self.flow.copied();
        Ok(())
    }

    #[inline]
    fn message(&self) -> &[u8] {
        self.flow.ring.message()
    }

    fn recv_many(&mut self, max: usize, wait: Wait, each: &mut dyn FnMut(&[u8])) -> Result<usize> {
        if max == 0 {
            return Ok(0);
        }
        self.recv_wait(wait)?;
        each(self.message());
        let mut received = 1;
        while received < max {
            received += self.flow.ring.take(max - received, BATCH, each);
            if received == max {
                break;
            }
            let start = self.flow.ring.position();
            match self.flow.next() {
                Ok(true) => each(self.message()),
                Ok(false) | Err(_) => break,
            }
            received += 1;
            if start - self.flow.ring.released() >= BATCH {
                self.flow.give_back(start);
            }
        }
        self.lag.took(received - 1);
        self.flow.copied();
        Ok(received)
    }
}

impl Inflow {
    #[inline]
    fn next(&mut self) -> Result<bool> {
        self.ring.next().map_err(|reason| self.malformed(reason))
    }

    /// The current message, if it is a copy, no longer needs its space.
    #[inline]
    fn copied(&mut self) {
        let before = self.ring.released();
        if self.ring.copies() && self.ring.give_back_all() {
            self.gave_back(before);
        }
    }

    /// Ends the current message, and gives back the space of all that were received.
    #[inline]
    fn release(&mut self) {
        let before = self.ring.released();
        if self.ring.release() {
            self.gave_back(before);
        }
    }

    /// Gives back the space up to where the current message begins.
    #[inline]
    fn give_back(&mut self, start: u64) {
        let before = self.ring.released();
        self.ring.give_back(start);
        self.gave_back(before);
    }

    /// Wakes a sender that waits for the space that has been given back.
    #[inline]
    fn gave_back(&mut self, before: u64) {
        let asked = &self.ring.ring().sender().asked;
        if self.sender.owes(asked, before, self.ring.released()) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&mut self) {
        // What failed is told when there is nothing left to receive.
        self.owes = self.bell.ring().is_err();
    }

    /// Wakes a sender that could not be woken, before this half waits for it.
    fn settle(&mut self) -> Result<()> {
        if !self.owes {
            return Ok(());
        }
        match self.bell.ring() {
            Ok(()) | Err(Error::Disconnected) => self.owes = false, // the ear tells that it is gone
            failed => return failed,
        }
        Ok(())
    }

    /// A message is wanted and waiting is not.
    #[cold]
    fn now(&mut self) -> Result<()> {
        self.settle()?;
        for _ in 0..LOOKS {
            if self.arm() {
                return self.next().map(|_| ());
            }
            match self.ear.listen(Wait::Never)? {
                Heard::Nothing => return Err(Error::WouldBlock),
                Heard::Ring => {}
                Heard::Gone => return self.last(),
            }
        }
        Err(Error::WouldBlock) // rung by a peer that does not publish
    }

    /// Sleeps until there may be a message, or with [`Wait::Never`] asks whether the peer lives.
    fn sleep(&mut self, wait: Wait) -> Result<()> {
        self.settle()?;
        if wait != Wait::Never && self.arm() {
            return Ok(());
        }
        match self.ear.listen(wait)? {
            Heard::Gone if !self.ring.is_ready() => Err(Error::Disconnected),
            Heard::Gone | Heard::Nothing | Heard::Ring => Ok(()),
        }
    }

    /// The sender is gone: what it sent before comes first.
    fn last(&mut self) -> Result<()> {
        if self.next()? {
            Ok(())
        } else {
            Err(Error::Disconnected)
        }
    }

    /// Asks to be woken at the next message; true if it is there already.
    fn arm(&mut self) -> bool {
        if self.ring.is_ready() {
            return true;
        }
        let ring = *self.ring.ring();
        // The smallest record moves the sender by a header.
        let next = self.ring.position() + HEADER as u64;
        self.data.ask(&ring.receiver().asked, next);
        self.ring.is_ready()
    }

    #[cold]
    fn malformed(&self, reason: Corrupt) -> Error {
        Error::malformed(object(self.segment.capacity()), reason)
    }
}

impl Ready for ShmReceiver {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.flow.ear.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        Ok(self.flow.arm())
    }
}

impl Inherit for ShmReceiver {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.flow.segment.fds().into_iter().for_each(&mut *each);
        each(self.flow.bell.as_fd());
        each(self.flow.ear.as_fd());
    }

    fn into_parts(mut self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let fds = duplicates(&self, &self.flow.segment)?;
        self.flow.release();
        let state = State {
            side: Side::Receiver,
            capacity: self.capacity(),
            spin: self.poller.spin(),
            position: self.flow.ring.position(),
            prefault: self.flow.segment.is_prefaulted(),
        };
        Ok((fds, state.write()))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let state = State::read(state, Side::Receiver)?;
        let ends = state.ends(fds)?;
        Ok(ShmReceiver::new(state, ends))
    }

    fn forked(&self) {
        self.flow.segment.forked();
    }
}

impl fmt::Debug for ShmReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShmReceiver")
            .field("capacity", &self.capacity())
            .field("spin", &self.poller.spin())
            .field("message_len", &self.message().len())
            .finish_non_exhaustive()
    }
}

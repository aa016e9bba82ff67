//! The half that sends.

#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::spin::{Look, Poller};

use crate::doorbell::{Bell, Ear, Heard, LOOKS};
use crate::handover::{Ends, State, duplicates};
use crate::options::object;
use crate::ring::{Corrupt, Producer};
use crate::segment::{Segment, Side, Trust};
use crate::silence::Silence;
use crate::wake::{Answering, Asking};
use crate::{Error, Inherit, Interest, Ready, Result, Sender, Wait};

/// A batch is published in parts of this many bytes, so that its receiver starts on it at once.
const BATCH: usize = 16 << 10;

/// The sending end of a ring.
pub struct ShmSender {
    flow: Outflow,
    poller: Poller,
}

/// The ring, and the peer's doorbell.
struct Outflow {
    ring: Producer,
    receiver: Answering,
    space: Asking,
    bell: Bell,
    ear: Ear,
    /// The length of the message that found no room last.
    refused: usize,
    silence: Silence,
    /// The receiver is to be woken still: the bell could not be rung.
    owes: bool,
    /// Last, because the ring lies in it.
    segment: Segment,
}

impl ShmSender {
    /// The half that stands where `state` says.
    pub(crate) fn new(state: State, ends: Ends) -> Self {
        let Ends { segment, bell, ear } = ends;
        ShmSender {
            flow: Outflow {
                ring: Producer::new(segment.ring(), state.position),
                receiver: Answering::new(),
                space: Asking::new(&segment.ring().sender().asked),
                bell,
                ear,
                refused: 0,
                silence: Silence::default(),
                owes: false,
                segment,
            },
            poller: Poller::new(state.spin, Look::Load),
        }
    }

    /// The ring's capacity in bytes.
    pub fn capacity(&self) -> usize {
        self.flow.segment.capacity()
    }

    /// Whether the peer may be hostile.
    #[inline]
    pub(crate) fn is_untrusting(&self) -> bool {
        self.flow.segment.trust() == Trust::None
    }

    /// The ring, for a message that is written in place.
    #[inline]
    pub(crate) fn ring(&self) -> &Producer {
        &self.flow.ring
    }

    #[inline]
    pub(crate) fn ring_mut(&mut self) -> &mut Producer {
        &mut self.flow.ring
    }

    /// Makes sure that the peer takes a message of `len` bytes, and that it fits.
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize, wait: Wait) -> Result<()> {
        if len > self.max_len() {
            return Err(self.too_large(len));
        }
        if self.flow.silence.is_due() {
            self.flow.ask_peer()?;
        }
        if !self.flow.ring.fits(len) {
            self.wait_for_room(len, wait)?;
        }
        Ok(())
    }

    /// Makes what was written a message of its own, and wakes the receiver if it wants that.
    #[inline]
    pub(crate) fn publish(&mut self) {
        self.flow.publish();
    }

    /// Out of line, so that the way of a message that fits is short.
    #[inline(never)]
    fn wait_for_room(&mut self, len: usize, wait: Wait) -> Result<()> {
        if self.flow.has_room(len)? {
            return Ok(());
        }
        self.flow.refused = len;
        if wait == Wait::Never {
            return self.flow.now();
        }
        self.poller.expect_len(len);
        let look = |flow: &mut Outflow| Ok(flow.has_room(len)?.then_some(()));
        let waited = self.poller.wait(wait, &mut self.flow, look, Outflow::sleep);
        self.flow
            .space
            .waited(&self.flow.ring.ring().sender().asked);
        waited
    }

    /// Adds a message to the batch, which is published in parts.
    #[inline]
    fn add(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() > self.max_len() {
            return Err(self.too_large(msg.len()));
        }
        if !self.flow.ring.fits(msg.len()) {
            // What is written must be visible before this half waits for its space.
            self.flow.publish_batch();
            self.wait_for_room(msg.len(), wait)?;
        }
        self.flow.ring.push(msg);
        if self.flow.ring.unpublished() >= BATCH {
            self.flow.publish_batch();
        }
        Ok(())
    }

    #[cold]
    fn too_large(&self, len: usize) -> Error {
        Error::TooLarge {
            len,
            max: self.max_len(),
            limit: "ring capacity",
        }
    }
}

impl Sender for ShmSender {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.reserve(msg.len(), wait)?;
        self.flow.ring.push(msg);
        self.flow.publish();
        Ok(())
    }

    #[inline]
    fn max_len(&self) -> usize {
        self.flow.ring.ring().max_len()
    }

    fn send_many(&mut self, msgs: &[&[u8]], wait: Wait) -> Result<usize> {
        if !msgs.is_empty() && self.flow.silence.is_due() {
            self.flow.ask_peer()?;
        }
        let (mut accepted, mut end) = (0, Ok(()));
        while let Some(msg) = msgs.get(accepted) {
            end = self.add(msg, wait);
            if end.is_err() {
                break;
            }
            accepted += 1;
            accepted += self.flow.ring.push_more(&msgs[accepted..], BATCH);
        }
        self.flow.publish_batch();
        match end {
            Err(error) if accepted == 0 => Err(error),
            _ => Ok(accepted),
        }
    }
}

impl Outflow {
    fn has_room(&mut self, len: usize) -> Result<bool> {
        self.ring
            .has_room(len)
            .map_err(|reason| self.malformed(reason))
    }

    /// Publishes what was written, and wakes the receiver if it wants that. From then on the message is sent: what
    /// the bell has to say is told by the next one.
    #[inline]
    fn publish(&mut self) {
        let before = self.ring.publish();
        let asked = &self.ring.ring().receiver().asked;
        if self.receiver.owes(asked, before, self.ring.tail()) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&mut self) {
        self.silence = Silence::rung();
        let _ = self.ring();
    }

    /// Wakes a receiver that could not be woken, before this half sends more or waits for it.
    fn settle(&mut self) -> Result<()> {
        if self.owes {
            self.ring()?;
        }
        Ok(())
    }

    fn ring(&mut self) -> Result<()> {
        let rung = self.bell.ring();
        self.owes = rung.is_err();
        if self.owes {
            self.silence = Silence::default(); // the next send says so at once
        }
        rung
    }

    fn publish_batch(&mut self) {
        if self.ring.unpublished() > 0 {
            self.publish();
        }
    }

    /// A receiver that neither sleeps nor makes the ring full may be dead: now and then the kernel
    /// is asked.
    #[cold]
    fn ask_peer(&mut self) -> Result<()> {
        self.silence.extend();
        self.settle()?;
        match self.listen(Wait::Never)? {
            Heard::Gone => Err(Error::Disconnected),
            Heard::Nothing | Heard::Ring => Ok(()),
        }
    }

    /// Room is wanted and waiting is not.
    #[cold]
    fn now(&mut self) -> Result<()> {
        self.settle()?;
        for _ in 0..LOOKS {
            if self.arm()? {
                return Ok(());
            }
            match self.listen(Wait::Never)? {
                Heard::Nothing => return Err(Error::WouldBlock),
                Heard::Ring => {}
                Heard::Gone => return Err(Error::Disconnected),
            }
        }
        Err(Error::WouldBlock) // rung by a peer that does not publish
    }

    /// Sleeps until there may be room, or with [`Wait::Never`] asks whether the peer lives.
    fn sleep(&mut self, wait: Wait) -> Result<()> {
        self.settle()?;
        if wait != Wait::Never && self.arm()? {
            return Ok(());
        }
        match self.listen(wait)? {
            Heard::Gone => Err(Error::Disconnected),
            Heard::Nothing | Heard::Ring => Ok(()),
        }
    }

    /// Asks to be woken when the message that was refused fits; true if it does already.
    fn arm(&mut self) -> Result<bool> {
        let (len, ring) = (self.refused, *self.ring.ring());
        if self.has_room(len)? {
            return Ok(true);
        }
        self.space
            .ask(&ring.sender().asked, self.ring.head_for(len));
        self.has_room(len)
    }

    fn listen(&mut self, wait: Wait) -> Result<Heard> {
        let heard = self.ear.listen(wait)?;
        if heard == Heard::Gone {
            self.silence = Silence::default(); // the next send says so at once
        }
        Ok(heard)
    }

    #[cold]
    fn malformed(&self, reason: Corrupt) -> Error {
        Error::malformed(object(self.segment.capacity()), reason)
    }
}

impl Ready for ShmSender {
    /// The doorbell for space, which a sender *reads*.
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.flow.ear.as_fd(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        self.flow.arm()
    }
}

impl Inherit for ShmSender {
    fn fds(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.flow.segment.fds().into_iter().for_each(&mut *each);
        each(self.flow.bell.as_fd());
        each(self.flow.ear.as_fd());
    }

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let fds = duplicates(&self, &self.flow.segment)?;
        let state = State {
            side: Side::Sender,
            capacity: self.capacity(),
            spin: self.poller.spin(),
            position: self.flow.ring.tail(),
            prefault: self.flow.segment.is_prefaulted(),
        };
        Ok((fds, state.write()))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let state = State::read(state, Side::Sender)?;
        let ends = state.ends(fds)?;
        Ok(ShmSender::new(state, ends))
    }

    fn forked(&self) {
        self.flow.segment.forked();
    }
}

impl fmt::Debug for ShmSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShmSender")
            .field("capacity", &self.capacity())
            .field("spin", &self.poller.spin())
            .finish_non_exhaustive()
    }
}

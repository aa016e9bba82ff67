//! There and back in place: a message is written where its receiver reads it. Of its lines only the
//! first, the last and a roving one are touched, so that what its length costs is the way and not
//! the writing.

use ipc_core::{Receiver, Sender, Wait};

use super::round_trip::{self, Trip};
use super::{Ends, Pair, Part, Role, cpu_time};
use crate::Result;
use crate::payload::{Kind, Touched};
use crate::plan::{Cell, Pattern};

/// A sender of messages that are written where their receiver reads them.
pub trait InPlace: Sender {
    /// Lets `write` write a message of `len` bytes, and sends it.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send).
    fn send_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> ipc_core::Result<()>;
}

/// Two equal endpoints with such senders.
#[derive(Debug)]
pub struct InPlacePair<S, R>(pub Pair<S, R>);

impl<S: InPlace + Send, R: Receiver> Ends for InPlacePair<S, R> {
    fn play(&mut self, role: Role, cell: &Cell) -> Result<Part> {
        if cell.pattern != Pattern::InPlace {
            return self.0.play(role, cell);
        }
        let (sender, receiver) = self.0.end(role);
        play(sender, receiver, role, cell)
    }

    fn halves(&mut self, role: Role) -> Option<(&mut dyn Sender, &mut dyn Receiver)> {
        self.0.halves(role)
    }
}

/// Plays a part with one end's halves.
pub(super) fn play<S: InPlace, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    role: Role,
    cell: &Cell,
) -> Result<Part> {
    let mut trip = Lent {
        sender,
        receiver,
        out: Touched::new(cell.size, cell.verify),
        incoming: Touched::new(cell.size, cell.verify),
    };
    match role {
        Role::Driver => round_trip::drive(trip, cell),
        Role::Peer => trip.answer(),
    }
}

/// Messages that are written and read in place.
struct Lent<'a, S, R> {
    sender: &'a mut S,
    receiver: &'a mut R,
    out: Touched,
    incoming: Touched,
}

impl<S: InPlace, R: Receiver> Lent<'_, S, R> {
    #[inline]
    fn send(&mut self, message: Kind) -> Result<()> {
        let (len, out) = (self.out.size(), &mut self.out);
        Ok(self.sender.send_with(len, |msg| out.write(msg, message))?)
    }

    /// Answers what comes with messages of its own, until the end.
    fn answer(&mut self) -> Result<Part> {
        let mut cpu = cpu_time()?;
        loop {
            self.receiver.recv_wait(Wait::Forever)?;
            let kind = self.check()?;
            self.send(kind)?;
            match kind {
                Kind::Message | Kind::Whole => {}
                Kind::Mark => cpu = cpu_time()?,
                Kind::End => break,
            }
        }
        Ok(Part {
            cpu: cpu_time()?.saturating_sub(cpu),
            figures: None,
        })
    }
}

impl<S: InPlace, R: Receiver> Trip for Lent<'_, S, R> {
    #[inline]
    fn make(&mut self, message: Kind) -> Result<()> {
        self.send(message)?;
        Ok(self.receiver.recv_wait(Wait::Forever)?)
    }

    #[inline]
    fn check(&mut self) -> Result<Kind> {
        Ok(self.incoming.check(self.receiver.message())?)
    }
}

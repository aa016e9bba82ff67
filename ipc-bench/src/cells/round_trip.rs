//! There and back: one process sends and receives, the other echoes.

use std::time::Instant;

use ipc_core::{Receiver, Sender, Wait};

use super::latencies::Latencies;
use super::{Part, cpu_time};
use crate::Result;
use crate::payload::{Incoming, Kind, Outgoing};
use crate::plan::Cell;

/// The messages of the warm-up, at least: those of which every byte is checked.
pub(crate) const WARM_UP: u64 = 3;

/// One message there, and one back.
pub(super) trait Trip {
    /// Makes one. What comes back is checked later.
    fn make(&mut self, message: Kind) -> Result<()>;

    /// Checks what came back last.
    fn check(&mut self) -> Result<Kind>;
}

/// Begins round trips and times each. The clock is read once a round trip; checking every byte and
/// filling the histogram are not counted.
pub(super) fn drive(mut trip: impl Trip, cell: &Cell) -> Result<Part> {
    warm_up(&mut trip, cell)?;
    let mut latencies = Latencies::new();
    let cpu = cpu_time()?;
    let mut last = Instant::now();
    let end = last + cell.time;
    while last < end {
        trip.make(Kind::Message)?;
        let now = Instant::now();
        let paused = latencies.push(now - last);
        let kind = trip.check()?;
        last = if paused || kind == Kind::Whole {
            Instant::now()
        } else {
            now
        };
    }
    let cpu = cpu_time()?.saturating_sub(cpu);
    trip.make(Kind::End)?;
    trip.check()?;
    Ok(Part {
        cpu,
        figures: Some(latencies.figures()),
    })
}

/// Round trips that do not count, and the mark.
pub(super) fn warm_up(trip: &mut impl Trip, cell: &Cell) -> Result<()> {
    let warm = Instant::now() + cell.warm_up();
    for count in 0.. {
        trip.make(Kind::Message)?;
        trip.check()?;
        if count >= WARM_UP && Instant::now() >= warm {
            break;
        }
    }
    trip.make(Kind::Mark)?;
    trip.check()?;
    Ok(())
}

/// Messages that are sent and received.
pub(super) struct Sent<'a, S, R> {
    pub(super) sender: &'a mut S,
    pub(super) receiver: &'a mut R,
    pub(super) out: Outgoing,
    pub(super) incoming: Incoming,
}

impl<'a, S, R> Sent<'a, S, R> {
    pub(super) fn new(sender: &'a mut S, receiver: &'a mut R, cell: &Cell) -> Self {
        Sent {
            sender,
            receiver,
            out: Outgoing::new(cell.size),
            incoming: Incoming::new(cell.size, cell.verify),
        }
    }
}

impl<S: Sender, R: Receiver> Trip for Sent<'_, S, R> {
    #[inline]
    fn make(&mut self, message: Kind) -> Result<()> {
        match message {
            Kind::Message | Kind::Whole => self.sender.send(self.out.advance())?,
            Kind::Mark => self.sender.send(&self.out.mark())?,
            Kind::End => self.sender.send(&self.out.end())?,
        }
        Ok(self.receiver.recv_wait(Wait::Forever)?)
    }

    #[inline]
    fn check(&mut self) -> Result<Kind> {
        Ok(self.incoming.check(self.receiver.message())?)
    }
}

/// Sends back what it receives, and checks it while the echo is on its way.
pub(super) fn echo<S: Sender, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    cell: &Cell,
) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    let mut cpu = cpu_time()?;
    loop {
        receiver.recv_wait(Wait::Forever)?;
        sender.send(receiver.message())?;
        match incoming.check(receiver.message())? {
            Kind::Message | Kind::Whole => {}
            Kind::Mark => cpu = cpu_time()?,
            Kind::End => break,
        }
    }
    sender.flush(Wait::Forever)?;
    Ok(Part {
        cpu: cpu_time()?.saturating_sub(cpu),
        figures: None,
    })
}

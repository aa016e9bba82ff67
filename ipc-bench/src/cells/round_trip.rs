//! There and back: one process sends and receives, the other echoes.

use std::time::Instant;

use ipc_core::{Receiver, Sender, Wait};

use super::latencies::Latencies;
use super::{Part, cpu_time};
use crate::Result;
use crate::payload::{Incoming, Kind, Outgoing};
use crate::plan::Cell;

/// The messages of the warm-up, at least: those of which every byte is checked.
const WARM_UP: u64 = 3;

/// Begins round trips and times each. The clock is read once a round trip; checking every byte and
/// filling the histogram are not counted.
pub(super) fn drive<S: Sender, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    cell: &Cell,
) -> Result<Part> {
    let mut out = Outgoing::new(cell.size);
    let mut incoming = Incoming::new(cell.size, cell.verify);

    warm_up(sender, receiver, &mut out, &mut incoming, cell)?;
    let mut latencies = Latencies::new();
    let cpu = cpu_time()?;
    let mut last = Instant::now();
    let end = last + cell.time;
    while last < end {
        sender.send(out.advance())?;
        receiver.recv_wait(Wait::Forever)?;
        let now = Instant::now();
        let paused = latencies.push(now - last);
        let kind = incoming.check(receiver.message())?;
        last = if paused || kind == Kind::Whole {
            Instant::now()
        } else {
            now
        };
    }
    let cpu = cpu_time()?.saturating_sub(cpu);
    sender.send(&out.end())?;
    incoming.check(receiver.recv()?)?;
    Ok(Part {
        cpu,
        figures: Some(latencies.figures()),
    })
}

/// Round trips that do not count, and the mark.
pub(super) fn warm_up<S: Sender, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    out: &mut Outgoing,
    incoming: &mut Incoming,
    cell: &Cell,
) -> Result<()> {
    let warm = Instant::now() + cell.warm_up();
    for count in 0.. {
        sender.send(out.advance())?;
        receiver.recv_wait(Wait::Forever)?;
        incoming.check(receiver.message())?;
        if count >= WARM_UP && Instant::now() >= warm {
            break;
        }
    }
    sender.send(&out.mark())?;
    incoming.check(receiver.recv()?)?;
    Ok(())
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

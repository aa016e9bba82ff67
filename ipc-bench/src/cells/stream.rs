//! One way: one process sends as quickly as it can, the other receives.

use std::time::{Duration, Instant};

use ipc_core::{Receiver, Sender, Wait};

use super::{Figures, Part, cpu_time};
use crate::Result;
use crate::payload::{Incoming, Kind, Outgoing};
use crate::plan::Cell;

/// So many bytes are sent between looks at the clock, ..
const BYTES_PER_LOOK: usize = 1 << 20;
/// .. or so many messages.
const MESSAGES_PER_LOOK: usize = 1024;

/// How many messages of `size` bytes are sent between looks at the clock.
pub(crate) fn messages_per_look(size: usize) -> usize {
    (BYTES_PER_LOOK / size).clamp(1, MESSAGES_PER_LOOK)
}

/// Sends for the cell's time, then the end mark.
pub(super) fn send<S: Sender>(sender: &mut S, cell: &Cell) -> Result<Part> {
    let mut out = Outgoing::new(cell.size);
    send_for(sender, &mut out, cell.warm_up(), cell.size)?;
    sender.send(&out.mark())?;
    let cpu = cpu_time()?;
    send_for(sender, &mut out, cell.time, cell.size)?;
    sender.send(&out.end())?;
    sender.flush(Wait::Forever)?;
    Ok(Part {
        cpu: cpu_time()?.saturating_sub(cpu),
        figures: None,
    })
}

fn send_for<S: Sender>(
    sender: &mut S,
    out: &mut Outgoing,
    time: Duration,
    size: usize,
) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        for _ in 0..messages_per_look(size) {
            sender.send(out.advance())?;
        }
        if Instant::now() >= end {
            return Ok(());
        }
    }
}

/// Receives and checks until the end mark; the rate is that between the two marks.
pub(super) fn receive<R: Receiver>(receiver: &mut R, cell: &Cell) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    receive_until(receiver, &mut incoming, Kind::Mark)?;
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let count = receive_until(receiver, &mut incoming, Kind::End)?;
    let elapsed = start.elapsed();
    Ok(Part {
        cpu: cpu_time()?.saturating_sub(cpu),
        figures: Some(Figures::plain(count, elapsed)),
    })
}

fn receive_until<R: Receiver>(
    receiver: &mut R,
    incoming: &mut Incoming,
    until: Kind,
) -> Result<u64> {
    let mut count = 0;
    loop {
        receiver.recv_wait(Wait::Forever)?;
        match incoming.check(receiver.message())? {
            Kind::Message | Kind::Whole => count += 1,
            mark if mark == until => return Ok(count),
            mark => return Err(format!("the mark {mark:?} came before its time").into()),
        }
    }
}

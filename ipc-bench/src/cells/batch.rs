//! One way, many messages a call.

use std::time::{Duration, Instant};

use ipc_core::{Receiver, Sender, Wait};

use super::stream::{BYTES_PER_LOOK, MESSAGES_PER_LOOK};
use super::{Figures, Part, cpu_time};
use crate::Result;
use crate::payload::{Batches, Corrupt, Incoming, Kind, batch_of};
use crate::plan::Cell;

/// Sends for the cell's time, then the end mark.
pub(super) fn send<S: Sender>(sender: &mut S, cell: &Cell) -> Result<Part> {
    let mut out = Batches::new(cell.size);
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
    out: &mut Batches,
    time: Duration,
    size: usize,
) -> Result<()> {
    let messages = (BYTES_PER_LOOK / size).clamp(1, MESSAGES_PER_LOOK);
    let end = Instant::now() + time;
    loop {
        for _ in 0..messages.div_ceil(batch_of(size)) {
            let batch = out.advance();
            let mut rest = &batch[..];
            while !rest.is_empty() {
                let sent = sender.send_many(rest, Wait::Forever)?;
                rest = &rest[sent..];
            }
        }
        if Instant::now() >= end {
            return Ok(());
        }
    }
}

/// Receives and checks until the end mark; the rate is that between the two marks.
pub(super) fn receive<R: Receiver>(receiver: &mut R, cell: &Cell) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    let (mut count, mut start, mut end) = (0, None, None);
    let mut wrong = None::<Corrupt>;
    while wrong.is_none() && end.is_none() {
        let mut each = |msg: &[u8]| match incoming.check(msg) {
            Ok(Kind::Message | Kind::Whole) => count += 1,
            Ok(Kind::Mark) => (count, start) = (0, Some((Instant::now(), cpu_time()))),
            Ok(Kind::End) => end = Some((Instant::now(), cpu_time())),
            Err(error) => _ = wrong.get_or_insert(error),
        };
        receiver.recv_many(batch_of(cell.size), Wait::Forever, &mut each)?;
    }
    if let Some(error) = wrong {
        return Err(error.into());
    }
    let ((start, cpu), (end, cpu_end)) = start.zip(end).ok_or("no mark came before the end")?;
    Ok(Part {
        cpu: cpu_end?.saturating_sub(cpu?),
        figures: Some(Figures {
            count,
            elapsed: end - start,
            latency: None,
            late: None,
        }),
    })
}

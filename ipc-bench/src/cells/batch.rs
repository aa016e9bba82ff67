//! One way, many messages a call.

use std::time::{Duration, Instant};

use ipc_core::{Receiver, Sender, Wait};

use super::{Ends, Marks, Pair, Part, Role, cpu_time, messages_per_look};
use crate::Result;
use crate::payload::{Batches, Corrupt, Incoming, batch_of};
use crate::plan::{Cell, Pattern};

/// Two equal endpoints that send bytes: a floor's, whose batch is the bytes of all its messages.
#[derive(Debug)]
pub struct BytesPair<S, R>(pub Pair<S, R>);

impl<S: Sender + Send, R: Receiver> Ends for BytesPair<S, R> {
    fn play(&mut self, role: Role, cell: &Cell) -> Result<Part> {
        let (sender, _) = self.0.end(role);
        match (cell.pattern, role) {
            (Pattern::Batch, Role::Peer) => send(sender, cell, |sender, out| {
                Ok(sender.send(out.advance_bytes())?)
            }),
            _ => self.0.play(role, cell),
        }
    }

    fn halves(&mut self, role: Role) -> Option<(&mut dyn Sender, &mut dyn Receiver)> {
        self.0.halves(role)
    }
}

/// Sends for the cell's time, then the end mark. `send_next` sends a batch.
pub(super) fn send<S: Sender>(
    sender: &mut S,
    cell: &Cell,
    send_next: fn(&mut S, &mut Batches) -> Result<()>,
) -> Result<Part> {
    let batches = messages_per_look(cell.size).div_ceil(batch_of(cell.size));
    let send_for = |sender: &mut S, out: &mut Batches, time: Duration| -> Result<()> {
        let end = Instant::now() + time;
        loop {
            for _ in 0..batches {
                send_next(sender, out)?;
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    };
    let mut out = Batches::new(cell.size);
    send_for(sender, &mut out, cell.warm_up())?;
    sender.send(&out.mark())?;
    let cpu = cpu_time()?;
    send_for(sender, &mut out, cell.time)?;
    sender.send(&out.end())?;
    sender.flush(Wait::Forever)?;
    Ok(Part {
        cpu: cpu_time()?.saturating_sub(cpu),
        figures: None,
    })
}

/// Sends the next batch as messages.
pub(super) fn send_messages<S: Sender>(sender: &mut S, out: &mut Batches) -> Result<()> {
    let batch = out.advance();
    let mut rest = &batch[..];
    while !rest.is_empty() {
        let sent = sender.send_many(rest, Wait::Forever)?;
        rest = &rest[sent..];
    }
    Ok(())
}

/// Receives and checks until the end mark; the rate is that between the two marks.
pub(super) fn receive<R: Receiver>(receiver: &mut R, cell: &Cell) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    let mut marks = Marks::default();
    let mut wrong = None::<Corrupt>;
    while wrong.is_none() && !marks.are_over() {
        let mut each = |msg: &[u8]| match incoming.check(msg) {
            Ok(kind) => marks.note(kind),
            Err(error) => _ = wrong.get_or_insert(error),
        };
        receiver.recv_many(batch_of(cell.size), Wait::Forever, &mut each)?;
    }
    match wrong {
        Some(error) => Err(error.into()),
        None => marks.part(),
    }
}

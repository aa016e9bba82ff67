//! What the two processes of an asynchronous cell do: the same as in `crate::cells`, awaited.

use std::time::{Duration, Instant};

use super::{End, idle};
use crate::Result;
use crate::cells::{Latencies, Marks, Part, Role, WARM_UP, cpu_time, messages_per_look};
use crate::payload::{Batches, Corrupt, Incoming, Kind, Outgoing, batch_of};
use crate::plan::{Cell, Pattern};

/// Plays a part with one end.
pub(super) async fn play(mut end: impl End, role: Role, cell: &Cell) -> Result<Part> {
    let end = &mut end;
    match (cell.pattern, role) {
        (Pattern::RoundTrip, Role::Driver) => round_trip(end, cell).await,
        (Pattern::RoundTrip | Pattern::Idle, Role::Peer) => echo(end, cell).await,
        (Pattern::Stream, Role::Driver) => receive(end, cell).await,
        (Pattern::Stream, Role::Peer) => send(end, cell).await,
        (Pattern::Batch, Role::Driver) => receive_many(end, cell).await,
        (Pattern::Batch, Role::Peer) => send_many(end, cell).await,
        (Pattern::Idle, Role::Driver) => idle::drive(end, cell).await,
        (pattern, _) => Err(format!("asynchronous ends have no {}", pattern.name()).into()),
    }
}

/// Begins round trips and times each.
async fn round_trip(end: &mut impl End, cell: &Cell) -> Result<Part> {
    let (out, incoming) = &mut payload(cell);
    warm_up(end, out, incoming, cell).await?;
    let mut latencies = Latencies::new();
    let cpu = cpu_time()?;
    let mut last = Instant::now();
    let over = last + cell.time;
    while last < over {
        end.send(out.advance()).await?;
        let message = end.recv().await?;
        let now = Instant::now();
        let paused = latencies.push(now - last);
        let kind = incoming.check(message)?;
        last = if paused || kind == Kind::Whole {
            Instant::now()
        } else {
            now
        };
    }
    let cpu = cpu_time()?.saturating_sub(cpu);
    end.send(&out.end()).await?;
    incoming.check(end.recv().await?)?;
    Ok(Part {
        cpu,
        figures: Some(latencies.figures()),
    })
}

/// Round trips that do not count, and the mark.
pub(super) async fn warm_up(
    end: &mut impl End,
    out: &mut Outgoing,
    incoming: &mut Incoming,
    cell: &Cell,
) -> Result<()> {
    let warm = Instant::now() + cell.warm_up();
    for count in 0.. {
        end.send(out.advance()).await?;
        incoming.check(end.recv().await?)?;
        if count >= WARM_UP && Instant::now() >= warm {
            break;
        }
    }
    end.send(&out.mark()).await?;
    incoming.check(end.recv().await?)?;
    Ok(())
}

/// Sends back what it receives, and checks it while the echo is on its way.
async fn echo(end: &mut impl End, cell: &Cell) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    let mut cpu = cpu_time()?;
    loop {
        match incoming.check(end.echo().await?)? {
            Kind::Message | Kind::Whole => {}
            Kind::Mark => cpu = cpu_time()?,
            Kind::End => return part_since(cpu),
        }
    }
}

/// Sends one by one for the cell's time, then the end mark.
async fn send(end: &mut impl End, cell: &Cell) -> Result<Part> {
    let mut out = Outgoing::new(cell.size);
    send_for(end, &mut out, cell.warm_up(), cell.size).await?;
    end.send(&out.mark()).await?;
    let cpu = cpu_time()?;
    send_for(end, &mut out, cell.time, cell.size).await?;
    end.send(&out.end()).await?;
    part_since(cpu)
}

async fn send_for(
    end: &mut impl End,
    out: &mut Outgoing,
    time: Duration,
    size: usize,
) -> Result<()> {
    let over = Instant::now() + time;
    loop {
        for _ in 0..messages_per_look(size) {
            end.send(out.advance()).await?;
        }
        if Instant::now() >= over {
            return Ok(());
        }
    }
}

/// Receives one by one and checks until the end mark; the rate is that between the two marks.
async fn receive(end: &mut impl End, cell: &Cell) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    let mut marks = Marks::default();
    while !marks.are_over() {
        marks.note(incoming.check(end.recv().await?)?);
    }
    marks.part()
}

/// Sends batches for the cell's time, then the end mark.
async fn send_many(end: &mut impl End, cell: &Cell) -> Result<Part> {
    let mut out = Batches::new(cell.size);
    send_many_for(end, &mut out, cell.warm_up(), cell.size).await?;
    end.send(&out.mark()).await?;
    let cpu = cpu_time()?;
    send_many_for(end, &mut out, cell.time, cell.size).await?;
    end.send(&out.end()).await?;
    part_since(cpu)
}

async fn send_many_for(
    end: &mut impl End,
    out: &mut Batches,
    time: Duration,
    size: usize,
) -> Result<()> {
    let over = Instant::now() + time;
    loop {
        for _ in 0..messages_per_look(size).div_ceil(batch_of(size)) {
            end.send_many(&out.advance()).await?;
        }
        if Instant::now() >= over {
            return Ok(());
        }
    }
}

/// Receives as many as are there, and checks each, until the end mark.
async fn receive_many(end: &mut impl End, cell: &Cell) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    let mut marks = Marks::default();
    let mut wrong = None::<Corrupt>;
    while wrong.is_none() && !marks.are_over() {
        end.recv_many(batch_of(cell.size), |msg| match incoming.check(msg) {
            Ok(kind) => marks.note(kind),
            Err(error) => _ = wrong.get_or_insert(error),
        })
        .await?;
    }
    match wrong {
        Some(error) => Err(error.into()),
        None => marks.part(),
    }
}

pub(super) fn payload(cell: &Cell) -> (Outgoing, Incoming) {
    (
        Outgoing::new(cell.size),
        Incoming::new(cell.size, cell.verify),
    )
}

fn part_since(cpu: Duration) -> Result<Part> {
    Ok(Part {
        cpu: cpu_time()?.saturating_sub(cpu),
        figures: None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::thread;

    use tokio::runtime::Builder;

    use super::*;
    use crate::placement::Placement;
    use crate::plan::Verify;

    /// What happens to the messages on their way.
    type Fault = fn(number: usize, msg: &mut Vec<u8>);

    /// An end whose every wait holds up its thread.
    struct Faulty(
        SyncSender<Vec<u8>>,
        Receiver<Vec<u8>>,
        Fault,
        usize,
        Vec<u8>,
    );

    impl End for Faulty {
        async fn send(&mut self, msg: &[u8]) -> Result<()> {
            let mut msg = msg.to_vec();
            self.2(self.3, &mut msg);
            self.3 += 1;
            self.0.send(msg).map_err(|_| "gone".into())
        }

        async fn send_many(&mut self, msgs: &[&[u8]]) -> Result<()> {
            for msg in msgs {
                self.send(msg).await?;
            }
            Ok(())
        }

        async fn recv(&mut self) -> Result<&[u8]> {
            self.4 = self.1.recv().map_err(|_| "gone")?;
            Ok(&self.4)
        }

        async fn recv_many(&mut self, _: usize, mut each: impl FnMut(&[u8])) -> Result<()> {
            each(self.recv().await?);
            Ok(())
        }

        async fn echo(&mut self) -> Result<&[u8]> {
            let message = self.recv().await?.to_vec();
            self.send(&message).await?;
            Ok(&self.4)
        }
    }

    /// Plays a cell between two threads; the driver's part, or what went wrong in either.
    fn play_both(pattern: Pattern, fault: Fault) -> Result<Part, String> {
        let cell = Cell {
            mechanism: "faulty".to_owned(),
            pattern,
            size: 64,
            placement: Placement::Free,
            spin: None,
            time: Duration::from_millis(20),
            rate: 0,
            verify: Verify::Sample,
            repetition: 1,
        };
        let ((there, at_peer), (back, at_driver)) = (sync_channel(16), sync_channel(16));
        let part = |tx, rx, role| {
            let (cell, end) = (cell.clone(), Faulty(tx, rx, fault, 0, Vec::new()));
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().build().unwrap();
                let part = runtime.block_on(play(end, role, &cell));
                part.map_err(|error| error.to_string())
            })
        };
        let peer = part(back, at_peer, Role::Peer);
        let driver = part(there, at_driver, Role::Driver).join().unwrap();
        match (driver, peer.join().unwrap()) {
            (Err(gone), Err(error)) | (Err(error), Err(gone)) if gone == "gone" => Err(error),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(part), Ok(_)) => Ok(part),
        }
    }

    const PATTERNS: [Pattern; 3] = [Pattern::RoundTrip, Pattern::Stream, Pattern::Batch];

    #[test]
    fn sound_ends_pass() {
        for pattern in PATTERNS {
            let figures = play_both(pattern, |_, _| {}).unwrap().figures.unwrap();
            assert!(figures.count > 0);
            assert_eq!(figures.latency.is_some(), pattern == Pattern::RoundTrip);
        }
    }

    #[test]
    fn faulty_ends_are_caught() {
        for pattern in PATTERNS {
            let error = play_both(pattern, |n, msg| msg[63] ^= u8::from(n == 3)).unwrap_err();
            assert!(
                error.contains("corrupt") && error.contains("byte 63"),
                "{error}"
            );
        }
    }
}

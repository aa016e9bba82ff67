//! So many messages a second, one way: what waiting costs where messages are rare.

use std::time::Duration;

use ipc_core::{Receiver, Sender, Wait};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

use super::latencies::Latencies;
use super::{Figures, Part, cpu_time};
use crate::Result;
use crate::payload::{Incoming, Kind, Outgoing};
use crate::plan::Cell;

/// Both processes read it, and the sender sleeps by it.
const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;

/// Sends by the schedule, and in the end the times at which it sent.
pub(super) fn send<S: Sender>(sender: &mut S, cell: &Cell) -> Result<Part> {
    let mut out = Outgoing::new(cell.size);
    let mut schedule = Schedule::new(cell.rate)?;
    for _ in 0..messages(cell.rate, cell.warm_up()) {
        schedule.wait()?;
        sender.send(out.advance())?;
    }
    sender.send(&out.mark())?;
    let cpu = cpu_time()?;
    let mut sent = vec![Duration::ZERO; messages(cell.rate, cell.time)];
    for at in &mut sent {
        schedule.wait()?;
        *at = now()?;
        sender.send(out.advance())?;
    }
    let cpu = cpu_time()?.saturating_sub(cpu);
    sender.send(&out.end())?;
    let mut time = vec![0; cell.size];
    for at in sent {
        time[..8].copy_from_slice(&u64::try_from(at.as_nanos())?.to_le_bytes());
        sender.send(&time)?;
    }
    sender.flush(Wait::Forever)?;
    Ok(Part { cpu, figures: None })
}

/// Notes when messages come, and learns in the end when they were sent.
pub(super) fn receive<R: Receiver>(receiver: &mut R, cell: &Cell) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    while receive_one(receiver, &mut incoming)? != Kind::Mark {}
    let (start, cpu) = (now()?, cpu_time()?);
    let mut arrivals = Vec::with_capacity(messages(cell.rate, cell.time));
    while receive_one(receiver, &mut incoming)? != Kind::End {
        arrivals.push(now()?);
    }
    let cpu = cpu_time()?.saturating_sub(cpu);
    let elapsed = now()?.saturating_sub(start);
    let mut latencies = Latencies::new();
    for at in arrivals {
        let time = receiver.recv()?.first_chunk().ok_or("a time was cut")?;
        let sent = Duration::from_nanos(u64::from_le_bytes(*time));
        latencies.push(at.saturating_sub(sent));
    }
    let figures = Figures {
        elapsed,
        ..latencies.figures()
    };
    Ok(Part {
        cpu,
        figures: Some(figures),
    })
}

fn receive_one<R: Receiver>(receiver: &mut R, incoming: &mut Incoming) -> Result<Kind> {
    receiver.recv_wait(Wait::Forever)?;
    Ok(incoming.check(receiver.message())?)
}

/// When the messages are due: a late one does not delay those that follow.
struct Schedule {
    next: Duration,
    period: Duration,
}

impl Schedule {
    fn new(rate: u32) -> Result<Self> {
        prctl::set_timerslack(1)?; // else the kernel adds up to 50 us
        Ok(Schedule {
            next: now()?,
            period: Duration::from_secs(1) / rate,
        })
    }

    /// Sleeps until the next message is due.  `clock_nanosleep(2)`
    fn wait(&mut self) -> Result<()> {
        self.next += self.period;
        let due = TimeSpec::from_duration(self.next);
        loop {
            match clock_nanosleep(CLOCK, ClockNanosleepFlags::TIMER_ABSTIME, &due) {
                Err(Errno::EINTR) => {}
                slept => return Ok(slept.map(drop)?),
            }
        }
    }
}

/// How many are due in `time`, at least one.
fn messages(rate: u32, time: Duration) -> usize {
    let period = Duration::from_secs(1) / rate;
    usize::try_from(time.as_nanos() / period.as_nanos()).map_or(usize::MAX, |n| n.max(1))
}

fn now() -> Result<Duration> {
    Ok(clock_gettime(CLOCK)?.into())
}

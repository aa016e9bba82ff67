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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::results::tests::cell;

    const SIZE: usize = 64;
    /// Measured messages of the cell below; a few more are its warm-up.
    const COUNT: usize = 20;
    /// Far longer than taking a message from memory.
    const DELAY: Duration = Duration::from_secs(10);

    fn twenty() -> Cell {
        Cell {
            time: Duration::from_millis(20),
            ..cell("pipe", crate::plan::Pattern::Paced, SIZE)
        }
    }

    /// Keeps what is sent.
    struct Keeps(VecDeque<Vec<u8>>);

    impl Sender for Keeps {
        fn send_wait(&mut self, msg: &[u8], _: Wait) -> ipc_core::Result<()> {
            self.0.push_back(msg.to_vec());
            Ok(())
        }

        fn max_len(&self) -> usize {
            SIZE
        }
    }

    /// Hands it out, and says that each message was on its way for so long.
    struct Delays(VecDeque<Vec<u8>>, Vec<u8>, VecDeque<Duration>);

    impl Receiver for Delays {
        fn recv_wait(&mut self, _: Wait) -> ipc_core::Result<()> {
            let left = self.0.len();
            self.1 = self.0.pop_front().ok_or(ipc_core::Error::Disconnected)?;
            // The messages, then the end, then their times.
            if left > COUNT + 1 {
                self.2.push_back(now().unwrap());
            } else if left <= COUNT {
                let at = self.2[self.2.len() - left].saturating_sub(DELAY);
                self.1[..8].copy_from_slice(&u64::try_from(at.as_nanos()).unwrap().to_le_bytes());
            }
            Ok(())
        }

        fn message(&self) -> &[u8] {
            &self.1
        }
    }

    fn sent() -> VecDeque<Vec<u8>> {
        let mut keeps = Keeps(VecDeque::new());
        send(&mut keeps, &twenty()).unwrap();
        keeps.0
    }

    #[test]
    fn what_is_sent_ends_with_the_times_at_which_it_was_due_or_later() {
        let begin = now().unwrap();
        let sent = sent();
        let end = now().unwrap();
        let mut before = begin;
        for (number, time) in sent.iter().skip(sent.len() - COUNT).enumerate() {
            let at = Duration::from_nanos(u64::from_le_bytes(*time.first_chunk().unwrap()));
            let due = begin + Duration::from_millis(number as u64 + 1);
            assert!(at >= due.max(before) && at <= end, "{number}");
            before = at;
        }
    }

    #[test]
    fn latencies_are_from_the_time_of_sending_to_the_arrival() {
        let mut delays = Delays(sent(), Vec::new(), VecDeque::new());
        let figures = receive(&mut delays, &twenty()).unwrap().figures.unwrap();
        assert_eq!(figures.count, COUNT as u64);
        let p50 = Duration::from_nanos(figures.latency.unwrap().p50_ns);
        assert!(p50 >= DELAY && p50 < 2 * DELAY, "{p50:?}");
    }
}

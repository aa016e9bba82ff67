//! Round trips, and now and then one end is busy with something else: how soon are they as quick
//! again as they were?

use std::hint;
use std::time::{Duration, Instant};

use ipc_core::{Receiver, Sender, Wait};
use serde::{Deserialize, Serialize};

use super::latencies::Latencies;
use super::round_trip::{Sent, Trip, warm_up};
use super::{Figures, Part, cpu_time};
use crate::Result;
use crate::payload::{Incoming, Kind};
use crate::plan::Cell;

/// How long an end is busy: longer than ends that poll keep polling.
const STALL: Duration = Duration::from_micros(200);
/// A recovery that takes longer is late.
const LATE: Duration = Duration::from_millis(1);
/// One that takes this long is waited for no longer.
const GIVEN_UP: Duration = Duration::from_millis(20);
/// Undisturbed round trips before each stall.
const CALM: Duration = Duration::from_millis(1);
/// So many quick round trips in a row are a recovery: one alone may be luck.
const IN_A_ROW: u32 = 8;

/// How many recoveries were late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Those that took over 1 ms.
    pub late: u64,
    /// Those of them that were not over after 20 ms: they count with the time they had taken by then.
    pub given_up: u64,
}

impl Late {
    fn note(&mut self, recovery: Duration) {
        self.late += u64::from(recovery > LATE);
        self.given_up += u64::from(recovery >= GIVEN_UP);
    }
}

/// Stalls itself and its peer in turn. A recovery lasts from the end of the stall to the first of
/// several round trips in a row that take at most twice the usual.
pub(super) fn drive<S: Sender, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    cell: &Cell,
) -> Result<Part> {
    let mut driver = Sent::new(sender, receiver, cell);
    warm_up(&mut driver, cell)?;

    let (mut latencies, mut late) = (Latencies::new(), Late::default());
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let mut usual = driver.calm()?;
    for turn in 0_u64.. {
        let resumed = match turn % 2 {
            0 => stall(),
            _ => driver.stall_peer()?,
        };
        let recovery = driver.recovery(resumed, usual * 2)?;
        latencies.push(recovery);
        late.note(recovery);
        // The quickest calm is the usual: one end may not have learned yet.
        usual = usual.min(driver.calm()?);
        if start.elapsed() >= cell.time {
            break;
        }
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_time()?.saturating_sub(cpu));
    driver.end()?;
    let figures = Figures {
        elapsed,
        late: Some(late),
        ..latencies.figures()
    };
    Ok(Part {
        cpu,
        figures: Some(figures),
    })
}

/// Sends back what it receives; at a mark it is busy first.
pub(super) fn echo<S: Sender, R: Receiver>(
    sender: &mut S,
    receiver: &mut R,
    cell: &Cell,
) -> Result<Part> {
    let mut incoming = Incoming::new(cell.size, cell.verify);
    let mut cpu = None;
    loop {
        receiver.recv_wait(Wait::Forever)?;
        let kind = incoming.check(receiver.message())?;
        if kind == Kind::Mark {
            cpu.get_or_insert(cpu_time()?);
            stall();
        }
        sender.send(receiver.message())?;
        if kind == Kind::End {
            break;
        }
    }
    sender.flush(Wait::Forever)?;
    Ok(Part {
        cpu: cpu_time()?.saturating_sub(cpu.unwrap_or_default()),
        figures: None,
    })
}

impl<S: Sender, R: Receiver> Sent<'_, S, R> {
    /// The median of some round trips.
    fn calm(&mut self) -> Result<Duration> {
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed() < CALM {
            times.push(self.round_trip()?);
        }
        times.sort_unstable();
        Ok(times[times.len() / 2])
    }

    /// How long it takes since `resumed` until round trips take no longer than `quick`.
    fn recovery(&mut self, resumed: Instant, quick: Duration) -> Result<Duration> {
        let (mut recovery, mut in_a_row) = (resumed.elapsed(), 0);
        while in_a_row < IN_A_ROW && recovery < GIVEN_UP {
            if self.round_trip()? <= quick {
                in_a_row += 1;
            } else {
                (recovery, in_a_row) = (resumed.elapsed(), 0);
            }
        }
        Ok(recovery)
    }

    fn round_trip(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.make(Kind::Message)?;
        let time = start.elapsed();
        self.check()?;
        Ok(time)
    }

    /// Has the peer be busy; when that was over, but for the message's way.
    fn stall_peer(&mut self) -> Result<Instant> {
        let start = Instant::now();
        self.make(Kind::Mark)?;
        self.check()?;
        Ok(start + STALL)
    }

    fn end(&mut self) -> Result<()> {
        self.make(Kind::End)?;
        self.check()?;
        Ok(())
    }
}

/// Is busy; when that was over.
fn stall() -> Instant {
    let end = Instant::now() + STALL;
    loop {
        let now = Instant::now();
        if now >= end {
            return now;
        }
        hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_are_those_over_1_ms_and_given_up_those_of_20() {
        let mut late = Late::default();
        for us in [999, 1_000, 1_001, 19_999, 20_000, 21_000] {
            late.note(Duration::from_micros(us));
        }
        let (all, given_up) = (4, 2);
        assert_eq!(
            late,
            Late {
                late: all,
                given_up
            }
        );
    }
}

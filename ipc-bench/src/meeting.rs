//! Where the two processes of a cell meet: one cache line, there and back.

use std::hint;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cells::Role;
use crate::columns::median;
use crate::sys::SharedMemory;

/// Round trips that are timed as one, so that reading the clock counts for little.
const BATCH: u64 = 64;
const BATCHES: u64 = 64;
/// Round trips of a probe.
const TURNS: u64 = BATCH * BATCHES;
/// How long a probe may take, of which a millisecond is usual: beside other programs the two are seldom
/// running at the same time.
const LIMIT: Duration = Duration::from_millis(50);
/// Looks between two at the clock.
const LOOKS: u32 = 1024;
/// Words in 128 bytes, which is as far as a prefetcher pairs lines.
const STRIDE: usize = 16;

/// Memory that both processes of a cell share, to see how far apart their cores are.
///
/// On a guest the host moves the virtual cores: there and back takes 50 ns at one time and 400 ns at
/// another, for seconds. Without this figure beside it, one of a polling end says little.
#[derive(Debug)]
pub(crate) struct Meeting(SharedMemory);

impl Meeting {
    pub(crate) fn new() -> io::Result<Self> {
        SharedMemory::new(4096).map(Meeting)
    }

    /// One round trip of a cache line, in ns, as the driver sees it: the median of several; `None`
    /// where there were too few in the time. Both processes must call it, each on a core of its own.
    pub(crate) fn probe(&self, role: Role) -> Option<f64> {
        let (there, back) = self.lines();
        match role {
            Role::Driver => lead(there, back),
            Role::Peer => {
                follow(there, back);
                None
            }
        }
    }

    fn lines(&self) -> (&AtomicU64, &AtomicU64) {
        let words = self.0.words();
        (&words[0], &words[STRIDE])
    }
}

/// Begins each turn. However far it came, it ends with the last one, which lets the peer go.
fn lead(there: &AtomicU64, back: &AtomicU64) -> Option<f64> {
    let start = there.load(Ordering::Relaxed);
    let deadline = Instant::now() + LIMIT;
    let batches = (0..BATCHES).map_while(|batch| {
        let begin = Instant::now();
        if begin >= deadline {
            return None;
        }
        for turn in 1..=BATCH {
            let turn = start + batch * BATCH + turn;
            there.store(turn, Ordering::Release);
            await_value(back, turn, deadline)?;
        }
        Some(begin.elapsed().as_secs_f64() * 1e9 / BATCH as f64)
    });
    let times: Vec<f64> = batches.collect();
    there.store(start + TURNS, Ordering::Release);
    median(&times)
}

/// Answers whatever turn it is: the driver may have given some up, and be in its next probe.
fn follow(there: &AtomicU64, back: &AtomicU64) {
    let mut turn = back.load(Ordering::Relaxed);
    let end = turn + TURNS;
    while turn < end {
        let now = there.load(Ordering::Acquire).min(end);
        if now == turn {
            hint::spin_loop();
        } else {
            turn = now;
            back.store(turn, Ordering::Release);
        }
    }
}

/// `None` is too late.
fn await_value(word: &AtomicU64, value: u64, deadline: Instant) -> Option<()> {
    loop {
        for _ in 0..LOOKS {
            if word.load(Ordering::Acquire) == value {
                return Some(());
            }
            hint::spin_loop();
        }
        if Instant::now() >= deadline {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Both lines.
    fn turns(meeting: &Meeting) -> [u64; 2] {
        let (there, back) = meeting.lines();
        [there, back].map(|line| line.load(Ordering::Acquire))
    }

    #[test]
    fn both_end_a_probe_at_the_same_turn_and_mostly_it_tells_a_time() {
        let start = Instant::now();
        let probe = || {
            let meeting = Meeting::new().unwrap();
            let time = thread::scope(|scope| {
                scope.spawn(|| meeting.probe(Role::Peer));
                meeting.probe(Role::Driver)
            });
            assert_eq!(turns(&meeting), [TURNS, TURNS]);
            time
        };
        // On a busy machine it may be none at first.
        while probe().is_none() {
            assert!(start.elapsed() < PATIENCE, "none told a time");
        }
    }

    #[test]
    fn a_driver_does_not_wait_for_ever_and_a_late_peer_is_let_go() {
        let meeting = Arc::new(Meeting::new().unwrap());
        for role in [Role::Driver, Role::Peer] {
            let (tell, told) = mpsc::channel();
            let meeting = Arc::clone(&meeting);
            thread::spawn(move || tell.send([meeting.probe(role), meeting.probe(role)]));
            let times = told.recv_timeout(PATIENCE).expect("they are over soon");
            assert_eq!(times, [None, None]);
        }
        assert_eq!(turns(&meeting), [2 * TURNS, 2 * TURNS]);
    }

    #[test]
    fn a_peer_that_finds_the_next_probe_begun_takes_part_in_it() {
        let meeting = Meeting::new().unwrap();
        let (there, _) = meeting.lines();
        there.store(TURNS + 5, Ordering::Release);
        meeting.probe(Role::Peer);
        assert_eq!(turns(&meeting), [TURNS + 5, TURNS]);
        there.store(2 * TURNS, Ordering::Release);
        meeting.probe(Role::Peer);
        assert_eq!(turns(&meeting), [2 * TURNS, 2 * TURNS]);
    }
}

//! Where the two processes of a cell meet: one cache line, there and back.

use std::hint;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::cells::Role;
use crate::sys::SharedMemory;

/// Round trips that are timed as one, so that reading the clock counts for little.
const BATCH: u64 = 64;
const BATCHES: usize = 64;
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

    /// One round trip of a cache line, in ns, as the driver sees it: the median of several. Both
    /// processes must call it, each on a core of its own.
    pub(crate) fn probe(&self, role: Role) -> Option<f64> {
        let words = self.0.words();
        let (there, back) = (&words[0], &words[STRIDE]);
        let first = match role {
            Role::Driver => there,
            Role::Peer => back,
        };
        let start = first.load(Ordering::Relaxed);
        match role {
            Role::Driver => Some(lead(there, back, start)),
            Role::Peer => {
                for turn in 1..=BATCH * BATCHES as u64 {
                    await_value(there, start + turn);
                    back.store(start + turn, Ordering::Release);
                }
                None
            }
        }
    }
}

fn lead(there: &AtomicU64, back: &AtomicU64, start: u64) -> f64 {
    let mut times = [0.0; BATCHES];
    let mut turn = start;
    for time in &mut times {
        let begin = Instant::now();
        for _ in 0..BATCH {
            turn += 1;
            there.store(turn, Ordering::Release);
            await_value(back, turn);
        }
        *time = begin.elapsed().as_secs_f64() * 1e9 / BATCH as f64;
    }
    times.sort_by(f64::total_cmp);
    times[BATCHES / 2]
}

fn await_value(word: &AtomicU64, value: u64) {
    while word.load(Ordering::Acquire) != value {
        hint::spin_loop();
    }
}

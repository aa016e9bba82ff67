//! What the targets share: an account of what was done, and the limit of time.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::time::{ClockId, clock_gettime};

/// Far more than any script needs, of the processor's time.
const LIMIT_NS: i64 = 100_000_000;

/// Plays one script, which says how many words its peer wrote.
///
/// # Panics
///
/// If it took 100 ms of the processor's time.
pub fn play(attack: impl FnOnce() -> u64) {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    static WORDS: AtomicU64 = AtomicU64::new(0);

    let start = processor_time();
    let words = attack();
    let took = processor_time() - start;
    assert!(took < LIMIT_NS, "{took} ns of the processor's time");

    let words = WORDS.fetch_add(words, Ordering::Relaxed) + words;
    let runs = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
    if runs % 100_000 == 0 {
        eprintln!("{runs} scripts, {words} words written by the peer");
    }
}

fn processor_time() -> i64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

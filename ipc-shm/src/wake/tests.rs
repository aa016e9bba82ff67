//! The moment of falling asleep, between two threads and with nothing else in between: the sleeper
//! asks and looks while the other side publishes and answers. One of them must notice.
//!
//! Seen to fail: without the barrier in `ask` (calm), without the fence in `ask` (standing), without
//! that in `owes` (standing; refused by the publisher's kernel), each alone and in a release build.
#![allow(unsafe_code)]

use std::hint;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::*;

/// How things are when the sleeper asks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    /// It is the first sleep.
    Calm,
    /// There was one not long ago.
    Standing,
    /// It is the first sleep, and the publisher's process could not register.
    Unreached,
}

#[repr(align(128))]
#[derive(Default)]
struct Apart<T>(T);

#[derive(Default)]
struct Shared {
    word: Line,
    published: Line,
    /// The rounds that each side has begun, and what the publisher said in the last one.
    begun: [Apart<AtomicU64>; 2],
    rang: Apart<AtomicU64>,
}

/// Waits for the other side, then lets the two drift apart by up to a microsecond or so.
fn meet(shared: &Shared, side: usize, round: u64) {
    shared.begun[side].0.store(round, Ordering::SeqCst);
    let begun = || shared.begun[1 - side].0.load(Ordering::SeqCst) >= round;
    while !(0..1000).any(|_| begun()) {
        thread::yield_now(); // they share a processor
    }
    let random = (round + side as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    // About as long as a cache line takes between the two, whatever that is.
    (0..random % (16 << (round / 2 % 9))).for_each(|number| {
        hint::black_box(number);
    });
}

/// Rounds in two seconds, and those in which nobody noticed.
fn race(case: Case) -> (u64, u64) {
    let shared = &Shared::default();
    let start = Instant::now();
    let (mut rounds, mut lost) = (0, 0);
    thread::scope(|scope| {
        let publisher = scope.spawn(move || {
            let fenced = case == Case::Unreached;
            let answering = Answering { fenced };
            for round in 1.. {
                meet(shared, 1, 2 * round);
                if start.elapsed() > Duration::from_secs(2) && round % 1000 == 0 {
                    shared.rang.0.store(u64::MAX, Ordering::Release);
                    meet(shared, 1, 2 * round + 1);
                    return;
                }
                shared.published.store(round);
                let owes = answering.owes(&shared.word, round - 1, round);
                shared
                    .rang
                    .0
                    .store(2 * round + u64::from(owes), Ordering::Release);
                meet(shared, 1, 2 * round + 1);
            }
        });
        let mut asking = Asking::new(&shared.word);
        for round in 1.. {
            meet(shared, 0, 2 * round);
            if case == Case::Unreached {
                // What `ask` does, less the barrier: that would reach this thread's process.
                shared.word.store(round);
                fence(Ordering::SeqCst);
            } else {
                asking.ask(&shared.word, round);
            }
            let found = shared.published.load() == round;
            meet(shared, 0, 2 * round + 1);
            match shared.rang.0.load(Ordering::Acquire) {
                u64::MAX => break,
                rang => lost += u64::from(!found && rang == 2 * round),
            }
            match case {
                Case::Calm => (0..=CALMING).for_each(|_| asking.waited(&shared.word)),
                Case::Unreached => shared.word.store(CALM),
                Case::Standing => {}
            }
            assert_eq!(shared.word.peek() == CALM, case != Case::Standing);
            rounds = round;
        }
        publisher.join().unwrap();
    });
    println!("{case:?}: {rounds} rounds, {lost} lost");
    (rounds, lost)
}

/// One after the other: each takes two processors.
#[test]
#[cfg_attr(miri, ignore)] // no membarrier there
fn one_side_always_notices() {
    for case in [Case::Calm, Case::Standing, Case::Unreached] {
        let (rounds, lost) = race(case);
        // The publisher looks at the clock in every thousandth.
        assert!(rounds > 900, "only {rounds} rounds: nothing is shown");
        assert_eq!(lost, 0, "of {rounds} rounds, {case:?}");
    }
}

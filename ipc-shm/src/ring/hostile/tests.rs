//! What fuzzers look for, in short; and what changes while it is looked at.
//!
//! Seen to fail, each guard broken once:
//!
//! | broken | found by |
//! |---|---|
//! | a header's length not checked, or checked against a word too much | `any_header_is_checked`, `a_hostile_peer_reaches_nothing_outside` |
//! | the length taken from a second load of the header | `a_header_is_loaded_once` |
//! | the message lent where the peer can write it, though it was copied | `a_hostile_peer_reaches_nothing_outside` |
//! | a copy that loads or stores a word too much, or a block of words | the same, by SIGSEGV |
//! | a receiver that goes on behind a corrupt header | `a_hostile_peer_reaches_nothing_outside` |
//! | an index that may go back, past what was sent, or where no record ends | `any_head_is_checked`, `a_hostile_peer_reaches_nothing_outside` |
//! | the index loaded again after its check | `an_index_is_loaded_once`, in most runs |
//! | a sender that goes on behind a corrupt index | `a_hostile_peer_reaches_nothing_outside` |
//! | no room kept for the next header | `it_is_a_queue_on_the_heap`, `it_is_a_queue_mapped_twice`, `any_head_is_checked`, `a_hostile_peer_reaches_nothing_outside` |
//! | the next header not zeroed | the first two of these, and the last |
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};
use std::thread;

use super::{attack_receiver, attack_sender};
use crate::ring::tests::Heap;
use crate::ring::{Consumer, PUBLISHED, Producer};

/// Tries a side, over and over, while a word changes between two values; until it has often met
/// both. It says whether it met the first.
fn while_it_flips(word: &AtomicU64, values: [u64; 2], mut meets_first: impl FnMut() -> bool) {
    let enough = if cfg!(miri) { 50 } else { 300_000 };
    let (mut met, tried) = ([0; 2], Mutex::new(()));
    word.store(values[0], Ordering::Relaxed);
    thread::scope(|scope| {
        let trying = tried.lock();
        scope.spawn(|| {
            let mut turns = 0_usize..;
            while tried
                .try_lock()
                .is_err_and(|error| matches!(error, TryLockError::WouldBlock))
            {
                // An odd number: either is met on a single processor, too.
                for turn in turns.by_ref().take(101) {
                    word.store(values[turn % 2], Ordering::Relaxed);
                }
                thread::yield_now();
            }
        });
        while met.iter().any(|times| *times < enough) {
            met[usize::from(meets_first())] += 1;
            if cfg!(miri) {
                thread::yield_now(); // it has one processor
            }
        }
        drop(trying); // at a panic as well
    });
}

/// A header that changes after it was checked changes nothing.
#[test]
fn a_header_is_loaded_once() {
    let mut heap = Heap::new(4096);
    let ring = heap.ring();
    let len = ring.max_len(); // a long copy, during which it can change
    let mut private = vec![0_u64; len.div_ceil(8)];
    let place = NonNull::from(&mut *private).cast();
    while_it_flips(ring.header(0), [len as u64 | PUBLISHED, u64::MAX], || {
        let mut rx = Consumer::copying(ring, 0, place);
        let found = rx.next();
        if found.is_ok() {
            assert_eq!(rx.message().len(), len);
            assert!(rx.position() > len as u64);
        }
        found.is_ok()
    });
}

/// Nor does an index.
#[test]
fn an_index_is_loaded_once() {
    let mut heap = Heap::new(256);
    let ring = heap.ring();
    let values = [1024 - 256, 1024 + 256];
    while_it_flips(&ring.receiver().head.0, values, || {
        let room = Producer::new(ring, 1024).has_room(0);
        assert_ne!(room, Ok(true), "a full ring has no room");
        room.is_ok()
    });
}

/// Marsaglia's xorshift decides what a fuzzer would.
#[test]
fn a_hostile_peer_reaches_nothing_outside() {
    let mut state = 7_u64;
    let mut script = [0_u8; 256];
    let mut written = 0;
    for _ in 0..if cfg!(miri) { 50 } else { 300_000 } {
        script.fill_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        written += attack_receiver(&script) + attack_sender(&script);
    }
    println!("{written} words");
}

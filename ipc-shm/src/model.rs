//! The whole halves and the ring, as they are, before [loom](https://docs.rs/loom), which runs
//! them in every order of their steps and with every value that a load may find:
//! `just prove-loom`.
//!
//! What is exchanged under `--cfg loom`, and nothing else: the atomics of [`crate::sync`] have twins
//! in loom ([`memory`]), which the bytes of messages have as well, so that a message read too early
//! or written over too soon is a data race; and the doorbells are a mutex and a condition variable
//! ([`crate::doorbell`]). The ring has room for two messages of a word, and the third runs over its
//! end. A lost wake-up is loom's "deadlock". A death is a thread that does no more than k steps, a
//! step being an access to the memory or the doorbells ([`death`]). `membarrier(2)` is refused, so
//! that all pass fences, but in the model that offers it: there a barrier interrupts the other
//! thread between two of its steps, loom choosing where, and makes it pass a fence ([`processor`]).
//!
//! # Limits
//!
//! - Models of whole halves have two preemptions at most (`LOOM_MAX_PREEMPTIONS` overrides that);
//!   those of the ring alone have as many as there can be.
//! - Loom takes a sequentially consistent fence for more than it is: two of them order all that lies
//!   before the one and behind the other, data too. So what Release and Acquire are worth is told
//!   by the models of the ring alone, which pass no such fence.
//! - A relaxed load may find any of the last seven stores that it is allowed to, but none that is
//!   still to come: load buffering is not modelled.
//! - Halves that sleep at once are modelled, since loom knows no clock; so the nap of a sleeper whose
//!   barrier is refused is argued only. The word is calm after every wait, not after 32.
//!
//! # Mutants
//!
//! Each was made once, and the models named failed, with two preemptions:
//!
//! | broken | found by | as |
//! |---|---|---|
//! | the publisher's fence, or its load behind it | [`sleep`] | deadlock |
//! | the sleeper's fence | [`sleep`] | deadlock |
//! | the sleeper's barrier | [`sleep`], where there is membarrier | deadlock |
//! | the look after asking, of either half | [`sleep`], [`killed`] | deadlock |
//! | a ring only for what lies beyond the position, or exactly at it | [`sleep`], [`killed`] | deadlock |
//! | Release of a header, Acquire of it | all | race on a message |
//! | Release of the head, Acquire of it | all | race on a message |
//! | a message given back before it is read, or before it is copied | [`sleep`], [`killed`] | race on a message |
//! | the zero in the next header | [`ring`], a loan cut short | old payload taken for a header |
//! | a batch whose first header is not held back | [`ring`] | wrong message |
//! | room for a record but not for the zero behind it | all | wrong message, deadlock |
//!
//! One lived: not to look once more when the sender is found gone. A half that sleeps finds then
//! only what no `send` returned for; one that never sleeps would lose messages.

pub(crate) mod death;
mod killed;
pub(crate) mod memory;
pub(crate) mod processor;
mod ring;
mod sleep;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::doorbell::{self, doorbell};
use crate::handover::{Ends, State};
use crate::segment::{Segment, Side, Trust};
use crate::{Duplex, ShmDuplex, ShmReceiver, ShmSender, Spin, sys};

/// The smallest ring that carries messages of a word: two of them fill it, and the third runs over
/// its end.
const CAPACITY: usize = 40;

/// Runs `model` in every order of its steps that has two preemptions at most.
fn check(model: impl Fn() + Send + Sync + 'static) {
    check_up_to(Some(2), model);
}

/// Runs `model` in every order of its steps that has so many preemptions at most.
fn check_up_to(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    let asked_for = builder.preemption_bound; // LOOM_MAX_PREEMPTIONS
    builder.preemption_bound = preemptions.map(|preemptions| asked_for.unwrap_or(preemptions));
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        forget();
        model();
    });
    forget();
    println!("{} executions", executions.load(Ordering::Relaxed));
}

/// Forgets what the execution before was made of.
fn forget() {
    memory::forget();
    doorbell::forget();
    processor::forget();
}

/// Two endpoints over two rings.
fn pair() -> (ShmDuplex, ShmDuplex) {
    let (there, back) = (channel(Trust::Full), channel(Trust::Full));
    (Duplex::new(there.0, back.1), Duplex::new(back.0, there.1))
}

/// Both ends of a ring.
fn channel(trust: Trust) -> (ShmSender, ShmReceiver) {
    let ring = memory::ring(CAPACITY);
    let (sender, receiver) = Segment::create(sys::page_size(), trust).unwrap();
    let (data, space) = (doorbell().unwrap(), doorbell().unwrap());
    let ends = |segment: Segment, bell, ear| Ends {
        segment: segment.with_ring(ring),
        bell,
        ear,
    };
    let state = |side| State::new(side, CAPACITY, Spin::Never, false);
    (
        ShmSender::new(state(Side::Sender), ends(sender, data.0, space.1)),
        ShmReceiver::new(state(Side::Receiver), ends(receiver, space.0, data.1)),
    )
}

/// The message of that number. The third is written over what was the first.
fn message(number: u8) -> Vec<u8> {
    vec![number + 1; if number % 4 == 3 { 0 } else { 8 }]
}

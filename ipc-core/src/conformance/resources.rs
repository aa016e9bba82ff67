//! Clauses 6, 7 and 8: no allocation per message, drop never waits, nothing leaks.

use super::descriptors::{descriptors, expect_close_on_exec, mappings};
use super::support::{MOMENT, expect, large_len};
use super::{Half, allocations};
use crate::{Channel, Error, Receiver, Sender, Wait};

/// Clause 6: after a first few, no message costs an allocation, single or in a batch.
pub(super) fn nothing_is_allocated_per_message<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let max = tx.max_len();
    let msg = vec![7; 32 << 10];
    let batch = [&msg[..64.min(max)]; 8];
    let mut round = || {
        for len in [0, 1, 64, 1000, 4000, msg.len()].map(|len| len.min(max)) {
            tx.send(&msg[..len]).unwrap();
            assert_eq!(rx.recv().unwrap().len(), len);
            tx.try_send(&msg[..len]).unwrap();
            rx.recv_wait(Wait::Forever).unwrap();
            expect(rx.try_recv(), &Error::WouldBlock);
        }
        assert_eq!(tx.send_many(&batch, Wait::Never).unwrap(), batch.len());
        let mut received = 0;
        while received < batch.len() {
            received += rx.recv_many(5, Wait::Forever, &mut |_| ()).unwrap();
        }
    };
    let start = allocations();
    let warm_up = Box::new(0u8);
    assert!(
        allocations() > start,
        "the counting allocator is not installed"
    );
    drop(warm_up);
    (0..50).for_each(|_| round());
    let before = allocations();
    (0..200).for_each(|_| round());
    assert_eq!(allocations() - before, 0, "allocations in 200 rounds");
}

/// Clause 6: halves move to another thread, and print. The bounds say so when they compile.
pub(super) fn halves_move_and_print<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (tx, rx) = channel();
    let print = |half: &dyn std::fmt::Debug| format!("{half:?}");
    assert!(!print(&tx).is_empty() && !print(&rx).is_empty());
}

/// Clause 7: a drop tries a tail once and goes, however full the channel is.
pub(super) fn a_drop_never_waits<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let full = || {
        let (mut tx, rx) = channel();
        let msg = vec![7; large_len(&tx)];
        while tx.try_send(&msg).is_ok() {}
        (tx, rx, msg)
    };
    let (tx, mut rx, msg) = full();
    drop(tx);
    let error = loop {
        match rx.recv_wait(MOMENT.into()) {
            Ok(()) => assert!(rx.message() == msg),
            Err(error) => break error,
        }
    };
    match error {
        // The tail was not sent, and whoever has no end of file waits.
        Error::Disconnected | Error::Malformed { .. } | Error::TimedOut => {}
        error => panic!("{error}"),
    }
    let (tx, rx, _) = full();
    drop(rx);
    drop(tx);
}

/// Clause 8: every descriptor of a channel is born close-on-exec.
pub(super) fn channels_close_on_exec<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let before = descriptors();
    let (mut tx, mut rx) = channel();
    expect_close_on_exec(&before);
    tx.send(b"in use").unwrap();
    rx.recv().unwrap();
    expect_close_on_exec(&before);
}

/// Clause 8: every descriptor of a pair is born close-on-exec.
pub(super) fn endpoints_close_on_exec<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    let before = descriptors();
    let (mut a, mut b) = pair();
    a.send(b"in use").unwrap();
    b.recv().unwrap();
    expect_close_on_exec(&before);
}

/// Clause 7: with both halves gone, so are their descriptors and mappings.
pub(super) fn a_dropped_channel_leaves_nothing<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    expect_nothing_left(|| {
        let (mut tx, mut rx) = channel();
        tx.send(b"received").unwrap();
        rx.recv().unwrap();
        tx.send(b"never received").unwrap();
    });
}

/// Clause 7: with both ends gone, so are their descriptors and mappings.
pub(super) fn a_dropped_pair_leaves_nothing<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    expect_nothing_left(|| {
        let (mut a, mut b) = pair();
        a.send(b"received").unwrap();
        b.recv().unwrap();
        b.send(b"never received").unwrap();
    });
}

fn expect_nothing_left(cycle: impl Fn()) {
    cycle(); // what is made once per process
    let before = (descriptors(), mappings());
    for _ in 0..200 {
        cycle();
    }
    let after = descriptors();
    let left: Vec<_> = after.difference(&before.0).collect();
    assert!(
        left.is_empty(),
        "descriptors left open after 200 cycles: {left:?}"
    );
    let more = mappings().saturating_sub(before.1);
    assert!(more < 20, "{more} more mappings after 200 cycles"); // the heap may have grown
}

//! Clauses 3 and 5: deadlines hold, what is refused was not taken, and `WouldBlock` is true.

use std::thread;
use std::time::{Duration, Instant};

use super::support::{
    MOMENT, carry, drain, expect, expect_deadline, expect_timed_out, fill, message, receive_all,
    send_all, some_len,
};
use super::{Half, sys};
use crate::{Error, Receiver, Result, Sender, Wait};

/// Clause 5: there is nothing, and it says so at once.
pub(super) fn an_empty_channel_would_block<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    for _ in 0..3 {
        expect(rx.try_recv(), &Error::WouldBlock);
        let mut none = |_: &[u8]| panic!("a message from nowhere");
        expect(rx.recv_many(3, Wait::Never, &mut none), &Error::WouldBlock);
        tx.send(b"something").unwrap();
        assert_eq!(rx.recv().unwrap(), b"something");
    }
}

/// Clause 5: `WouldBlock` is not said where there is a message.
pub(super) fn what_was_sent_is_there<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    for round in 0..3u8 {
        for number in 0..10 {
            tx.try_send(&[round, number]).unwrap();
        }
        thread::sleep(MOMENT); // TCP takes its time
        for number in 0..10 {
            assert_eq!(rx.try_recv().unwrap(), [round, number]);
        }
        expect(rx.try_recv(), &Error::WouldBlock);
    }
}

/// Clause 3: a receive ends at its deadline, not before, and loses nothing.
pub(super) fn a_receive_deadline_holds<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    for round in 0..5u8 {
        let timeout = Duration::from_millis(1 << (2 * round));
        expect_deadline(timeout, |timeout| rx.recv_timeout(timeout).map(|_| ()));
        expect_deadline(timeout, |timeout| {
            let mut none = |_: &[u8]| panic!("a message from nowhere");
            rx.recv_many(3, timeout.into(), &mut none).map(|_| ())
        });
        tx.send(&[round]).unwrap();
        assert_eq!(rx.recv_timeout(Duration::MAX).unwrap(), [round]);
    }
    // One that comes while it waits.
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(MOMENT);
            tx.send(b"late").unwrap();
        });
        assert_eq!(rx.recv_timeout(Duration::from_secs(30)).unwrap(), b"late");
    });
}

/// Clause 3: a send to a full channel ends at its deadline, and not one byte was taken.
pub(super) fn a_send_deadline_holds<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let count = fill_until_deadline(&mut tx, 0, MOMENT, |tx, msg, timeout| {
        tx.send_timeout(msg, timeout)
    });
    let count = fill_until_deadline(&mut tx, count, MOMENT, |tx, msg, timeout| {
        tx.send_many(&[msg], timeout.into()).map(|_| ())
    });
    drain(&mut tx, &mut rx, count);
}

/// Clause 3: a deadline that is over still takes what needs no waiting, and its error is `TimedOut`.
pub(super) fn no_time_is_enough_for_what_is_there<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    expect(rx.recv_timeout(Duration::ZERO), &Error::TimedOut);
    tx.send_timeout(b"there", Duration::ZERO).unwrap();
    thread::sleep(MOMENT); // TCP takes its time
    assert_eq!(rx.recv_timeout(Duration::ZERO).unwrap(), b"there");
    expect(rx.recv_timeout(Duration::ZERO), &Error::TimedOut);
}

/// Clause 3: exactly the messages that were accepted come, however often one was refused.
pub(super) fn a_full_channel_keeps_what_it_took<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    for _ in 0..3 {
        let (mut tx, mut rx) = channel();
        let mut count = 0;
        for _ in 0..10 {
            let (next, error) = fill(&mut tx, count, || Wait::Never);
            expect(Err::<(), _>(error), &Error::WouldBlock);
            count = next;
        }
        assert!(count > 0, "it is full from the start");
        drain(&mut tx, &mut rx, count);
        // And once more: a channel that was full is as good as new.
        tx.send(b"again").unwrap();
        assert_eq!(rx.recv().unwrap(), b"again");
    }
}

/// Clause 3: a batch that meets a full channel counts what was accepted, and `WouldBlock` is none.
pub(super) fn a_full_channel_counts_its_batch<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let mut count = 0;
    loop {
        let msgs: Vec<Vec<u8>> = (count..count + 33)
            .map(|seq| message(seq, some_len(&tx, seq)))
            .collect();
        let msgs: Vec<&[u8]> = msgs.iter().map(Vec::as_slice).collect();
        match tx.send_many(&msgs, Wait::Never) {
            Ok(sent) => {
                assert!((1..=33).contains(&sent), "accepted {sent} of 33");
                count += sent;
            }
            Err(Error::WouldBlock) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(count > 0, "it is full from the start");
    drain(&mut tx, &mut rx, count);
}

/// Clause 3: a signal neither ends a wait nor starts its deadline anew.
pub(super) fn deadlines_hold_through_interruptions<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let timeout = Duration::from_millis(200);
    {
        let _storm = sys::Storm::start();
        expect_deadline(timeout, |timeout| rx.recv_timeout(timeout).map(|_| ()));
    }
    let (count, _) = fill(&mut tx, 0, || Wait::Never);
    let count = fill_until_deadline(&mut tx, count, timeout, |tx, msg, timeout| {
        let _storm = sys::Storm::start();
        tx.send_timeout(msg, timeout)
    });
    drain(&mut tx, &mut rx, count);
}

/// Clauses 1 and 3: a signal neither loses nor doubles a message.
pub(super) fn interruptions_lose_nothing<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (tx, rx) = channel();
    let lens: Vec<usize> = (0..2000)
        .map(|seq| if seq % 50 == 0 { 200_000 } else { seq % 3000 })
        .map(|len| len.min(tx.max_len()))
        .collect();
    let _storm = sys::Storm::start(); // it strikes the main thread: the receiver, then the sender
    let (tx, rx) = carry(tx, rx, &lens);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| receive_all(rx, &lens));
        let _tx = send_all(tx, &lens);
        expect(receiver.join().unwrap().try_recv(), &Error::WouldBlock);
    });
}

/// Sends numbered messages from `first` on until one meets its deadline; returns that one's number.
/// The kernel may find room after it said that there is none: TCP's buffers grow.
fn fill_until_deadline<S: Sender>(
    tx: &mut S,
    first: usize,
    timeout: Duration,
    send: impl Fn(&mut S, &[u8], Duration) -> Result<()>,
) -> usize {
    let mut next = first;
    loop {
        let msg = message(next, some_len(tx, next));
        let start = Instant::now();
        match send(tx, &msg, timeout) {
            Ok(()) => next += 1,
            refused => {
                expect_timed_out(refused, start, timeout);
                return next;
            }
        }
    }
}

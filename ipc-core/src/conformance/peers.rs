//! Clauses 4 and 9: a peer that is gone is an error, never a signal and never a hang.

use std::thread;
use std::time::Duration;

use super::support::{MOMENT, check, expect, fill, fork, large_len, message, some_len};
use super::{Half, sys};
use crate::{Channel, Error, Receiver, Sender, Wait};

/// Bytes that a channel may still take for a peer that is gone: a ring's whole capacity, say.
const UNHEARD: usize = 64 << 20;

/// First everything that was sent, then `Disconnected`, again and again.
pub(super) fn what_was_sent_comes_before_disconnected<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    for msg in [&b"first"[..], b"", b"last", b""] {
        tx.send(msg).unwrap();
    }
    drop(tx);
    for msg in [&b"first"[..], b"", b"last", b""] {
        assert_eq!(rx.recv().unwrap(), msg);
    }
    expect_gone(&mut rx);
}

/// The same of a message that is more than the kernel takes at once.
pub(super) fn a_large_message_comes_before_disconnected<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let len = large_len(&tx);
    thread::scope(|scope| {
        scope.spawn(move || tx.send(&message(0, len)).unwrap());
        check(rx.recv().unwrap(), 0, len);
    });
    expect_gone(&mut rx);
}

/// Sending to a peer that is gone fails, at the latest when there is no more room for it.
pub(super) fn sending_to_a_gone_peer_is_disconnected<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    for wait in [Wait::Forever, Duration::from_secs(30).into()] {
        let (mut tx, rx) = channel();
        drop(rx);
        send_until_gone(&mut tx, wait);
    }
    // With a message that the peer never received.
    let (mut tx, rx) = channel();
    tx.send(b"unread").unwrap();
    drop(rx);
    send_until_gone(&mut tx, Wait::Forever);
}

/// The same where SIGPIPE would kill; its disposition and the signal mask are left alone.
pub(super) fn sigpipe_is_never_raised<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    sys::reset_sigpipe();
    let before = sys::sigpipe();
    let (mut tx, rx) = channel();
    tx.send(b"unread").unwrap();
    drop(rx);
    send_until_gone(&mut tx, Wait::Forever);
    let large = vec![0; large_len(&tx)];
    expect(tx.send(&large), &Error::Disconnected);
    expect(
        tx.send_many(&[b"1", b"2"], Wait::Forever),
        &Error::Disconnected,
    );
    assert_eq!(
        sys::sigpipe(),
        before,
        "(disposition, blocked, pending) of SIGPIPE"
    );
    drop(tx);
    assert_eq!(
        sys::sigpipe(),
        before,
        "(disposition, blocked, pending) of SIGPIPE"
    );
}

/// A receiver that sleeps wakes up.
pub(super) fn a_blocked_receiver_is_told<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    for wait in [Wait::Forever, Duration::from_secs(30).into()] {
        let (tx, mut rx) = channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(MOMENT);
                drop(tx);
            });
            expect(rx.recv_wait(wait), &Error::Disconnected);
        });
        expect_gone(&mut rx);
    }
}

/// A sender that sleeps wakes up.
pub(super) fn a_blocked_sender_is_told<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    for wait in [Wait::Forever, Duration::from_secs(30).into()] {
        let (mut tx, rx) = channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(MOMENT);
                drop(rx);
            });
            let (_, error) = fill(&mut tx, 0, || wait);
            expect(Err::<(), _>(error), &Error::Disconnected);
        });
        send_until_gone(&mut tx, wait);
    }
}

/// Both directions of an endpoint end with its peer.
pub(super) fn a_gone_endpoint_is_disconnected<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    let (mut a, mut b) = pair();
    b.send(b"last words").unwrap();
    drop(b);
    assert_eq!(a.recv().unwrap(), b"last words");
    expect_gone(&mut a);
    send_until_gone(&mut a, Wait::Forever);
    expect_gone(&mut a);
    // The other end alike, and the sending first.
    let (a, mut b) = pair();
    drop(a);
    send_until_gone(&mut b, Wait::Forever);
    expect_gone(&mut b);
}

/// What a peer sent is received, though it left messages to itself unread.
pub(super) fn what_was_sent_comes_though_the_peer_left_some_unread<C: Channel + Half>(
    pair: impl Fn() -> (C, C),
) {
    let (mut a, mut b) = pair();
    a.send(b"never read").unwrap();
    b.send(b"last").unwrap();
    b.send(b"words").unwrap();
    thread::sleep(MOMENT); // so that it has arrived
    drop(b);
    assert_eq!(a.recv().unwrap(), b"last");
    assert_eq!(a.recv().unwrap(), b"words");
    expect_gone(&mut a);
}

/// A process that is killed is gone: whoever receives from it or sends to it is told.
pub(super) fn a_killed_peer_is_disconnected<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    let asleep = |mut end: C| {
        end.send(b"alive").unwrap();
        thread::sleep(Duration::MAX);
    };
    let (child, mut a) = fork(pair(), asleep);
    assert_eq!(a.recv().unwrap(), b"alive");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(MOMENT);
            child.kill();
        });
        expect(a.recv(), &Error::Disconnected);
    });
    expect_gone(&mut a);
    send_until_gone(&mut a, Wait::Forever);

    let (child, mut a) = fork(pair(), asleep);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(MOMENT);
            child.kill();
        });
        let (_, error) = fill(&mut a, 0, || Wait::Forever);
        expect(Err::<(), _>(error), &Error::Disconnected);
    });
}

/// Everything has been received, and the peer is gone: however it is asked, and no longer lent.
#[track_caller]
fn expect_gone(rx: &mut impl Receiver) {
    for _ in 0..2 {
        expect(rx.recv_wait(Wait::Forever), &Error::Disconnected);
        expect(rx.recv_wait(Wait::Never), &Error::Disconnected);
        expect(rx.recv_wait(MOMENT.into()), &Error::Disconnected);
        let mut none = |_: &[u8]| panic!("a message from nobody");
        expect(
            rx.recv_many(3, Wait::Forever, &mut none),
            &Error::Disconnected,
        );
        assert_eq!(rx.message(), b"", "after a failed receive");
    }
}

/// Sends until the sender is told that its peer is gone; from then on it says so at once.
#[track_caller]
fn send_until_gone(tx: &mut impl Sender, wait: Wait) {
    let mut unheard = 0;
    let error = (0..).find_map(|seq| {
        assert!(
            unheard < UNHEARD,
            "{unheard} bytes taken for a peer that is gone"
        );
        let msg = message(seq, some_len(tx, seq));
        unheard += msg.len() + 1;
        tx.send_wait(&msg, wait).err()
    });
    expect(error.map_or(Ok(()), Err), &Error::Disconnected);
    for _ in 0..2 {
        expect(tx.send(b"hello?"), &Error::Disconnected);
        expect(tx.try_send(b"hello?"), &Error::Disconnected);
        expect(tx.send_timeout(b"hello?", MOMENT), &Error::Disconnected);
    }
}

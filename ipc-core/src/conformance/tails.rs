//! Clause 3: the tail of a message that is more than the kernel takes at once.

use std::thread;
use std::time::Duration;

use super::Half;
use super::support::{LARGE, MOMENT, check, large_len, message, take};
use crate::{Channel, Error, Receiver, Sender, Wait};

/// An empty channel accepts any message without waiting, and it comes whole.
pub(super) fn a_large_message_is_taken_at_once<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let len = large_len(&tx);
    for seq in 0..5 {
        tx.try_send(&message(seq, len)).unwrap();
        match tx.flush(Wait::Never) {
            Ok(()) => assert!(tx.pending().is_none(), "flushed, and yet pending"),
            Err(Error::WouldBlock) => assert!(tx.pending().is_some(), "a tail, and not pending"),
            Err(error) => panic!("{error}"),
        }
        check(take(&mut tx, &mut rx), seq, len);
    }
}

/// A receive that times out within a message keeps the part that it has.
pub(super) fn a_timeout_keeps_a_part<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let len = large_len(&tx);
    tx.try_send(&message(0, len)).unwrap();
    loop {
        match rx.recv_wait(Duration::from_millis(1).into()) {
            Ok(()) => break,
            Err(Error::TimedOut) => assert_eq!(rx.message(), b"", "a part is no message"),
            Err(error) => panic!("{error}"),
        }
        match tx.flush(Wait::Never) {
            Ok(()) | Err(Error::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
    }
    check(rx.message(), 0, len);
    tx.send(&message(1, 100.min(len))).unwrap();
    check(rx.recv().unwrap(), 1, 100.min(len));
}

/// Who waits for an answer sends on what is left of the question.
pub(super) fn a_receive_sends_the_tail<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    for timeout in [Duration::MAX, Duration::from_secs(50)] {
        let (mut a, mut b) = pair();
        let len = large_len(&a);
        a.try_send(&message(0, len)).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                check(b.recv().unwrap(), 0, len);
                b.send(b"received").unwrap();
            });
            assert_eq!(a.recv_timeout(timeout).unwrap(), b"received");
        });
    }
}

/// Two ends that each send a large message and then receive do not wait for each other.
pub(super) fn two_large_messages_cross<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    for [one, other] in [[LARGE, LARGE], [LARGE, LARGE / 3], [LARGE / 3, LARGE]] {
        let (a, b) = pair();
        thread::scope(|scope| {
            scope.spawn(move || swap(a, one, other));
            swap(b, other, one);
        });
    }
}

/// The same through what `halves` of a `Box<dyn Channel + Send>` lends.
pub(super) fn two_large_messages_cross_through_halves<C: Channel + Half>(
    pair: impl Fn() -> (C, C),
) {
    let (a, b) = pair();
    let boxes: [Box<dyn Channel + Send>; 2] = [Box::new(a), Box::new(b)];
    thread::scope(|scope| {
        for mut end in boxes {
            scope.spawn(move || {
                for seq in 0..3 {
                    let (tx, rx) = end.halves();
                    let len = large_len(tx);
                    tx.send(&message(seq, len)).unwrap();
                    check(rx.recv().unwrap(), seq, len);
                }
            });
        }
    });
}

fn swap(mut end: impl Channel, send: usize, receive: usize) {
    let max = large_len(&end);
    thread::sleep(MOMENT); // so that both are there
    end.send(&message(send, send.min(max))).unwrap();
    check(end.recv().unwrap(), receive, receive.min(max));
}

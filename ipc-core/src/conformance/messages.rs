//! Clauses 1 and 2: messages come whole, in order, once; what is too large is refused first.

use std::thread;

use super::support::{
    MOMENT, Random, carry, check, drain, expect, fork, large_len, message, some_len,
};
use super::{Half, skip};
use crate::{Channel, Error, Receiver, Sender, Wait};

/// Clause 1: an empty message is a message.
pub(super) fn an_empty_message_is_a_message<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    for msg in [&b""[..], b"", b"x", b""] {
        tx.send(msg).unwrap();
    }
    for msg in [&b""[..], b"", b"x", b""] {
        assert_eq!(rx.recv().unwrap(), msg);
    }
    expect(rx.try_recv(), &Error::WouldBlock);
}

/// Clause 1: in order.
pub(super) fn messages_come_in_order<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (tx, rx) = channel();
    carry(tx, rx, &vec![8; 20_000]);
}

/// Clause 1: whole, whatever the length, up to `max_len`.
pub(super) fn every_size_comes_whole<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (tx, rx) = channel();
    let max = large_len(&tx);
    let powers = (9..).map(|power| 1 << power).take_while(|&len| len <= max);
    let mut lens: Vec<usize> = (0..=300).collect();
    lens.extend(powers.flat_map(|len| [len - 1, len, len + 1]));
    lens.extend([max - 1, max, 0, max]);
    lens.retain(|&len| len <= max);
    carry(tx, rx, &lens);
}

/// Clause 1: once.
pub(super) fn random_sizes_come_whole_and_once<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (tx, rx) = channel();
    let mut random = Random(1);
    let mut bounds = [100, 3000, 10_000, 100_000].into_iter().cycle();
    let lens: Vec<usize> = (0..3000)
        .map(|_| random.below(bounds.next().unwrap_or(1)).min(tx.max_len()))
        .collect();
    let (_tx, mut rx) = carry(tx, rx, &lens);
    expect(rx.try_recv(), &Error::WouldBlock);
}

/// Clause 1: a batch is several messages and nothing else, on either side.
pub(super) fn batches_equal_single_messages<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (tx, rx) = channel();
    let msgs: Vec<Vec<u8>> = (0..3000)
        .map(|seq| message(seq, some_len(&tx, seq)))
        .collect();
    let msgs: Vec<&[u8]> = msgs.iter().map(Vec::as_slice).collect();
    thread::scope(|scope| {
        scope.spawn(|| send_in_batches(tx, &msgs));
        receive_in_batches(rx, &msgs);
    });
}

fn send_in_batches(mut tx: impl Sender, msgs: &[&[u8]]) {
    let (mut sent, mut most) = (0, 1);
    while sent < msgs.len() {
        let end = (sent + most).min(msgs.len());
        sent += tx.send_many(&msgs[sent..end], Wait::Forever).unwrap();
        assert!(sent <= end, "accepted more than there was");
        most = most % 70 + 1;
        if sent < msgs.len() {
            tx.send(msgs[sent]).unwrap();
            sent += 1;
        }
    }
}

fn receive_in_batches(mut rx: impl Receiver, msgs: &[&[u8]]) {
    let (mut received, mut most) = (0, 1);
    while received < msgs.len() {
        let mut calls = 0;
        let count = rx.recv_many(most, Wait::Forever, &mut |msg| {
            assert!(
                msg == msgs[received + calls],
                "message {received} + {calls}"
            );
            calls += 1;
        });
        assert_eq!(count.unwrap(), calls);
        assert!(
            (1..=most).contains(&calls),
            "{calls} where {most} were asked for"
        );
        received += calls;
        most = most % 50 + 1;
        if received < msgs.len() {
            assert!(rx.recv().unwrap() == msgs[received], "message {received}");
            received += 1;
        }
    }
}

/// Clause 1: a batch of none sends, takes and waits for nothing.
pub(super) fn an_empty_batch_is_nothing<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let mut none = |_: &[u8]| panic!("a message that nobody asked for");
    assert_eq!(tx.send_many(&[], Wait::Forever).unwrap(), 0);
    assert_eq!(rx.recv_many(0, Wait::Forever, &mut none).unwrap(), 0);
    tx.send(b"one").unwrap();
    assert_eq!(rx.recv_many(0, Wait::Forever, &mut none).unwrap(), 0);
    assert_eq!(rx.recv().unwrap(), b"one");
    expect(rx.try_recv(), &Error::WouldBlock);
}

/// Clause 2: nothing is written of a message that is too large, and the sender stays usable.
pub(super) fn too_large_is_refused_first<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let msg = oversize(&tx);
    for round in 0..3 {
        for sent in [
            tx.send(&msg),
            tx.try_send(&msg),
            tx.send_timeout(&msg, MOMENT),
        ] {
            match sent {
                Err(Error::TooLarge { len, max, .. }) => {
                    assert_eq!((len, max), (msg.len(), tx.max_len()));
                }
                sent => panic!("expected TooLarge, got {sent:?}"),
            }
        }
        expect(rx.try_recv(), &Error::WouldBlock);
        tx.send(&message(round, 5)).unwrap();
        check(rx.recv().unwrap(), round, 5);
    }
}

/// Clause 2, in a batch: those before it are sent, and it is refused by the next call.
pub(super) fn a_batch_ends_before_what_is_too_large<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    let msg = oversize(&tx);
    let batch: [&[u8]; 4] = [b"1", b"2", &msg, b"4"];
    assert_eq!(tx.send_many(&batch, Wait::Forever).unwrap(), 2);
    let refused = Error::TooLarge {
        len: 0,
        max: 0,
        limit: "",
    };
    expect(tx.send_many(&batch[2..], Wait::Forever), &refused);
    assert_eq!(tx.send_many(&batch[3..], Wait::Forever).unwrap(), 1);
    for msg in [b"1", b"2", b"4"] {
        assert_eq!(rx.recv().unwrap(), msg);
    }
    drain(&mut tx, &mut rx, 0);
}

/// Clause 1: `message` shows no message before the first receive, nor after a failed one.
pub(super) fn the_message_is_empty_where_there_is_none<S: Sender + Half, R: Receiver + Half>(
    channel: impl Fn() -> (S, R),
) {
    let (mut tx, mut rx) = channel();
    assert_eq!(rx.message(), b"", "before the first");
    let failures: [fn(&mut R); 3] = [
        |rx| expect(rx.recv_wait(Wait::Never), &Error::WouldBlock),
        |rx| expect(rx.recv_wait(MOMENT.into()), &Error::TimedOut),
        |rx| {
            expect(
                rx.recv_many(3, Wait::Never, &mut |_| ()),
                &Error::WouldBlock,
            );
        },
    ];
    for failure in failures {
        tx.send(b"old").unwrap();
        rx.recv_wait(Wait::Forever).unwrap();
        assert_eq!(rx.message(), b"old");
        failure(&mut rx);
        assert_eq!(rx.message(), b"", "after a failed receive");
    }
}

/// Clause 1: each direction is its own.
pub(super) fn an_end_never_receives_its_own<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    let (mut a, mut b) = pair();
    a.send(b"from a").unwrap();
    expect(a.try_recv(), &Error::WouldBlock);
    b.send(b"from b").unwrap();
    b.send(b"again").unwrap();
    assert_eq!(a.recv().unwrap(), b"from b");
    assert_eq!(b.recv().unwrap(), b"from a");
    expect(b.try_recv(), &Error::WouldBlock);
    assert_eq!(a.recv().unwrap(), b"again");
    expect(a.try_recv(), &Error::WouldBlock);
}

/// Clause 1, through `Box<dyn Channel + Send>` and its halves.
pub(super) fn an_endpoint_is_a_boxed_channel<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    let (a, b) = pair();
    let (a, mut b): (Box<dyn Channel + Send>, Box<dyn Channel + Send>) = (Box::new(a), Box::new(b));
    thread::scope(|scope| {
        scope.spawn(move || echo(&mut b, 500));
        let mut a = a;
        for seq in 0..500 {
            let len = some_len(&a, seq);
            a.send(&message(seq, len)).unwrap();
            check(a.recv().unwrap(), seq, len);
        }
    });
}

/// Clause 1, between processes.
pub(super) fn processes_exchange_messages<C: Channel + Half>(pair: impl Fn() -> (C, C)) {
    let (child, mut a) = fork(pair(), |mut b| echo(&mut b, 2000));
    let mut random = Random(2);
    for seq in 0..2000 {
        let len = random
            .below(if seq % 20 == 0 { 100_000 } else { 2000 })
            .min(a.max_len());
        a.send(&message(seq, len)).unwrap();
        check(a.recv().unwrap(), seq, len);
    }
    child.join();
}

fn echo(channel: &mut (impl Channel + ?Sized), count: usize) {
    for _ in 0..count {
        let (tx, rx) = channel.halves();
        tx.send(rx.recv().unwrap()).unwrap();
    }
}

/// A message of one byte too many. Its zeroes are the kernel's: they take no memory.
fn oversize(tx: &impl Sender) -> Vec<u8> {
    match tx.max_len().checked_add(1) {
        Some(len) if len <= 1 << 30 => vec![0; len],
        _ => skip("a message over max_len does not fit in memory"),
    }
}

//! Clauses of [`Async`]: an operation that is dropped at any of its awaits.
//!
//! Each future is polled a bounded number of times, with a step of the other side before each, and
//! then dropped; so it is dropped wherever it can be suspended, in the midst of messages too.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::runtime::Builder;
use tokio::task::yield_now;

use super::Half;
use super::support::{Random, check, message};
use crate::{Async, Duplex, Error, Ready, Receiver, Result, Sender, Wait, frame};

/// More than a pipe or a socket takes at once: it comes in parts.
const LONG: usize = 300_000;
/// A run in which next to nothing was dropped proves nothing.
const DROPS: usize = 20;

/// A receive that is dropped has taken nothing, and a part that has come is kept.
pub(super) fn a_dropped_receive_loses_nothing<S, R>(channel: impl Fn() -> (S, R))
where
    S: Sender + Half,
    R: Receiver + Ready + Half,
{
    const COUNT: usize = 200;
    for polls in 1..5 {
        run(async {
            let (mut tx, rx) = channel();
            let (mut rx, len) = (Async::new(rx).unwrap(), lens(&tx));
            let (mut sent, mut received, mut drops) = (0, 0, 0);
            let mut random = Random(11);
            // Sends a message, or a part of one, or nothing.
            let mut step = || {
                if random.below(2 * polls) == 0 && done(tx.flush(Wait::Never)) && sent < COUNT {
                    sent += usize::from(done(tx.try_send(&message(sent, len(sent)))));
                }
            };
            while received < COUNT {
                let before = received;
                let finished = if received % 3 == 0 {
                    let each = |msg: &[u8]| {
                        check(msg, received, len(received));
                        received += 1;
                    };
                    let count = drop_after(polls, &mut step, rx.recv_many(4, each)).await;
                    count.map(Result::unwrap).unwrap_or_default()
                } else {
                    let got = drop_after(polls, &mut step, rx.recv()).await;
                    let got = got.map(|msg| check(msg.unwrap(), before, len(before)));
                    received += usize::from(got.is_some());
                    received - before
                };
                assert_eq!(finished, received - before);
                drops += usize::from(finished == 0);
            }
            let more = drop_after(polls, &mut step, rx.recv()).await;
            assert!(more.is_none(), "one too many");
            assert!(drops > DROPS, "only {drops} were dropped");
        });
    }
}

/// A send that is dropped has sent its message whole, or nothing; a batch its first messages.
pub(super) fn a_dropped_send_is_whole_or_nothing<S, R>(channel: impl Fn() -> (S, R))
where
    S: Sender + Ready + Half,
    R: Receiver + Half,
{
    const OPERATIONS: usize = 400;
    const MANY: usize = 60;
    // The last is enough to have most done: a message is sent once even so.
    for polls in [0, 1, 2, 3, 4, MANY] {
        run(async {
            let (tx, mut rx) = channel();
            let len = lens(&tx);
            let mut tx = Async::new(tx).unwrap();
            let (mut random, mut received) = (Random(13), Vec::new());
            // Receives a message, or a part of one, or nothing.
            let mut step = || {
                if random.below(4) == 0 && done(rx.recv_wait(Wait::Never)) {
                    received.push(number(rx.message(), len));
                }
            };
            let (mut next, mut sent, mut batches, mut drops) = (0, Vec::new(), Vec::new(), 0);
            for operation in 0..OPERATIONS {
                let finished = match operation % 4 {
                    0 => {
                        let flush = drop_after(polls, &mut step, tx.flush()).await;
                        flush.map(Result::unwrap).is_some()
                    }
                    1 => {
                        let batch = next..next + 3;
                        let msgs: Vec<_> = batch.clone().map(|seq| numbered(seq, len)).collect();
                        let msgs: Vec<_> = msgs.iter().map(Vec::as_slice).collect();
                        let done = drop_after(polls, &mut step, tx.send_many(&msgs)).await;
                        let count = done.map(Result::unwrap);
                        sent.extend(batch.clone().take(count.unwrap_or_default()));
                        assert!(count.is_none_or(|count| count == msgs.len()));
                        next = batch.end;
                        batches.push(batch);
                        count.is_some()
                    }
                    _ => {
                        let msg = numbered(next, len);
                        let done = drop_after(polls, &mut step, tx.send(&msg)).await;
                        let finished = done.map(Result::unwrap).is_some();
                        sent.extend(finished.then_some(next));
                        next += 1;
                        finished
                    }
                };
                drops += usize::from(!finished);
            }
            let end = numbered(next, len);
            drop_after(usize::MAX, &mut step, tx.send(&end))
                .await
                .expect("it is polled until it has sent")
                .unwrap();
            while received.last() != Some(&next) {
                if done(rx.recv_wait(Wait::Never)) {
                    received.push(number(rx.message(), len));
                }
            }
            let in_order = received.is_sorted_by(|a, b| a < b);
            assert!(in_order, "doubled or out of order: {received:?}");
            let came = |seq: &usize| received.binary_search(seq).is_ok();
            assert!(sent.iter().all(came), "lost");
            for batch in batches {
                let came: Vec<_> = batch.map(|seq| came(&seq)).collect();
                assert!(came.is_sorted_by(|a, b| a >= b), "not its first: {came:?}");
            }
            assert!(drops > DROPS || polls == MANY, "only {drops} were dropped");
        });
    }
}

/// What a dropped send of an endpoint has left goes out while the endpoint receives.
pub(super) fn a_receive_goes_on_with_a_dropped_send<S, R>(channel: impl Fn() -> (S, R))
where
    S: Sender + Ready + Half,
    R: Receiver + Ready + Half,
{
    const ROUNDS: usize = 30;
    for polls in 1..5 {
        run(async {
            let ((to_b, from_a), (to_a, from_b)) = (channel(), channel());
            let len = lens(&to_b);
            let mut a = Async::new(Duplex::new(to_b, from_b)).unwrap();
            let mut b = Async::new(Duplex::new(to_a, from_a)).unwrap();
            let echo = tokio::spawn(async move {
                for seq in 0..ROUNDS {
                    receive(polls, &mut b, seq, len).await;
                    let msg = message(seq, len(seq));
                    let _ = drop_after(polls, &mut || {}, b.send(&msg)).await;
                }
                b.flush().await.unwrap();
            });
            for seq in 0..ROUNDS {
                // All before it has been received: the first poll is enough to have it accepted.
                let msg = message(seq, len(seq));
                let _ = drop_after(polls, &mut || {}, a.send(&msg)).await;
                receive(polls, &mut a, seq, len).await;
            }
            echo.await.unwrap();
        });
    }
}

/// For a mechanism over a byte stream: frames of which `write` writes one byte at a time, while a
/// receive is dropped after each.
///
/// # Panics
///
/// If a message is lost, doubled or torn.
pub fn a_receive_dropped_after_every_byte<R>(rx: R, mut write: impl FnMut(&[u8]))
where
    R: Receiver + Ready + Half,
{
    run(async {
        let mut rx = Async::new(rx).unwrap();
        for (seq, len) in [0, 1, 7, 300, 0, 5000].into_iter().enumerate() {
            let body = message(seq, len);
            let frame = [&frame::header(len), &*body].concat();
            for byte in &frame[..frame.len() - 1] {
                write(&[*byte]);
                let part = drop_after(2, &mut || {}, rx.recv()).await;
                assert!(part.is_none(), "{part:?} of a part");
            }
            write(&frame[frame.len() - 1..]);
            receive(2, &mut rx, seq, |_| len).await;
        }
    });
}

/// Receives the message `seq`, dropping each receive after so many polls.
async fn receive<H: Receiver + Ready>(
    polls: usize,
    end: &mut Async<H>,
    seq: usize,
    len: impl Fn(usize) -> usize,
) {
    loop {
        if let Some(got) = drop_after(polls, &mut || {}, end.recv()).await {
            return check(got.unwrap(), seq, len(seq));
        }
    }
}

/// Polls `future` so many times, with a `step` and a turn of the reactor before each, and drops it.
async fn drop_after<F: Future>(
    polls: usize,
    step: &mut impl FnMut(),
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        step();
        yield_now().await;
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
    }
    None
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}

/// Whether it was done, and did not have to wait.
fn done(result: Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(Error::WouldBlock) => false,
        Err(error) => panic!("{error}"),
    }
}

/// The lengths of the messages: short ones, and now and then one that comes in parts.
fn lens<S: Sender>(tx: &S) -> impl Fn(usize) -> usize + Copy + use<S> {
    let max = tx.max_len();
    move |seq| [8, 100, LONG, 5000, 9, 10, 40][seq % 7].min(max) // in step with no cycle of operations
}

/// The message `seq`, which says its number itself.
fn numbered(seq: usize, len: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut msg = message(seq, len(seq));
    msg[..8].copy_from_slice(&seq.to_be_bytes());
    msg
}

/// The number of a message, which must be whole.
fn number(msg: &[u8], len: impl Fn(usize) -> usize) -> usize {
    let head = msg.first_chunk().expect("a number");
    let seq = usize::from_be_bytes(*head);
    assert!(msg == numbered(seq, len), "message {seq} is torn");
    seq
}

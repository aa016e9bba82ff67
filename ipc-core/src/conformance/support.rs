//! What the clauses share: numbered messages, a full channel, a forked peer.

use std::thread;
use std::time::{Duration, Instant};

use super::sys::{self, Process};
use crate::{Error, Receiver, Result, Sender, Wait};

/// "Large" is more than any mechanism's buffer takes at once, within reason.
pub(super) const LARGE: usize = 4 << 20;
/// Long enough for the peer to be asleep.
pub(super) const MOMENT: Duration = Duration::from_millis(50);
/// No channel holds this many messages: one that takes more is never full.
const ENDLESS: usize = 1 << 20;

/// The message number `seq` of `len` bytes, told from all others near it.
pub(super) fn message(seq: usize, len: usize) -> Vec<u8> {
    let mut state = (seq as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut words = Vec::with_capacity(len + 8);
    while words.len() < len {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        words.extend_from_slice(&state.to_be_bytes());
    }
    words.truncate(len);
    words
}

/// Fails unless `got` is the message number `seq` of `len` bytes.
#[track_caller]
pub(super) fn check(got: &[u8], seq: usize, len: usize) {
    let expected = message(seq, len);
    if got != expected {
        let same = got.iter().zip(&expected).take_while(|(a, b)| a == b);
        panic!(
            "message {seq} of {len} bytes: got {} bytes, of which the first {} are right",
            got.len(),
            same.count()
        );
    }
}

/// The length of the message number `seq` where several should fit: up to 1,000 bytes.
pub(super) fn some_len(tx: &impl Sender, seq: usize) -> usize {
    (seq * 389 % 1001).min(tx.max_len())
}

/// The longest message that this half carries, but no more than [`LARGE`].
pub(super) fn large_len(tx: &(impl Sender + ?Sized)) -> usize {
    tx.max_len().min(LARGE)
}

/// Sends messages of these lengths from a thread, and checks them as they come. Each side owns its
/// half, so that the failure of one is `Disconnected` to the other, not a hang.
pub(super) fn carry<S: Sender + Send, R: Receiver>(tx: S, rx: R, lens: &[usize]) -> (S, R) {
    thread::scope(|scope| {
        let sender = scope.spawn(move || send_all(tx, lens));
        let rx = receive_all(rx, lens);
        (sender.join().unwrap(), rx)
    })
}

pub(super) fn send_all<S: Sender>(mut tx: S, lens: &[usize]) -> S {
    for (seq, &len) in lens.iter().enumerate() {
        tx.send(&message(seq, len)).unwrap();
    }
    tx
}

pub(super) fn receive_all<R: Receiver>(mut rx: R, lens: &[usize]) -> R {
    for (seq, &len) in lens.iter().enumerate() {
        check(rx.recv().unwrap(), seq, len);
    }
    rx
}

/// Sends numbered messages from `first` on until one is refused; returns the number of that one,
/// and why.
pub(super) fn fill(tx: &mut impl Sender, first: usize, wait: impl Fn() -> Wait) -> (usize, Error) {
    for seq in first..ENDLESS {
        let message = message(seq, some_len(tx, seq));
        if let Err(error) = tx.send_wait(&message, wait()) {
            return (seq, error);
        }
    }
    panic!("it took {ENDLESS} messages and is not full");
}

/// Receives what [`fill`] sent, and checks that nothing else comes.
pub(super) fn drain(tx: &mut impl Sender, rx: &mut impl Receiver, count: usize) {
    for seq in 0..count {
        let len = some_len(tx, seq);
        check(take(tx, rx), seq, len);
    }
    tx.flush(Wait::Forever).unwrap();
    thread::sleep(MOMENT);
    expect(rx.try_recv(), &Error::WouldBlock);
}

/// Receives the next message, in one thread with its sender, who may have a tail to send.
pub(super) fn take<'a, R: Receiver>(tx: &mut impl Sender, rx: &'a mut R) -> &'a [u8] {
    loop {
        match rx.recv_wait(Wait::Never) {
            Ok(()) => return R::message(rx),
            Err(Error::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
        match tx.flush(Wait::Never) {
            Ok(()) | Err(Error::WouldBlock) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Fails unless `result` is this error.
#[track_caller]
pub(super) fn expect<T: std::fmt::Debug>(result: Result<T>, error: &Error) {
    match result {
        Err(got) if std::mem::discriminant(&got) == std::mem::discriminant(error) => {}
        got => panic!(
            "expected the error \"{error}\", got {:.80}",
            format!("{got:?}")
        ),
    }
}

/// Fails unless `call` ends with `TimedOut`, and not before `timeout`.
#[track_caller]
pub(super) fn expect_deadline(timeout: Duration, call: impl FnOnce(Duration) -> Result<()>) {
    let start = Instant::now();
    expect_timed_out(call(timeout), start, timeout);
}

/// Fails unless this is the result of a call with `timeout` that began at `start`. That it ended in
/// time is left to a generous bound: the machine may be busy.
#[track_caller]
pub(super) fn expect_timed_out(result: Result<()>, start: Instant, timeout: Duration) {
    let took = start.elapsed();
    expect(result, &Error::TimedOut);
    assert!(took >= timeout, "{timeout:?} ended after {took:?}");
    let bound = timeout + Duration::from_secs(10);
    assert!(took < bound, "{timeout:?} took {took:?}");
}

/// Forks: the child runs `f` with its end, and this process keeps the other.
pub(super) fn fork<O, T>((ours, theirs): (O, T), f: impl FnOnce(T)) -> (Process, O) {
    match sys::fork() {
        Some(child) => {
            drop(theirs);
            (child, ours)
        }
        None => sys::exit_after(|| {
            drop(ours);
            f(theirs);
        }),
    }
}

/// A little random number generator, the same in every run.  Marsaglia, "Xorshift RNGs"
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("less than a usize")
    }
}

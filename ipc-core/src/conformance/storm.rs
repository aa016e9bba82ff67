//! A storm of signals over both ends, none of which restarts a call: no message is lost or doubled, and
//! deadlines hold.
//!
//! Seen to fail: a deadline that starts anew with each signal; EINTR of poll(2) or read(2) taken for a failure.

use std::thread;
use std::time::Duration;

use super::kill::{Suite, given, hear, say, talk};
use super::landed::Messages;
use super::overrun::Overrun;
use super::sys;
use crate::{Channel, Error, Inherit, Receiver, Result, Sender, Wait};

/// Messages, where the environment says nothing.
const MESSAGES: u32 = 20_000;
/// Every so many messages the sender pauses, and half-way between, the receiver.
/// It shares no factor with the ways to send and to receive, so that each meets the pauses.
const ROUND: u64 = 5003;
/// Long enough to overrun a deadline that starts anew with each signal, and to fill a channel.
const PAUSE: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_millis(2);

impl<C: Channel + Inherit + 'static> Suite<C> {
    /// Messages go one way, in every way of sending and receiving, and then back and forth.
    pub(super) fn storm(self) {
        let count = u64::from(given("STORM").unwrap_or(MESSAGES));
        let (says, hears) = talk();
        let (a, b) = (self.pair)();
        let (peer, mut a) = self.fork(vec![a], b, move |mut end| {
            let storm = sys::Storm::start();
            let mut late = Overrun::new();
            send_all(&mut end, count, &mut late);
            for _ in 0..count / 10 {
                let (tx, rx) = end.halves();
                tx.send(rx.recv().unwrap()).unwrap();
            }
            wait_in_vain(&mut end, &mut late);
            end_storm("sender", storm, &late);
            nothing_more(&mut end);
            say(&says, "done");
            let _ = end.recv(); // until the other end is gone
        });
        let end = &mut a[0];
        let storm = sys::Storm::start();
        let mut late = Overrun::new();
        receive_all(end, count, &mut late);
        for number in 0..count / 10 {
            let message = number.to_ne_bytes();
            end.send(&message).unwrap();
            wait(&mut late, || end.recv_timeout(DEADLINE).map(drop));
            assert_eq!(end.message(), message);
        }
        wait_in_vain(end, &mut late);
        end_storm("receiver", storm, &late);
        assert_eq!(hear(&hears), "done");
        nothing_more(end);
        drop(peer);
    }
}

fn send_all(end: &mut impl Channel, count: u64, late: &mut Overrun) {
    let mut messages = Messages::new(end.max_len());
    for number in 0..count {
        if number % ROUND == 0 {
            sys::Storm::calm(|| thread::sleep(PAUSE));
        }
        let message = messages.of_length(length(number), number);
        match number % 3 {
            0 => end.send(message).unwrap(),
            1 => wait(late, || end.send_timeout(message, DEADLINE)),
            _ => wait(late, || {
                end.send_many(&[message], DEADLINE.into()).map(drop)
            }),
        }
    }
    end.flush(Wait::Forever).unwrap();
}

fn receive_all(end: &mut impl Channel, count: u64, late: &mut Overrun) {
    let mut messages = Messages::new(Sender::max_len(end));
    let mut received = 0;
    let mut check = |got: &[u8]| {
        let right = got == messages.of_length(length(received), received);
        assert!(right, "message {received} of {count} is another");
        received += 1;
        received
    };
    let mut next = 0;
    while next < count {
        if next % ROUND == ROUND / 2 {
            sys::Storm::calm(|| thread::sleep(PAUSE));
        }
        match next % 4 {
            0 => end.recv_wait(Wait::Forever).unwrap(),
            1 => wait(late, || end.recv_wait(DEADLINE.into())),
            2 => match end.recv_wait(Wait::Never) {
                Err(Error::WouldBlock) => continue,
                received => received.unwrap(),
            },
            _ => {
                let mut each = |got: &[u8]| next = check(got);
                wait(late, || {
                    end.recv_many(5, DEADLINE.into(), &mut each).map(drop)
                });
                continue;
            }
        }
        next = check(end.message());
    }
}

/// Repeats a call with a deadline until it does not reach it.
fn wait(late: &mut Overrun, mut call: impl FnMut() -> Result<()>) {
    loop {
        match late.of(DEADLINE, &mut call) {
            Err(Error::TimedOut) => {}
            done => return done.unwrap(),
        }
    }
}

/// Sleeps until interrupted: on a busy machine an end may have found all that it waited for at once.
fn wait_in_vain(end: &mut impl Receiver, late: &mut Overrun) {
    for _ in 0..100 {
        let waited = late.of(DEADLINE, || end.recv_timeout(DEADLINE).map(drop));
        assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
        if sys::Storm::interrupted() > 0 {
            return;
        }
    }
}

fn end_storm(who: &str, storm: sys::Storm, late: &Overrun) {
    let interrupted = sys::Storm::interrupted();
    drop(storm);
    println!("storm: {who}, {late}; {interrupted} calls interrupted");
    late.check("STORM");
    assert!(interrupted > 0, "no call was interrupted");
}

fn nothing_more(end: &mut impl Receiver) {
    let more = end.try_recv().map(<[u8]>::len);
    assert!(matches!(more, Err(Error::WouldBlock)), "{more:?}");
}

/// Which length message `number` has: small ones, larger ones among them, and a few that fill any channel while
/// the receiver pauses.
fn length(number: u64) -> usize {
    match number {
        _ if (0..30).contains(&(number % ROUND).wrapping_sub(ROUND / 2)) => 6,
        _ if number % 100 == 0 => 4 + usize::from(number % 200 == 0),
        _ => usize::try_from(number % 4).expect("a few"),
    }
}

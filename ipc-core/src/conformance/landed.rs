//! Kills that landed inside an operation: the peer was seen asleep there, or was killed at random and
//! had marked in shared memory where it was. Only those trials count.
//!
//! Seen to fail: a ring that publishes a header before its payload (`kill_senders`).

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::kill::{PATIENCE, Suite, hear, say, talk, trials};
use super::sys::Marks;
use crate::{Channel, Error, Inherit, Result, Wait};

/// More than any mechanism takes before it blocks, but for those that refuse it.
const LARGE: usize = 8 << 20;
/// Lengths of messages: the copying of some takes a good part of the time.
const LENGTHS: [usize; 7] = [0, 8, 100, 1000, 5000, 30_000, 200_000];
/// The longest life of a victim in nanoseconds, from its first message on.
const LIFE: u64 = 300_000;
/// A mark is found in at least one trial of so many.
const SELDOM: u32 = 50;
/// More messages than a sender passes to a dead receiver before it notices.
const UNNOTICED: u32 = 1 << 16;

/// How kills went.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    landed: u32,
    /// Of those: the message was there, was not, or ended before its end.
    whole: u32,
    absent: u32,
    cut: u32,
}

impl<C: Channel + Inherit + 'static> Suite<C> {
    /// A sender is killed while it sleeps in a large message, since nobody receives.
    pub(super) fn kill_in_mid_message(self) {
        let mut cut = 0;
        for _ in 0..trials() {
            let (says, hears) = talk();
            let (a, b) = (self.pair)();
            let (victim, mut a) = self.fork(vec![a], b, move |mut end| {
                let large = vec![7; end.max_len().min(LARGE)];
                end.send(b"whole").unwrap();
                say(&says, "sending");
                while end.send(&large).is_ok() {}
            });
            assert_eq!(hear(&hears), "sending");
            victim.until('S');
            victim.signal(Signal::SIGKILL);
            drop(victim);
            let end = &mut a[0];
            let large = vec![7; end.max_len().min(LARGE)];
            assert_eq!(end.recv().unwrap(), b"whole");
            let end = loop {
                match end.recv_wait(self.patience(true)) {
                    Ok(()) => assert!(end.message() == large, "a part of a message"),
                    Err(error) => break error,
                }
            };
            match end {
                Error::Malformed { .. } => cut += 1,
                end => self.expect_end(&end),
            }
        }
        println!(
            "{} killed asleep in a message, {cut} of which were cut",
            trials()
        );
        // A stream takes a part of a message, other mechanisms none.
        assert!([0, trials()].contains(&cut), "{cut} cut");
    }

    /// Senders are killed while their messages are received and checked.
    pub(super) fn kill_senders(self) {
        let mut random = Random(7);
        let mut tally = Tally::default();
        let marks = Marks::new();
        while tally.goes_on() {
            marks.reset();
            let (a, b) = (self.pair)();
            let (victim, mut a) = self.fork(vec![a], b, move |mut end| {
                let mut messages = Messages::new(end.max_len());
                for number in 0.. {
                    let message = messages.number(number);
                    marks.begin();
                    end.send(message).unwrap();
                    marks.end();
                }
            });
            let mut received = 0;
            let mut messages = Messages::new(a[0].max_len());
            let mut receive = |wait| {
                a[0].recv_wait(wait)?;
                let right = *a[0].message() == *messages.number(received);
                assert!(right, "message {received} is torn");
                received += 1;
                Result::Ok(())
            };
            receive(Wait::Forever).unwrap();
            // It dies when all is received, so that it does not wait for room.
            let death = Instant::now() + random.life();
            loop {
                match receive(Wait::Never) {
                    Err(Error::WouldBlock) if Instant::now() >= death => break,
                    Err(Error::WouldBlock) => thread::yield_now(),
                    received => received.unwrap(),
                }
            }
            victim.signal(Signal::SIGKILL);
            drop(victim);
            let even = tally.kills % 2 == 0;
            let end = loop {
                if let Err(error) = receive(self.patience(even)) {
                    break error;
                }
            };
            let cut = matches!(end, Error::Malformed { .. });
            if !cut {
                self.expect_end(&end);
            }
            let (begun, ended) = marks.read();
            assert!(
                [ended, begun].contains(&received),
                "{received} of {ended} to {begun}"
            );
            tally.kills += 1;
            if begun != ended {
                tally.landed += 1;
                match (received == begun, cut) {
                    (true, _) => tally.whole += 1,
                    (false, false) => tally.absent += 1,
                    (false, true) => tally.cut += 1,
                }
            }
        }
        println!("senders: {tally:?}, 0 bad");
    }

    /// Receivers are killed while messages are sent to them.
    pub(super) fn kill_receivers(self) {
        let mut random = Random(11);
        let mut tally = Tally::default();
        let marks = Marks::new();
        while tally.goes_on() {
            marks.reset();
            let (a, b) = (self.pair)();
            let (victim, mut a) = self.fork(vec![a], b, move |mut end| {
                let mut messages = Messages::new(end.max_len());
                for number in 0.. {
                    marks.begin();
                    let message = end.recv().unwrap();
                    marks.end();
                    assert!(
                        message == messages.number(number),
                        "message {number} is torn"
                    );
                }
            });
            let mut count = 0;
            let mut messages = Messages::new(a[0].max_len());
            let mut send = |wait: Wait| {
                a[0].send_wait(messages.number(count), wait)?;
                count += 1;
                Result::Ok(())
            };
            while marks.read().1 == 0 {
                send(PATIENCE.into()).unwrap();
            }
            let death = Instant::now() + random.life();
            while Instant::now() < death {
                send(PATIENCE.into()).unwrap();
            }
            victim.signal(Signal::SIGKILL);
            drop(victim);
            let wait = self.patience(tally.kills % 2 == 0);
            let end = (0..UNNOTICED).find_map(|_| send(wait).err());
            self.expect_end(&end.expect("it sends to nobody for ever"));
            let (begun, ended) = marks.read();
            assert!(begun <= count + 1, "received {begun} of {count}");
            tally.kills += 1;
            tally.landed += u32::from(begun != ended);
        }
        let Tally { kills, landed, .. } = tally;
        println!("receivers: {kills} kills, {landed} landed, 0 bad");
    }
}

impl Tally {
    fn goes_on(&self) -> bool {
        let most = trials().saturating_mul(SELDOM);
        assert!(self.kills < most, "kills do not land: {self:?}");
        self.landed < trials()
    }
}

/// Numbered messages of several lengths, in a buffer each.
pub(super) struct Messages(Vec<Vec<u8>>);

impl Messages {
    pub(super) fn new(max_len: usize) -> Self {
        let fill =
            |(byte, &len): (usize, &usize)| vec![byte.to_le_bytes()[0] + 1; len.min(max_len)];
        Messages(LENGTHS.iter().enumerate().map(fill).collect())
    }

    fn number(&mut self, number: u64) -> &[u8] {
        let count = self.0.len() as u64;
        self.of_length(usize::try_from(number % count).expect("a few"), number)
    }

    /// The message of the length `LENGTHS[at]`; the number stands at both its ends.
    pub(super) fn of_length(&mut self, at: usize, number: u64) -> &[u8] {
        let message = &mut self.0[at];
        let bytes = number.to_le_bytes();
        let ends = message.len().min(8);
        let last = message.len() - ends;
        message[..ends].copy_from_slice(&bytes[..ends]);
        message[last..].copy_from_slice(&bytes[..ends]);
        message
    }
}

/// Marsaglia, "Xorshift RNGs"
struct Random(u64);

impl Random {
    fn life(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_nanos(self.0 % LIFE)
    }
}

//! What the messages contain, and how it is checked.
//!
//! A message begins with its sequence number; its last byte and one roving byte follow from the
//! number; all others are the same in every message. So a message costs its sender three stores and
//! its receiver three loads, whatever its size, and yet a message that is lost, doubled, cut, torn or
//! stale is seen.

use std::fmt;

use crate::plan::Verify;

/// The shortest message: a sequence number.
pub const MIN_SIZE: usize = 8;
/// The longest message: what the streams carry by default.
pub const MAX_SIZE: usize = 16 << 20;

/// The sequence number that says: measure from now.
const MARK: u64 = u64::MAX - 1;
/// The sequence number that says: this was all.
const END: u64 = u64::MAX;
/// Messages up to this length are stamped ahead.
const SHORT: usize = 4096;
/// Buffers for them.
const BUFFERS: usize = 8;
/// How often every byte is looked at.
const WHOLE_EVERY: u64 = 1024;
/// The first messages, of which every byte is looked at.
const WHOLE_FIRST: u64 = 3;

/// Messages to be sent, one after the other.
///
/// Short ones are stamped a few messages ahead, in buffers taken in turn: a copy that begins right
/// after narrower stores into its source waits for them, and that would be measured.
#[derive(Debug)]
pub struct Outgoing {
    buffers: Vec<u8>,
    size: usize,
    /// Buffers, less one: their number is a power of two.
    mask: u64,
    /// The sequence number of the message last sent.
    sequence: u64,
}

impl Outgoing {
    /// Messages of `size` bytes.
    ///
    /// # Panics
    ///
    /// If a sequence number does not fit.
    pub fn new(size: usize) -> Self {
        assert!(
            size >= MIN_SIZE,
            "a message holds its sequence number: {MIN_SIZE} bytes"
        );
        let count = if size <= SHORT { BUFFERS } else { 1 };
        let mut outgoing = Outgoing {
            buffers: background(size).repeat(count),
            size,
            mask: count as u64 - 1,
            sequence: 0,
        };
        for sequence in 1..=outgoing.ahead() {
            outgoing.stamp(sequence);
        }
        outgoing
    }

    /// The next message.
    #[inline]
    pub fn advance(&mut self) -> &[u8] {
        self.sequence += 1;
        self.stamp(self.sequence + self.ahead());
        let at = self.start(self.sequence);
        &self.buffers[at..at + self.size]
    }

    /// The message that says: measure from now.
    pub fn mark(&self) -> Vec<u8> {
        message(MARK, self.size)
    }

    /// The message that says: this was all.
    pub fn end(&self) -> Vec<u8> {
        message(END, self.size)
    }

    #[inline]
    fn stamp(&mut self, sequence: u64) {
        let (start, len) = (self.start(sequence), self.size);
        let before = sequence.wrapping_sub(self.mask + 1);
        stamp(&mut self.buffers[start..start + len], before, sequence);
    }

    /// How far ahead of its sending a message is stamped.
    #[inline]
    fn ahead(&self) -> u64 {
        self.mask / 2
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation)] // masked
    fn start(&self, sequence: u64) -> usize {
        (sequence & self.mask) as usize * self.size
    }
}

/// Makes the message `before` the message `sequence`.
#[inline]
fn stamp(msg: &mut [u8], before: u64, sequence: u64) {
    let len = msg.len();
    msg[..8].copy_from_slice(&sequence.to_le_bytes());
    if len > 8 {
        let (last_roving, _) = spot(before, len);
        let (roving, value) = spot(sequence, len);
        msg[last_roving] = background_byte(last_roving);
        msg[roving] = value;
        msg[len - 1] = value;
    }
}

/// The message `sequence`, made anew.
fn message(sequence: u64, size: usize) -> Vec<u8> {
    let mut message = background(size);
    stamp(&mut message, sequence, sequence);
    message
}

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The next one.
    Message,
    /// The next one, and every byte of it was checked, which took its time.
    Whole,
    /// Measure from now.
    Mark,
    /// This was all.
    End,
}

/// The messages that are expected.
#[derive(Debug)]
pub struct Incoming {
    background: Vec<u8>,
    expected: u64,
    /// Every byte of each message whose number ends in these bits as zeroes is checked.
    mask: u64,
}

impl Incoming {
    /// Messages of `size` bytes.
    pub fn new(size: usize, verify: Verify) -> Self {
        Incoming {
            background: background(size),
            expected: 1,
            mask: match verify {
                Verify::Sample => WHOLE_EVERY - 1,
                Verify::Full => 0,
            },
        }
    }

    /// Checks that `msg` is the next message, or a mark.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] says what is wrong with it.
    #[inline]
    pub fn check(&mut self, msg: &[u8]) -> Result<Kind, Corrupt> {
        let expected = self.expected;
        if !self.looks_like(msg, expected) {
            return self.exceptional(msg);
        }
        let whole = expected & self.mask == 0 || expected <= WHOLE_FIRST;
        if whole {
            self.whole(msg, expected)?;
        }
        self.expected += 1;
        Ok(if whole { Kind::Whole } else { Kind::Message })
    }

    /// Length, sequence, last and roving byte.
    #[inline]
    fn looks_like(&self, msg: &[u8], sequence: u64) -> bool {
        let len = self.background.len();
        if msg.len() != len || msg[..8] != sequence.to_le_bytes() {
            return false;
        }
        let (roving, value) = spot(sequence, len);
        len == 8 || (msg[roving] == value && msg[len - 1] == value)
    }

    #[cold]
    fn exceptional(&self, msg: &[u8]) -> Result<Kind, Corrupt> {
        for (sequence, kind) in [(MARK, Kind::Mark), (END, Kind::End)] {
            if self.looks_like(msg, sequence) {
                return self.whole(msg, sequence).map(|()| kind);
            }
        }
        Err(self.corrupt(msg, self.expected))
    }

    #[cold]
    fn whole(&self, msg: &[u8], sequence: u64) -> Result<(), Corrupt> {
        let len = msg.len();
        if len == 8 {
            return Ok(());
        }
        let (roving, _) = spot(sequence, len);
        let after = (roving + 1).min(len - 1);
        let same = |from: usize, to: usize| msg[from..to] == self.background[from..to];
        if same(8, roving) && same(after, len - 1) {
            Ok(())
        } else {
            Err(self.corrupt(msg, sequence))
        }
    }

    fn corrupt(&self, msg: &[u8], sequence: u64) -> Corrupt {
        let right = message(sequence, self.background.len());
        let fault = if msg.len() == right.len() {
            let at = msg.iter().zip(&right).position(|(a, b)| a != b);
            let at = at.unwrap_or_default();
            match msg.first_chunk() {
                Some(&number) if at < 8 => Fault::Sequence(u64::from_le_bytes(number)),
                _ => Fault::Byte(at, msg[at], right[at]),
            }
        } else {
            Fault::Length(msg.len(), right.len())
        };
        Corrupt { sequence, fault }
    }
}

/// A message that is not what was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt {
    sequence: u64,
    fault: Fault,
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Sequence(u64),
    Length(usize, usize),
    Byte(usize, u8, u8),
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "corrupt: message {}", self.sequence)?;
        match self.fault {
            Fault::Sequence(found) => write!(f, " was expected, number {found} came"),
            Fault::Length(found, right) => write!(f, " has {found} bytes, not {right}"),
            Fault::Byte(at, found, right) => write!(f, ": byte {at} is {found}, not {right}"),
        }
    }
}

impl std::error::Error for Corrupt {}

/// Where a message's roving byte is, and what it and the last byte are.
#[inline]
fn spot(sequence: u64, len: usize) -> (usize, u8) {
    let hash = sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // The upper half scales to the place without a division; lengths are far below 2^32.
    let place = ((hash >> 32) * (len as u64 - 8)) >> 32;
    #[expect(clippy::cast_possible_truncation)] // a byte is wanted, and a place under `len`
    (8 + place as usize, (hash >> 24) as u8)
}

/// A message's bytes where nothing is stamped.
fn background(size: usize) -> Vec<u8> {
    (0..size).map(background_byte).collect()
}

#[inline]
#[expect(clippy::cast_possible_truncation)] // a byte is wanted
fn background_byte(at: usize) -> u8 {
    // Rows of 256 differ, so that a shifted page is seen.
    (at.wrapping_mul(31) + (at >> 8)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 7] = [8, 9, 10, 16, 64, 1000, 65_536];

    #[test]
    fn what_is_sent_passes() {
        for size in SIZES {
            for verify in [Verify::Sample, Verify::Full] {
                let (mut out, mut incoming) = (Outgoing::new(size), Incoming::new(size, verify));
                for number in 1..2100 {
                    let kind = incoming.check(out.advance()).unwrap();
                    let whole = number <= 3 || number % 1024 == 0 || verify == Verify::Full;
                    assert_eq!(kind == Kind::Whole, whole, "{size} {number}");
                }
                assert_eq!(incoming.check(&out.mark()), Ok(Kind::Mark));
                assert!(incoming.check(out.advance()).is_ok());
                assert_eq!(incoming.check(&out.end()), Ok(Kind::End));
            }
        }
    }

    #[test]
    fn lost_doubled_and_cut_messages_are_seen() {
        for size in SIZES {
            let (mut out, mut incoming) =
                (Outgoing::new(size), Incoming::new(size, Verify::Sample));
            let first = out.advance().to_vec();
            assert!(incoming.check(&first).is_ok());
            let error = incoming.check(&first).unwrap_err();
            let doubled = "corrupt: message 2 was expected, number 1 came";
            assert_eq!(error.to_string(), doubled);
            assert!(incoming.check(&out.advance()[..size - 1]).is_err());
            assert!(incoming.check(&[]).is_err());
            assert!(incoming.check(out.advance()).is_err(), "2 is missing");
        }
    }

    #[test]
    fn every_byte_of_a_whole_check_counts() {
        for size in SIZES {
            let mut incoming = Incoming::new(size, Verify::Sample);
            let mut msg = Outgoing::new(size).advance().to_vec();
            for at in (0..size).step_by(size / 1000 + 1).chain([size - 1]) {
                msg[at] ^= 1;
                assert!(incoming.check(&msg).is_err(), "byte {at} of {size}");
                msg[at] ^= 1;
            }
            assert!(incoming.check(&msg).is_ok());
        }
    }

    #[test]
    fn last_and_roving_bytes_of_every_message_count() {
        let size = 64;
        let (mut out, mut incoming) = (Outgoing::new(size), Incoming::new(size, Verify::Sample));
        let mut places = [false; 64];
        for number in 1..1000 {
            let mut msg = out.advance().to_vec();
            let (roving, value) = spot(number, size);
            places[roving] = true;
            for at in [roving, size - 1] {
                msg[at] ^= 1;
                assert!(incoming.check(&msg).is_err());
                msg[at] = value;
            }
            assert!(incoming.check(&msg).is_ok());
        }
        assert!(places[8..].iter().all(|&seen| seen), "it roves everywhere");
    }
}

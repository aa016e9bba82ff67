//! Messages that are expected.

use std::fmt;

use super::{END, MARK, background, message, spot};
use crate::plan::Verify;

/// How often every byte is looked at.
const WHOLE_EVERY: u64 = 1024;
/// The first messages, of which every byte is looked at.
const WHOLE_FIRST: u64 = 3;

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
    pub(super) sequence: u64,
    pub(super) fault: Fault,
}

/// What came, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
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

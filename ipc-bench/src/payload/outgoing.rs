//! Messages to be sent.

use super::{END, MARK, MIN_SIZE, background, message, stamp};

/// Messages up to this length are stamped ahead.
const SHORT: usize = 4096;
/// Buffers for them.
const BUFFERS: usize = 8;

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

//! Messages to be sent, many at once.

use super::{END, MARK, background, message, stamp};

/// A batch has as many messages as make this many bytes, rounded down to a power of two ..
const BYTES: usize = 64 << 10;
/// .. but no more than this many, and one at least.
const MESSAGES: usize = 1024;

/// Batches to be sent, one after the other.
#[derive(Debug)]
pub struct Batches {
    buffers: Vec<u8>,
    size: usize,
    /// The number of the message last sent.
    sequence: u64,
}

/// How many messages of `size` bytes a batch has.
pub fn batch_of(size: usize) -> usize {
    let messages = (BYTES / size).clamp(1, MESSAGES);
    1 << messages.ilog2()
}

impl Batches {
    /// Batches of messages of `size` bytes.
    pub fn new(size: usize) -> Self {
        Batches {
            buffers: background(size).repeat(batch_of(size)),
            size,
            sequence: 0,
        }
    }

    /// The next batch.
    pub fn advance(&mut self) -> Vec<&[u8]> {
        let size = self.size;
        self.advance_bytes().chunks_exact(size).collect()
    }

    /// The same as bytes, one message behind the other.
    pub fn advance_bytes(&mut self) -> &[u8] {
        let count = batch_of(self.size) as u64;
        for msg in self.buffers.chunks_exact_mut(self.size) {
            self.sequence += 1;
            stamp(msg, self.sequence.wrapping_sub(count), self.sequence);
        }
        &self.buffers
    }

    /// The message that says: measure from now.
    pub fn mark(&self) -> Vec<u8> {
        message(MARK, self.size)
    }

    /// The message that says: this was all.
    pub fn end(&self) -> Vec<u8> {
        message(END, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{Incoming, Kind};
    use crate::plan::Verify;

    #[test]
    fn batches_carry_what_is_expected() {
        for size in [8, 9, 64, 1000, 65_536, 100_000] {
            let (mut out, mut incoming) = (Batches::new(size), Incoming::new(size, Verify::Full));
            for _ in 0..3 {
                let batch = out.advance();
                assert_eq!(batch.len(), batch_of(size));
                for msg in batch {
                    assert_eq!(incoming.check(msg), Ok(Kind::Whole));
                }
            }
            assert_eq!(incoming.check(&out.mark()), Ok(Kind::Mark));
            assert_eq!(incoming.check(&out.end()), Ok(Kind::End));
        }
    }

    #[test]
    fn a_batch_is_64_kib_or_1024_messages() {
        let sizes = [8, 64, 65, 1024, 65_536, 1 << 20];
        assert_eq!(sizes.map(batch_of), [1024, 1024, 512, 64, 1, 1]);
    }
}

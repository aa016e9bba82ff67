//! Messages that are written and read in place: barely touched.

use super::incoming::Fault;
use super::{Corrupt, END, Kind, MARK, MIN_SIZE, hash};
use crate::plan::Verify;

/// Messages of which the first word is the number, and the last one and one that roves follow from
/// it; what else is in them is whatever lay there. Each word lies in one cache line.
///
/// One value writes, another one checks, in step.
#[derive(Debug)]
pub struct Touched {
    size: usize,
    sequence: u64,
    verify: Verify,
}

impl Touched {
    /// Messages of `size` bytes. With [`Verify::Full`] every word of them is written and checked,
    /// which is barely touching them no more.
    pub fn new(size: usize, verify: Verify) -> Self {
        Touched {
            size,
            sequence: 0,
            verify,
        }
    }

    /// Their length in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Makes `msg` the next message, or a mark.
    #[inline]
    pub fn write(&mut self, msg: &mut [u8], kind: Kind) {
        let sequence = match kind {
            Kind::Message | Kind::Whole => {
                self.sequence += 1;
                self.sequence
            }
            Kind::Mark => MARK,
            Kind::End => END,
        };
        put(msg, 0, sequence);
        let value = hash(sequence);
        for at in self.places(value) {
            put(msg, at, value);
        }
    }

    /// Checks that `msg` is the next message, or a mark.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] says what is wrong with it.
    #[inline]
    pub fn check(&mut self, msg: &[u8]) -> Result<Kind, Corrupt> {
        let sequence = self.sequence + 1;
        let corrupt = |fault| Err(Corrupt { sequence, fault });
        if msg.len() != self.size {
            return corrupt(Fault::Length(msg.len(), self.size));
        }
        let number = get(msg, 0);
        let kind = match number {
            MARK => Kind::Mark,
            END => Kind::End,
            _ if number == sequence => Kind::Message,
            _ => return corrupt(Fault::Sequence(number)),
        };
        let value = hash(number);
        for at in self.places(value) {
            let (found, right) = (get(msg, at), value);
            if found != right {
                let byte = (found ^ right).trailing_zeros() as usize / 8;
                let of = |word: u64| word.to_le_bytes()[byte];
                return corrupt(Fault::Byte(at + byte, of(found), of(right)));
            }
        }
        if kind == Kind::Message {
            self.sequence = sequence;
        }
        Ok(kind)
    }

    /// Where the words are that follow from the number: a roving one, and the last.
    #[inline]
    fn places(&self, value: u64) -> impl Iterator<Item = usize> + use<> {
        let (words, last) = (self.size / MIN_SIZE, self.size - MIN_SIZE);
        let inner = words.saturating_sub(2);
        let roving = (((value >> 32) * inner as u64) >> 32) as usize;
        let inner = match self.verify {
            Verify::Sample => roving..inner.min(roving + 1),
            Verify::Full => 0..inner,
        };
        let last = (words > 1).then_some(last);
        inner.map(|word| (1 + word) * MIN_SIZE).chain(last)
    }
}

#[inline]
fn put(msg: &mut [u8], at: usize, word: u64) {
    msg[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

#[inline]
fn get(msg: &[u8], at: usize) -> u64 {
    let word = msg[at..at + 8].try_into().expect("it has eight bytes");
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 8] = [8, 9, 16, 17, 24, 25, 64, 1000];
    const BOTH: [Verify; 2] = [Verify::Sample, Verify::Full];

    #[test]
    fn what_is_written_passes_whatever_lay_there() {
        for (size, verify) in SIZES.into_iter().flat_map(|size| BOTH.map(|v| (size, v))) {
            let mut out = Touched::new(size, verify);
            let mut incoming = Touched::new(size, verify);
            let mut msg = vec![0xAA; size];
            for kind in [Kind::Message, Kind::Mark, Kind::Message, Kind::End] {
                out.write(&mut msg, kind);
                assert_eq!(incoming.check(&msg), Ok(kind), "{size} {verify:?}");
            }
        }
    }

    #[test]
    fn every_touched_byte_counts() {
        for (size, verify) in SIZES.into_iter().flat_map(|size| BOTH.map(|v| (size, v))) {
            let mut out = Touched::new(size, verify);
            let mut incoming = Touched::new(size, verify);
            let mut seen = 0;
            for filler in [0x00, 0xFF] {
                let mut msg = vec![filler; size];
                out.write(&mut msg, Kind::Message);
                for at in 0..size {
                    msg[at] ^= 1;
                    seen += usize::from(incoming.check(&msg).is_err());
                    incoming.sequence = out.sequence - 1;
                    msg[at] ^= 1;
                }
                assert_eq!(incoming.check(&msg), Ok(Kind::Message));
            }
            let touched = match verify {
                Verify::Full if size >= 16 => size / 8 * 8,
                _ => (size / 8).min(3) * 8,
            };
            assert_eq!(seen, 2 * touched, "{size} {verify:?}");
        }
    }

    #[test]
    fn lost_doubled_and_cut_messages_are_seen() {
        let (mut out, mut incoming) = (
            Touched::new(64, Verify::Sample),
            Touched::new(64, Verify::Sample),
        );
        let mut msg = [0; 64];
        out.write(&mut msg, Kind::Message);
        assert!(incoming.check(&msg[..63]).is_err());
        assert!(incoming.check(&msg).is_ok());
        assert!(incoming.check(&msg).is_err(), "doubled");
        out.write(&mut msg, Kind::Message);
        out.write(&mut msg, Kind::Message);
        assert!(incoming.check(&msg).is_err(), "2 is missing");
    }

    #[test]
    fn the_roving_word_roves_everywhere() {
        let touched = Touched::new(64, Verify::Sample);
        let mut places = [false; 8];
        for number in 1..1000 {
            for at in touched.places(hash(number)) {
                places[at / 8] = true;
            }
        }
        assert_eq!(places, [false, true, true, true, true, true, true, true]);
    }
}

//! What the messages contain, and how it is checked.
//!
//! A message begins with its sequence number; its last byte and one roving byte follow from the
//! number; all others are the same in every message. So a message costs its sender three stores and
//! its receiver three loads, whatever its size, and yet a message that is lost, doubled, cut, torn or
//! stale is seen.

mod batch;
mod incoming;
mod outgoing;
mod touched;

pub use batch::{Batches, batch_of};
pub use incoming::{Corrupt, Incoming, Kind};
pub use outgoing::Outgoing;
pub use touched::Touched;

/// The shortest message: a sequence number.
pub const MIN_SIZE: usize = 8;
/// The longest message: what the streams carry by default.
pub const MAX_SIZE: usize = 16 << 20;

/// The sequence number that says: measure from now.
const MARK: u64 = u64::MAX - 1;
/// The sequence number that says: this was all.
const END: u64 = u64::MAX;

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

/// Where a message's roving byte is, and what it and the last byte are.
#[inline]
fn spot(sequence: u64, len: usize) -> (usize, u8) {
    let hash = hash(sequence);
    // The upper half scales to the place without a division; lengths are far below 2^32.
    let place = ((hash >> 32) * (len as u64 - 8)) >> 32;
    #[expect(clippy::cast_possible_truncation)] // a byte is wanted, and a place under `len`
    (8 + place as usize, (hash >> 24) as u8)
}

#[inline]
fn hash(sequence: u64) -> u64 {
    sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15)
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
    use crate::plan::Verify;

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

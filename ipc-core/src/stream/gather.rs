//! Frames on their way to one write, one after the other in one place.

use crate::frame::{self, HEADER_LEN};

/// A place for frames, which grows to what was needed most.
#[derive(Debug, Default)]
pub(super) struct Gather {
    bytes: Vec<u8>,
}

impl Gather {
    /// The frame of one message.
    #[inline]
    pub(super) fn one(&mut self, msg: &[u8]) -> &[u8] {
        let room = self.room(HEADER_LEN + msg.len());
        let len = put(room, msg);
        &self.bytes[..len]
    }

    /// The frames of the first of `msgs` whose length is at most `max_len`, up to `max` bytes in
    /// all; and how many they are.
    pub(super) fn many(&mut self, msgs: &[&[u8]], max_len: usize, max: usize) -> (&[u8], usize) {
        let room = self.room(max);
        let (mut len, mut count) = (0, 0);
        for msg in msgs {
            if msg.len() > max_len || HEADER_LEN + msg.len() > max - len {
                break;
            }
            len += put(&mut room[len..], msg);
            count += 1;
        }
        (&self.bytes[..len], count)
    }

    #[inline]
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        &mut self.bytes[..len]
    }
}

/// Puts a frame to the beginning of `room`, and returns its length.
#[inline]
fn put(room: &mut [u8], msg: &[u8]) -> usize {
    let (header, body) = room.split_at_mut(HEADER_LEN);
    header.copy_from_slice(&frame::header(msg.len()));
    copy(&mut body[..msg.len()], msg);
    HEADER_LEN + msg.len()
}

/// Copies; a short message by two words that may overlap, since a call would take longer.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    const WORD: usize = 16;
    match from.len() {
        len @ WORD..=32 => {
            to[..WORD].copy_from_slice(&from[..WORD]);
            to[len - WORD..].copy_from_slice(&from[len - WORD..]);
        }
        len @ 8..WORD => {
            to[..8].copy_from_slice(&from[..8]);
            to[len - 8..].copy_from_slice(&from[len - 8..]);
        }
        _ => to.copy_from_slice(from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole() {
        let mut gather = Gather::default();
        for len in (0..100).chain([4092, 70_000]) {
            let msg: Vec<u8> = (1..=251).cycle().take(len).collect();
            let frame = [&frame::header(len)[..], &msg].concat();
            assert_eq!(gather.one(&msg), frame, "{len}");
            let both = [&frame[..], &frame].concat();
            assert_eq!(
                gather.many(&[&msg, &msg], len, 2 * frame.len()),
                (&both[..], 2)
            );
        }
    }

    #[test]
    fn a_batch_ends_before_what_is_too_much() {
        let mut gather = Gather::default();
        let msgs: [&[u8]; 3] = [b"one", b"three", b"two"];
        assert_eq!(
            gather.many(&msgs, 4, 100).1,
            1,
            "a message that is too long"
        );
        assert_eq!(gather.many(&msgs, 5, 16).1, 2, "a batch that is full");
        assert_eq!(gather.many(&msgs, 5, 15).1, 1);
    }
}

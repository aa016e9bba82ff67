//! The side that writes records.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::Ordering;

use super::{Corrupt, HEADER, PUBLISHED, Ring, offset, record};
use crate::sync::wrote;

/// The sending side's positions.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    /// Where the next record goes, and its offset.
    tail: u64,
    offset: usize,
    /// The receiver's head as it was last seen.
    head: u64,
    /// Where the room ends that this head leaves; 0 once the head was corrupt.
    end: u64,
    /// Bytes written and not published.
    unpublished: usize,
    /// The offset and the header of the first unpublished record.
    first: (usize, u64),
}

impl Producer {
    /// The sender of a ring in which it has reached `tail`, a multiple of 8.
    pub(crate) fn new(ring: Ring, tail: u64) -> Self {
        let head = tail.saturating_sub(ring.capacity as u64);
        Producer {
            ring,
            tail,
            offset: offset(tail, ring.capacity),
            head,
            end: head + ring.capacity as u64,
            unpublished: 0,
            first: (0, 0),
        }
    }

    #[inline]
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    #[inline]
    pub(crate) fn unpublished(&self) -> usize {
        self.unpublished
    }

    /// The head that makes room for a message of `len` bytes, at most `max_len`.
    pub(crate) fn head_for(&self, len: usize) -> u64 {
        let end = self.tail + (record(len) + HEADER) as u64;
        end.saturating_sub(self.ring.capacity as u64)
    }

    /// Whether a message of `len` bytes is known to fit.
    #[inline]
    pub(crate) fn fits(&self, len: usize) -> bool {
        self.tail + (record(len) + HEADER) as u64 <= self.end
    }

    /// Whether there is room for a message of `len` bytes.
    pub(crate) fn has_room(&mut self, len: usize) -> Result<bool, Corrupt> {
        if !self.fits(len) {
            self.refresh()?;
        }
        Ok(self.fits(len))
    }

    /// Looks where the receiver is. Once that was corrupt it stays so.
    fn refresh(&mut self) -> Result<(), Corrupt> {
        let head = self.ring.receiver().head.load();
        if self.end == 0 || head < self.head || head > self.tail || head % 8 != 0 {
            self.end = 0;
            return Err("the receiver's index is where no receiver puts it");
        }
        self.head = head;
        self.end = head + self.ring.capacity as u64;
        Ok(())
    }

    /// Writes a message that there is room for; it is not published yet.
    #[inline]
    pub(crate) fn push(&mut self, msg: &[u8]) {
        // SAFETY: the record lies in the sender's part of the ring, since there is room, and in one
        // piece, since the data is mapped twice; `msg` is private memory.
        unsafe { copy(msg, self.place(msg.len())) };
        self.push_written(msg.len());
    }

    /// Where the next message goes, of `len` bytes that there is room for: zeroes, or what an older
    /// message left there.
    #[inline]
    pub(crate) fn next(&self, len: usize) -> &[u8] {
        // SAFETY: as for `next_mut`, which needs `&mut self`.
        unsafe { slice::from_raw_parts(self.place(len).as_ptr(), len) }
    }

    /// The same, to be written. Until [`push_written`](Self::push_written) it is no message.
    #[inline]
    pub(crate) fn next_mut(&mut self, len: usize) -> &mut [u8] {
        // SAFETY: it lies in the sender's part of the ring, since there is room, which nobody reads
        // or writes but through this value; in one piece, since the data is mapped twice; and every
        // byte there has a value, since the memory came zeroed.
        unsafe { slice::from_raw_parts_mut(self.place(len).as_ptr(), len) }
    }

    /// Makes a message of the first `len` bytes of what was written in place; it is not published
    /// yet.
    #[inline]
    pub(crate) fn push_written(&mut self, len: usize) {
        wrote(self.place(len), len);
        let header = PUBLISHED | len as u64;
        let len = record(len);
        // Headers of a batch are hidden behind its first: order among them does not matter.
        let next = self.ring.behind(self.offset, len);
        self.ring.header(next).store(0, Ordering::Relaxed);
        if self.unpublished == 0 {
            self.first = (self.offset, header);
        } else {
            let place = self.ring.header(self.offset);
            place.store(header, Ordering::Relaxed);
        }
        self.unpublished += len;
        self.tail += len as u64;
        self.offset = next;
    }

    /// Adds messages to a batch that is begun, while there is known room and `bytes` are not reached;
    /// returns how many. What stays in registers here costs half as much as one by one.
    pub(crate) fn push_more(&mut self, msgs: &[&[u8]], bytes: usize) -> usize {
        if self.unpublished == 0 {
            return 0;
        }
        let known = self.end.saturating_sub(self.tail + HEADER as u64);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let room = known.min(bytes.saturating_sub(self.unpublished));
        let (ring, max) = (self.ring, self.ring.max_len());
        let (mut offset, mut written, mut count) = (self.offset, 0, 0);
        for msg in msgs {
            let len = record(msg.len());
            if msg.len() > max || written + len > room {
                break;
            }
            let place = ring.at(offset + HEADER);
            // SAFETY: as in `push`: there is room for all that has been written and this one.
            unsafe { copy(msg, place) };
            wrote(place, msg.len());
            let header = PUBLISHED | msg.len() as u64;
            ring.header(offset).store(header, Ordering::Relaxed);
            offset = ring.behind(offset, len);
            written += len;
            count += 1;
        }
        // The others are behind the first, which is not published yet.
        ring.header(offset).store(0, Ordering::Relaxed);
        self.unpublished += written;
        self.tail += written as u64;
        self.offset = offset;
        count
    }

    /// The first byte of the next message, of `len` bytes that there is room for.
    #[inline]
    fn place(&self, len: usize) -> NonNull<u8> {
        debug_assert!(self.fits(len));
        self.ring.at(self.offset + HEADER)
    }

    /// Publishes what was written since the last time, whole; that is something. Returns where it
    /// begins.
    #[inline]
    pub(crate) fn publish(&mut self) -> u64 {
        let (offset, header) = self.first;
        self.ring.header(offset).store(header, Ordering::Release);
        self.tail - std::mem::take(&mut self.unpublished) as u64
    }
}

/// Copies `src`; a short one without a call, which would cost more than the copy.
///
/// # Safety
///
/// `dst` is valid for as many bytes and does not overlap.
#[allow(clippy::inline_always)] // the point of it
#[inline(always)]
pub(super) unsafe fn copy(src: &[u8], dst: NonNull<u8>) {
    let len = src.len();
    // Two copies that meet or overlap in the middle serve every length between half and whole.
    macro_rules! both_ends {
        ($size:literal) => {{
            let (from, to) = (
                src.as_ptr().cast::<[u8; $size]>(),
                dst.cast::<[u8; $size]>(),
            );
            let last = len - $size;
            let (first, second) = (from.read(), from.byte_add(last).read());
            to.write(first);
            to.byte_add(last).write(second);
        }};
    }
    // SAFETY: each arm reads and writes within `len` bytes of both; see the contract.
    unsafe {
        match len {
            0 => {}
            1 => dst.write(src[0]),
            2..4 => both_ends!(2),
            4..8 => both_ends!(4),
            8..16 => both_ends!(8),
            16..32 => both_ends!(16),
            32..=64 => both_ends!(32),
            _ => std::ptr::copy_nonoverlapping(src.as_ptr(), dst.as_ptr(), len),
        }
    }
}

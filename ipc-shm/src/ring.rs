//! The ring itself: where records lie, and how one store publishes them. It knows no system call
//! and no mapping.
//!
//! A record is an 8-byte header and the message, rounded up to 8 bytes. Positions are byte counts
//! that only grow; an offset is a position modulo the capacity. The header at the receiver's position *is* the index of the sender: it is zero until the record is whole,
//! and one Release store of it publishes the record, so that a small message crosses between two
//! processors in the cache line that announces it. The sender zeroes the next header before it
//! publishes a record, so what the receiver waits on is never old payload.
//!
//! A batch is published by the header of its first record, stored last.
//!
//! The message that a receiver looks at stays where it is until the next receive. A message takes
//! half of the ring at most, so that the longest can be sent beside it: else two ends that each
//! answer what they look at could wait for each other.
//!
//! The receiver's index, `head`, is a word of its own. It is loaded once and checked against the
//! sender's private positions; a header is loaded once and checked against the capacity.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Bytes before each message.
pub(crate) const HEADER: usize = 8;
/// What makes the header of an empty message differ from no header.
const PUBLISHED: u64 = 1 << 63;

/// What is wrong with the shared memory; the half that found it is poisoned.
pub(crate) type Corrupt = &'static str;

/// A word on cache lines of its own: processors fetch them in pairs.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Line(AtomicU64);

/// What the sender writes besides records.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct SenderWords {
    /// The head that it wants to be woken at.
    pub(crate) asked: Line,
}

/// What the receiver writes.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct ReceiverWords {
    /// Everything before this position is the sender's again.
    pub(crate) head: Line,
    /// The position that the sender is to wake it at.
    pub(crate) asked: Line,
}

impl Line {
    /// Loads the word, which may lie in memory that this side cannot write.
    #[inline]
    pub(crate) fn load(&self) -> u64 {
        // Only relaxed loads are promised to work on read-only memory: the fence is apart.
        let value = self.0.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        value
    }

    #[inline]
    pub(crate) fn store(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
}

/// Where a ring lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    data: NonNull<u8>,
    capacity: usize,
    sender: NonNull<SenderWords>,
    receiver: NonNull<ReceiverWords>,
}

// SAFETY: a ring is only an address; what is done there is the sides' own, one of each.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// A ring of `capacity` bytes, a multiple of 8 and 32 at least.
    ///
    /// # Safety
    ///
    /// As long as a side made of it is used, `data` is valid for `2 * capacity` bytes, of which the
    /// second half is the first once more, or is used by nobody else; it is aligned to 8, began as
    /// zeroes, and the sender may write it. The words are valid; each side may write its own, and
    /// there is one side of each kind.
    pub(crate) unsafe fn new(
        data: NonNull<u8>,
        capacity: usize,
        sender: NonNull<SenderWords>,
        receiver: NonNull<ReceiverWords>,
    ) -> Self {
        debug_assert!(capacity % 8 == 0 && capacity >= 32 && data.cast::<u64>().is_aligned());
        Ring {
            data,
            capacity,
            sender,
            receiver,
        }
    }

    /// The longest message: two of them, and the zeroed header behind them, fill the ring.
    #[inline]
    pub(crate) fn max_len(self) -> usize {
        (self.capacity - HEADER) / 2 / 8 * 8 - HEADER
    }

    #[inline]
    pub(crate) fn sender(&self) -> &SenderWords {
        // SAFETY: valid by the contract of `new`, and made of atomics only.
        unsafe { self.sender.as_ref() }
    }

    #[inline]
    pub(crate) fn receiver(&self) -> &ReceiverWords {
        // SAFETY: valid by the contract of `new`, and made of atomics only.
        unsafe { self.receiver.as_ref() }
    }

    /// The byte at `offset`, at most twice the capacity.
    #[inline]
    fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset <= 2 * self.capacity);
        // SAFETY: inside the data, which is mapped twice, or just behind it.
        unsafe { self.data.add(offset) }
    }

    /// The header at `offset`, a multiple of 8 below the capacity.
    #[inline]
    fn header(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset % 8 == 0 && offset < self.capacity);
        // SAFETY: 8 aligned bytes inside the data; headers are only touched atomically.
        unsafe { self.at(offset).cast::<AtomicU64>().as_ref() }
    }

    /// The offset behind `len` bytes at `offset`.
    #[inline]
    fn behind(&self, offset: usize, len: usize) -> usize {
        let behind = offset + len;
        if behind < self.capacity {
            behind
        } else {
            behind - self.capacity
        }
    }
}

/// The least capacity of a ring whose longest message has `max_len` bytes, or more than there can be.
pub(crate) fn capacity_for(max_len: usize) -> usize {
    let record = max_len.saturating_add(HEADER + 7) / 8 * 8;
    record.saturating_mul(2).saturating_add(HEADER)
}

/// The bytes of a record that carries `len` bytes.
#[inline]
fn record(len: usize) -> usize {
    HEADER + ((len + 7) & !7)
}

/// The offset of a position.
#[allow(clippy::cast_possible_truncation)] // less than the capacity
fn offset(position: u64, capacity: usize) -> usize {
    (position % capacity as u64) as usize
}

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
        debug_assert!(self.fits(msg.len()));
        let len = record(msg.len());
        // Headers of a batch are hidden behind its first: order among them does not matter.
        let next = self.ring.behind(self.offset, len);
        self.ring.header(next).store(0, Ordering::Relaxed);
        // SAFETY: the record lies in the sender's part of the ring, since there is room, and in one
        // piece, since the data is mapped twice; `msg` is private memory.
        unsafe { copy(msg, self.ring.at(self.offset).add(HEADER)) };
        let header = PUBLISHED | msg.len() as u64;
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

    /// Publishes what was written since the last time, whole; that is something.
    #[inline]
    pub(crate) fn publish(&mut self) {
        let (offset, header) = self.first;
        self.ring.header(offset).store(header, Ordering::Release);
        self.unpublished = 0;
    }
}

/// The receiving side's positions.
#[derive(Debug)]
pub(crate) struct Consumer {
    ring: Ring,
    /// Where the next record is, and its offset.
    next: u64,
    offset: usize,
    /// Everything before this has been given back.
    released: u64,
    message: NonNull<u8>,
    len: usize,
    /// One more than the longest message; 0 once a header was corrupt.
    limit: u64,
}

// SAFETY: the message lies in the ring's memory, which goes with the consumer.
unsafe impl Send for Consumer {}
// SAFETY: a shared consumer only reads.
unsafe impl Sync for Consumer {}

impl Consumer {
    /// The receiver of a ring in which it has reached `head`, a multiple of 8.
    pub(crate) fn new(ring: Ring, head: u64) -> Self {
        Consumer {
            ring,
            next: head,
            offset: offset(head, ring.capacity),
            released: head,
            message: NonNull::dangling(),
            len: 0,
            limit: ring.max_len() as u64 + 1,
        }
    }

    #[inline]
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Where the next record is.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// Everything before this has been given back.
    #[inline]
    pub(crate) fn released(&self) -> u64 {
        self.released
    }

    /// Whether a record is there.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.ring.header(self.offset).load(Ordering::Relaxed) != 0
    }

    /// Takes the next message; false if there is none. The space of this one and of those before
    /// stays taken until [`release`](Self::release).
    #[inline]
    pub(crate) fn next(&mut self) -> Result<bool, Corrupt> {
        let header = self.ring.header(self.offset).load(Ordering::Relaxed);
        // Only relaxed loads are promised to work on read-only memory: the fence is apart.
        fence(Ordering::Acquire);
        // Without the mark this wraps to a length that no record has.
        let len = header.wrapping_sub(PUBLISHED);
        if len >= self.limit {
            return self.no_record(header);
        }
        #[allow(clippy::cast_possible_truncation)] // less than the capacity
        let len = len as usize;
        self.message = self.ring.at(self.offset + HEADER);
        self.len = len;
        self.next += record(len) as u64;
        self.offset = self.ring.behind(self.offset, record(len));
        Ok(true)
    }

    /// Nothing yet, or nothing ever again.
    #[cold]
    fn no_record(&mut self, header: u64) -> Result<bool, Corrupt> {
        if header == 0 && self.limit != 0 {
            return Ok(false);
        }
        self.limit = 0;
        Err("a record's header is one that no sender writes")
    }

    /// Ends the current message and gives all space back that was received; false if there was none.
    #[inline]
    pub(crate) fn release(&mut self) -> bool {
        self.len = 0;
        if self.released == self.next {
            return false;
        }
        self.give_back(self.next);
        true
    }

    /// Gives back the space before `position`: where the current message's record begins, or ends.
    #[inline]
    pub(crate) fn give_back(&mut self, position: u64) {
        self.released = position;
        self.ring.receiver().head.store(position);
    }

    /// The current message.
    #[inline]
    pub(crate) fn message(&self) -> &[u8] {
        // SAFETY: the record is published and not released: a trusted sender no longer writes it,
        // and `len` was checked to end inside the data. Without a message the length is 0.
        unsafe { slice::from_raw_parts(self.message.as_ptr(), self.len) }
    }
}

/// Copies `src`; a short one without a call, which would cost more than the copy.
///
/// # Safety
///
/// `dst` is valid for as many bytes and does not overlap.
#[allow(clippy::inline_always)] // the point of it
#[inline(always)]
unsafe fn copy(src: &[u8], dst: NonNull<u8>) {
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

#[cfg(test)]
mod tests;

//! The side that reads them, where they lie.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::Ordering;

use super::snapshot::snapshot;
use super::{Corrupt, HEADER, PUBLISHED, Ring, offset, record};
use crate::sync::fence;

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
    /// What the next record is guessed to be like.
    record: Record,
    /// Where messages are copied to, if they are.
    copy: Option<NonNull<u64>>,
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
            record: Record::of(0),
            copy: None,
            limit: ring.max_len() as u64 + 1,
        }
    }

    /// One that lends a copy at `place`, because the sender may go on writing what it has published.
    /// `place` is valid for as many bytes as the ring has, and nobody else's, as long as this side is used.
    pub(crate) fn copying(ring: Ring, head: u64, place: NonNull<u64>) -> Self {
        Consumer {
            copy: Some(place),
            ..Consumer::new(ring, head)
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
        let place = self.ring.at(self.offset + HEADER);
        self.message = match self.copy {
            None => place,
            Some(copy) => {
                // SAFETY: a record of this length ends inside the ring, aligned to 8; the place is
                // as large as the ring, and private.
                unsafe { snapshot(place.cast(), copy, len) };
                copy.cast()
            }
        };
        self.len = len;
        let bytes = self.record.bytes(len);
        self.next += bytes as u64;
        self.offset = self.ring.behind(self.offset, bytes);
        Ok(true)
    }

    /// Takes messages that are there and shows them, `max` at most and until `bytes` are taken that
    /// were not given back; returns how many. The last one is the current message.
    ///
    /// This is [`next`](Self::next) again and again with its positions in registers.
    pub(crate) fn take(&mut self, max: usize, bytes: u64, each: &mut dyn FnMut(&[u8])) -> usize {
        if self.copies() {
            return 0;
        }
        let (ring, limit, end) = (self.ring, self.limit, self.released + bytes);
        let (mut offset, mut next) = (self.offset, self.next);
        let mut count = 0;
        while count < max && next < end {
            let header = ring.header(offset).load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            let len = header.wrapping_sub(PUBLISHED);
            if len >= limit {
                break;
            }
            #[allow(clippy::cast_possible_truncation)] // less than the capacity
            let len = len as usize;
            self.message = ring.at(offset + HEADER);
            self.len = len;
            let bytes = self.record.bytes(len);
            next += bytes as u64;
            offset = ring.behind(offset, bytes);
            // Stored each time, because `each` may panic, but never loaded.
            (self.next, self.offset) = (next, offset);
            count += 1;
            each(self.message());
        }
        count
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

    /// Whether the messages are copies, which need no space in the ring.
    #[inline]
    pub(crate) fn copies(&self) -> bool {
        self.copy.is_some()
    }

    /// Ends the current message and gives all space back that was received; false if there was none.
    #[inline]
    pub(crate) fn release(&mut self) -> bool {
        self.len = 0;
        self.give_back_all()
    }

    /// Gives all space back that was received; false if there was none.
    #[inline]
    pub(crate) fn give_back_all(&mut self) -> bool {
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
        // SAFETY: either a private copy of `len` bytes; or the record is published and not released:
        // a trusted sender no longer writes it, and `len` was checked to end inside the data.
        // Without a message the length is 0.
        unsafe { slice::from_raw_parts(self.message.as_ptr(), self.len) }
    }
}

/// The bytes of the record that was met last. Most are as long as the one before: a processor guesses
/// that and goes on, where an addition would have it wait for each header to find the next one.
#[derive(Clone, Copy, Debug)]
struct Record {
    len: usize,
    bytes: usize,
}

impl Record {
    /// That of a message of `len` bytes.
    fn of(len: usize) -> Self {
        let bytes = record(len);
        Record { len, bytes }
    }

    /// The bytes of one that carries `len` bytes.
    #[inline]
    fn bytes(&mut self, len: usize) -> usize {
        if len != self.len {
            self.change(len);
        }
        self.bytes
    }

    #[cold]
    fn change(&mut self, len: usize) {
        *self = Record::of(len);
    }
}

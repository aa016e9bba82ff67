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

mod consumer;
#[cfg(any(all(test, not(loom)), fuzzing))]
#[allow(missing_docs, unreachable_pub)] // for the fuzzers alone, see `lib.rs`
pub mod hostile;
mod producer;
mod snapshot;
#[cfg(test)]
mod tests;

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

pub(crate) use consumer::Consumer;
pub(crate) use producer::Producer;
#[cfg(all(test, loom))]
pub(crate) use tests::Heap;

use crate::sync::{AtomicU64, fence};

/// Bytes before each message.
pub(crate) const HEADER: usize = 8;
/// What makes the header of an empty message differ from no header.
const PUBLISHED: u64 = 1 << 63;

/// What is wrong with the shared memory; the half that found it is poisoned.
pub(crate) type Corrupt = &'static str;

/// A word on cache lines of its own: processors fetch them in pairs.
#[repr(C, align(128))]
#[derive(Debug, Default)]
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

    /// Loads the word, of which nothing but its value matters.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
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

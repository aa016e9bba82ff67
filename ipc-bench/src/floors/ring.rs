//! The textbook ring between one sender and one receiver: slots of one size, each side with its own
//! index and a cached copy of the other's, messages copied in, and read in place or copied out.
//!
//! It spins, or, the futex ring, sleeps at once; it notices no death and trusts its peer.
#![allow(unsafe_code)]

use std::hint;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use ipc_core::{Error, Receiver, Sender, Wait};

use super::copy::copy;
use crate::Result;
use crate::cells::{Ends, InPlace, InPlacePair, Pair};
use crate::plan::Cell;
use crate::sys::{self, SharedMemory};

/// Bytes of slots, as in a default ring of `ipc-shm`, but at least [`MIN_SLOTS`].
const CAPACITY: usize = 1 << 20;
const MIN_SLOTS: usize = 2;
/// A slot begins with the length of its message.
const HEADER: usize = 8;

/// Spins on both sides.
pub(crate) fn ring(cell: &Cell) -> Result<Box<dyn Ends>> {
    in_place::<false>(cell)
}

/// Sleeps at once on both sides.
pub(crate) fn futex_ring(cell: &Cell) -> Result<Box<dyn Ends>> {
    in_place::<true>(cell)
}

/// Spins on both sides, and a message is copied into memory of the receiver's own.
pub(crate) fn copying_ring(cell: &Cell) -> Result<Box<dyn Ends>> {
    let channel = || -> Result<_> {
        let (sender, ring) = channel::<false>(cell.size)?;
        let (buffer, len) = (vec![0; sender.max_len()], 0);
        Ok((sender, CopyingReceiver { ring, buffer, len }))
    };
    Ok(Box::new(Pair::of_channels(channel()?, channel()?)))
}

fn in_place<const SLEEPS: bool>(cell: &Cell) -> Result<Box<dyn Ends>> {
    let channel = || channel::<SLEEPS>(cell.size);
    let pair = Pair::of_channels(channel()?, channel()?);
    Ok(Box::new(InPlacePair(pair)))
}

fn channel<const SLEEPS: bool>(size: usize) -> Result<(RingSender<SLEEPS>, RingReceiver<SLEEPS>)> {
    let stride = HEADER + size.next_multiple_of(8);
    let slots = (CAPACITY / stride + 1).next_power_of_two() / 2;
    let slots = slots.max(MIN_SLOTS);
    let memory = SharedMemory::new(size_of::<Shared>() + slots * stride)?;
    let ring = Ring {
        start: memory.start(),
        _memory: Arc::new(memory),
        mask: slots as u64 - 1,
        stride,
    };
    let sender = RingSender {
        ring: ring.clone(),
        tail: 0,
        head: 0,
    };
    let receiver = RingReceiver {
        ring,
        head: 0,
        tail: 0,
        message: None,
    };
    Ok((sender, receiver))
}

/// What both sides write, each on lines of its own.
#[repr(C)]
#[derive(Debug)]
struct Shared {
    tail: Line<AtomicU64>,
    head: Line<AtomicU64>,
    receiver_sleeps: Line<AtomicU32>,
    sender_sleeps: Line<AtomicU32>,
}

/// Two lines: a prefetcher pairs them.
#[repr(C, align(128))]
#[derive(Debug)]
struct Line<T>(T);

#[derive(Clone, Debug)]
struct Ring {
    start: NonNull<u8>,
    mask: u64,
    stride: usize,
    _memory: Arc<SharedMemory>,
}

// SAFETY: shared memory is bound to no thread.
unsafe impl Send for Ring {}

impl Ring {
    #[inline]
    fn shared(&self) -> &Shared {
        // SAFETY: the page-aligned memory begins with a `Shared`, for which zeroes are valid, and
        // which is atomics only.
        unsafe { self.start.cast().as_ref() }
    }

    /// The slot of index `at`: its header, then room for a message.
    #[inline]
    fn slot(&self, at: u64) -> NonNull<u8> {
        #[expect(clippy::cast_possible_truncation)] // 64-bit only
        let offset = size_of::<Shared>() + (at & self.mask) as usize * self.stride;
        // SAFETY: the memory has `mask + 1` slots of `stride` bytes behind `Shared`.
        unsafe { self.start.add(offset) }
    }
}

struct RingSender<const SLEEPS: bool> {
    ring: Ring,
    tail: u64,
    /// What the receiver's index was when last looked at.
    head: u64,
}

impl<const SLEEPS: bool> RingSender<SLEEPS> {
    /// Waits until the next slot is free: it is the sender's until it is published.
    #[inline]
    fn slot_for(&mut self, len: usize) -> ipc_core::Result<NonNull<u8>> {
        let max = self.max_len();
        if len > max {
            let limit = "ring capacity";
            return Err(Error::TooLarge { len, max, limit });
        }
        let shared = self.ring.shared();
        if self.tail - self.head > self.ring.mask {
            let full = self.tail - self.ring.mask - 1;
            self.head = await_change::<SLEEPS>(&shared.head.0, full, &shared.sender_sleeps.0);
        }
        Ok(self.ring.slot(self.tail))
    }

    #[inline]
    fn publish(&mut self) {
        self.tail += 1;
        let shared = self.ring.shared();
        shared.tail.0.store(self.tail, Ordering::Release);
        wake::<SLEEPS>(&shared.receiver_sleeps.0);
    }
}

impl<const SLEEPS: bool> Sender for RingSender<SLEEPS> {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], _: Wait) -> ipc_core::Result<()> {
        let slot = self.slot_for(msg.len())?;
        // SAFETY: the slot is aligned to 8 and has room for a header and `max_len` bytes.
        unsafe {
            slot.cast::<usize>().write(msg.len());
            copy(msg, slot.add(HEADER));
        }
        self.publish();
        Ok(())
    }

    #[inline]
    fn max_len(&self) -> usize {
        self.ring.stride - HEADER
    }
}

impl<const SLEEPS: bool> InPlace for RingSender<SLEEPS> {
    #[inline]
    fn send_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> ipc_core::Result<()> {
        let slot = self.slot_for(len)?;
        // SAFETY: as above; the slot's bytes were zeroed once and are nobody else's now.
        unsafe {
            slot.cast::<usize>().write(len);
            write(slice::from_raw_parts_mut(slot.add(HEADER).as_ptr(), len));
        }
        self.publish();
        Ok(())
    }
}

struct RingReceiver<const SLEEPS: bool> {
    ring: Ring,
    head: u64,
    /// What the sender's index was when last looked at.
    tail: u64,
    /// The current one, at `head - 1`, not yet given back.
    message: Option<NonNull<[u8]>>,
}

// SAFETY: the message lies in the ring's memory, which goes with the receiver.
unsafe impl<const SLEEPS: bool> Send for RingReceiver<SLEEPS> {}

impl<const SLEEPS: bool> RingReceiver<SLEEPS> {
    #[inline]
    fn give_back(&mut self) {
        if self.message.take().is_some() {
            let shared = self.ring.shared();
            shared.head.0.store(self.head, Ordering::Release);
            wake::<SLEEPS>(&shared.sender_sleeps.0);
        }
    }
}

impl<const SLEEPS: bool> Receiver for RingReceiver<SLEEPS> {
    #[inline]
    fn recv_wait(&mut self, _: Wait) -> ipc_core::Result<()> {
        self.give_back();
        if self.head == self.tail {
            let shared = self.ring.shared();
            self.tail =
                await_change::<SLEEPS>(&shared.tail.0, self.head, &shared.receiver_sleeps.0);
        }
        let slot = self.ring.slot(self.head);
        // SAFETY: the tail has passed this slot, so that its sender has written header and message.
        let message = unsafe {
            let len = slot.cast::<usize>().read();
            NonNull::slice_from_raw_parts(slot.add(HEADER), len)
        };
        self.message = Some(message);
        self.head += 1;
        Ok(())
    }

    #[inline]
    fn message(&self) -> &[u8] {
        match &self.message {
            // SAFETY: its sender touches the slot no more until the next receive publishes the head.
            Some(message) => unsafe { message.as_ref() },
            None => &[],
        }
    }
}

/// Copies out, and gives the slot back at once.
struct CopyingReceiver {
    ring: RingReceiver<false>,
    buffer: Vec<u8>,
    len: usize,
}

impl Receiver for CopyingReceiver {
    #[inline]
    fn recv_wait(&mut self, wait: Wait) -> ipc_core::Result<()> {
        self.ring.recv_wait(wait)?;
        let message = self.ring.message();
        self.len = message.len();
        let room = NonNull::from(&mut self.buffer[..self.len]);
        // SAFETY: the room is as long as the message, and memory of this process alone.
        unsafe { copy(message, room.cast()) };
        self.ring.give_back();
        Ok(())
    }

    #[inline]
    fn message(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// Waits until `index` is no longer `value`, and returns it.
#[inline]
fn await_change<const SLEEPS: bool>(index: &AtomicU64, value: u64, sleeps: &AtomicU32) -> u64 {
    loop {
        let now = index.load(Ordering::Acquire);
        if now != value {
            return now;
        }
        if SLEEPS {
            sleep(index, value, sleeps);
        } else {
            hint::spin_loop();
        }
    }
}

fn sleep(index: &AtomicU64, value: u64, sleeps: &AtomicU32) {
    sleeps.store(1, Ordering::Relaxed);
    // With the fence in `wake`: either the index is seen here, or the flag there.
    fence(Ordering::SeqCst);
    if index.load(Ordering::Acquire) == value {
        sys::futex_wait(sleeps, 1);
    }
    sleeps.store(0, Ordering::Relaxed);
}

/// Wakes the other side if it sleeps.
#[inline]
fn wake<const SLEEPS: bool>(sleeps: &AtomicU32) {
    if SLEEPS {
        fence(Ordering::SeqCst);
        if sleeps.load(Ordering::Relaxed) == 1 {
            sleeps.store(0, Ordering::Relaxed);
            sys::futex_wake(sleeps);
        }
    }
}

//! The peer, the memory that it shares, and the script that it plays.
//!
//! The memory is exactly as long as promised. What lies around it belongs to nobody: the address
//! sanitizer watches it on the heap, and pages without access fence it in where no sanitizer looks.
#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::Ordering;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};

use crate::ring::{Consumer, HEADER, Line, PUBLISHED, ReceiverWords, Ring, SenderWords};
use crate::sync::AtomicU64;

/// The largest capacity: small, so that a script goes round it often.
const LARGEST: usize = 640;

/// What a peer can write, how often it did, and what it cannot.
pub(super) struct Peer {
    ring: Ring,
    written: u64,
    on_heap: bool,
    /// Room for the copy of the longest message.
    private: NonNull<u64>,
}

impl Peer {
    pub(super) fn new(script: &mut Script) -> Self {
        let shape = script.short();
        let capacity = 32 + usize::from(shape >> 1) * 8 % (LARGEST - 32 + 8);
        let on_heap = shape % 2 == 0 || cfg!(miri);
        let words = |place, len: usize| {
            if on_heap {
                NonNull::from(Box::leak(vec![0_u64; len / 8].into_boxed_slice())).cast()
            } else {
                fenced(place, len)
            }
        };
        let data = words(0, 2 * capacity);
        let line = || Line(AtomicU64::new(0));
        let sender = Box::leak(Box::new(SenderWords { asked: line() }));
        let (head, asked) = (line(), line());
        let receiver = Box::leak(Box::new(ReceiverWords { head, asked }));
        // SAFETY: the memory lives as long as the peer, which the sides do not outlive; there is one
        // side, and what the peer writes it writes atomically.
        let ring = unsafe { Ring::new(data, capacity, sender.into(), receiver.into()) };
        Peer {
            ring,
            written: 0,
            on_heap,
            private: words(1, private_len(ring)).cast(),
        }
    }

    /// The receiving side, of either kind.
    pub(super) fn receiver(&self, position: u64, copies: bool) -> Consumer {
        if copies {
            Consumer::copying(self.ring, position, self.private)
        } else {
            Consumer::new(self.ring, position)
        }
    }

    pub(super) fn ring(&self) -> Ring {
        self.ring
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The sender's word at an offset, and where the mapping shows it again.
    pub(super) fn record_word(&mut self, offset: usize, word: u64) {
        self.ring.header(offset).store(word, Ordering::Release);
        // SAFETY: a word in the second half of the data.
        let again = unsafe {
            self.ring
                .at(offset + self.ring.capacity)
                .cast::<AtomicU64>()
                .as_ref()
        };
        again.store(word, Ordering::Release);
        self.written += 1;
    }

    /// The same word everywhere.
    pub(super) fn fill(&mut self, word: u64) {
        for offset in (0..self.ring.capacity).step_by(HEADER) {
            self.record_word(offset, word);
        }
        self.ring.sender().asked.store(word);
    }

    /// The receiver's index.
    pub(super) fn head(&mut self, word: u64) {
        self.ring.receiver().head.store(word);
        self.written += 1;
    }

    /// The receiver's asking.
    pub(super) fn asked(&mut self, word: u64) {
        self.ring.receiver().asked.store(word);
        self.written += 1;
    }

    pub(super) fn header(&self, offset: usize) -> u64 {
        self.ring.header(offset).load(Ordering::Relaxed)
    }

    /// The receiver's words.
    pub(super) fn words(&self) -> (u64, u64) {
        let words = self.ring.receiver();
        (words.head.load(), words.asked.load())
    }

    /// A copy of the data as it lies there.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // SAFETY: the data is this long, initialized, and nobody writes it during the copy.
        unsafe { slice::from_raw_parts(self.ring.at(0).as_ptr(), 2 * self.ring.capacity) }.to_vec()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let Ring {
            data,
            capacity,
            sender,
            receiver,
        } = self.ring;
        // SAFETY: they were leaked by `new`, as such boxes, and no side is left.
        unsafe {
            drop(Box::from_raw(sender.as_ptr()));
            drop(Box::from_raw(receiver.as_ptr()));
            if self.on_heap {
                let private = (self.private, private_len(self.ring));
                for (start, len) in [(data.cast::<u64>(), 2 * capacity), private] {
                    let words = NonNull::slice_from_raw_parts(start, len / 8);
                    drop(Box::from_raw(words.as_ptr()));
                }
            }
        }
    }
}

fn private_len(ring: Ring) -> usize {
    ring.max_len().next_multiple_of(8)
}

/// `len` zeroed bytes that end where a page without access begins. A thread has two such places.
fn fenced(place: usize, len: usize) -> NonNull<u8> {
    thread_local!(static ENDS: [NonNull<u8>; 2] = [fence_in(), fence_in()]);
    ENDS.with(|ends| {
        // SAFETY: a place has room for the largest ring, and belongs to one peer at a time.
        unsafe {
            let start = ends[place].sub(len);
            start.write_bytes(0, len);
            start
        }
    })
}

/// Pages between two that nobody may touch; where they end. They stay until the process ends.
fn fence_in() -> NonNull<u8> {
    let page = crate::sys::page_size();
    let pages = (2 * LARGEST).next_multiple_of(page);
    let len = NonZeroUsize::new(pages + 2 * page).expect("not empty");
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses the place, and the pages between the outermost are opened.
    unsafe {
        let start = mmap_anonymous(None, len, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE)
            .expect("some pages");
        let start = start.byte_add(page);
        mprotect(start, pages, access).expect("pages just mapped");
        start.byte_add(pages).cast()
    }
}

/// Bytes that decide, read to their end.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl Script<'_> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// What is missing at the end is zero.
    pub(super) fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte().unwrap_or(0), self.byte().unwrap_or(0)])
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte().unwrap_or(0)))
    }

    /// A position that a half can have been handed over at.
    pub(super) fn position(&mut self) -> u64 {
        match self.byte() {
            Some(byte @ 0..240) => u64::from(byte) * 8,
            _ => (self.word() / 2) & !7,
        }
    }

    /// A header, mostly one that is almost right.
    pub(super) fn header(&mut self, max_len: usize) -> u64 {
        let kind = self.byte().unwrap_or(0);
        match kind % 8 {
            0 => self.word(),
            1 => u64::from(self.short()),
            2 => 1 << (self.short() % 64),
            3 => PUBLISHED | (1 << (self.short() % 64)),
            4 | 5 => PUBLISHED | (u64::from(self.short()) % (max_len as u64 + 1)),
            _ => (PUBLISHED | max_len as u64).wrapping_add_signed(self.small()),
        }
    }

    /// A word that is mostly close to a position.
    pub(super) fn near(&mut self, position: u64) -> u64 {
        match self.byte().unwrap_or(0) % 8 {
            0 => self.word(),
            1 => 1 << (self.short() % 64),
            2 | 3 => position.wrapping_add_signed(self.small()),
            _ => position.wrapping_add_signed(self.small() * 8),
        }
    }

    fn small(&mut self) -> i64 {
        i64::from(i8::from_le_bytes([self.byte().unwrap_or(0)]))
    }
}

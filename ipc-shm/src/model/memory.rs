//! Memory as loom sees it: every word of a ring has a twin among loom's atomics.
//!
//! A twin serves headers and payload alike, as the word itself does: what is written without
//! atomics must be ordered with everything else that touches the word, or loom calls it a race, and
//! old payload is what a header's load would find.
#![allow(unsafe_code)]

use std::cell::{RefCell, UnsafeCell};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{self, Ordering};

use loom::sync::atomic::AtomicU64 as Twin;

use super::death::step;
use crate::ring::{Heap, Ring};

thread_local! {
    /// By address. Loom runs all threads of a model on the one that called it.
    static TWINS: RefCell<HashMap<usize, Rc<UnsafeCell<Twin>>>> = RefCell::default();
    /// The memory of the execution at hand.
    static MEMORY: RefCell<Vec<Heap>> = RefCell::default();
}

/// Where no word lies: a twin that is only loaded.
const CLOCK: usize = 0;

/// Forgets the memory of the execution before.
pub(crate) fn forget() {
    TWINS.with_borrow_mut(HashMap::clear);
    MEMORY.with_borrow_mut(Vec::clear);
}

/// A ring whose words have twins, for the execution at hand.
pub(crate) fn ring(capacity: usize) -> Ring {
    let mut heap = Heap::new(capacity);
    let ring = heap.ring();
    TWINS.with_borrow_mut(|twins| {
        // What runs over the end of the ring is its beginning once more.
        let bytes = heap.addresses();
        let words = bytes.step_by(8).take(capacity / 8);
        let words = words.map(|word| (word, word + capacity));
        let lines = [
            &ring.sender().asked,
            &ring.receiver().asked,
            &ring.receiver().head,
        ];
        let lines = lines.map(|line| std::ptr::from_ref(line) as usize);
        let alone = lines.into_iter().chain([CLOCK]).map(|line| (line, line));
        for (word, same) in words.chain(alone) {
            let twin = Rc::new(UnsafeCell::new(Twin::new(0)));
            twins.insert(word, Rc::clone(&twin));
            twins.insert(same, twin);
        }
    });
    MEMORY.with_borrow_mut(|memory| memory.push(heap));
    ring
}

/// A word. Without a twin it is only itself, as in the tests that are no models.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) const fn new(value: u64) -> Self {
        AtomicU64(atomic::AtomicU64::new(value))
    }

    #[track_caller]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        match twin(self.0.as_ptr().addr()) {
            None => self.0.load(order),
            Some(twin) => {
                step();
                // SAFETY: the only `&mut` to a twin lives in `wrote`, which switches no threads.
                unsafe { &*twin.get() }.load(order)
            }
        }
    }

    #[track_caller]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        match twin(self.0.as_ptr().addr()) {
            None => self.0.store(value, order),
            Some(twin) => {
                step();
                // SAFETY: as in `load`.
                unsafe { &*twin.get() }.store(value, order);
            }
        }
    }
}

/// A fence between the operations of a model, and none elsewhere.
pub(crate) fn fence(order: Ordering) {
    if TWINS.with_borrow(HashMap::is_empty) {
        atomic::fence(order);
    } else {
        step();
        loom::sync::atomic::fence(order);
    }
}

/// Gives the twins the bytes that were written.
#[track_caller]
pub(crate) fn wrote(start: NonNull<u8>, len: usize) {
    for word in words(start.as_ptr(), len) {
        if let Some(twin) = twin(word.addr()) {
            step();
            tick();
            // SAFETY: the word lies in the ring's memory, and loom runs one thread at a time.
            let value = u64::from_ne_bytes(unsafe { word.read() });
            // SAFETY: nobody else runs meanwhile: `with_mut` switches no threads.
            unsafe { &mut *twin.get() }.with_mut(|twin| *twin = value);
        }
    }
}

/// Looks whether these bytes may be read now, and are what was written there last.
#[track_caller]
pub(crate) fn reads(start: NonNull<u8>, len: usize) {
    for word in words(start.as_ptr(), len) {
        if let Some(twin) = twin(word.addr()) {
            step();
            tick();
            // SAFETY: as in `load`; that nobody writes meanwhile is what loom checks here.
            let value = unsafe { (*twin.get()).unsync_load() };
            // SAFETY: as in `wrote`.
            let found = u64::from_ne_bytes(unsafe { word.read() });
            assert_eq!(found, value, "somebody wrote over a message");
        }
    }
}

/// Reads a message as its receiver's owner does.
#[track_caller]
pub(crate) fn read(msg: &[u8]) -> Vec<u8> {
    reads(NonNull::from(msg).cast(), msg.len());
    msg.to_vec()
}

/// Begins a new moment: to loom, what is no atomic access happens together with the atomic one before,
/// and a store that gives a message back would cover the reading of it that follows.
fn tick() {
    if let Some(clock) = twin(CLOCK) {
        // SAFETY: as in `AtomicU64::load`.
        unsafe { &*clock.get() }.load(Ordering::Relaxed);
    }
}

fn twin(address: usize) -> Option<Rc<UnsafeCell<Twin>>> {
    TWINS.with_borrow(|twins| twins.get(&address).cloned())
}

/// The words that `len` bytes, which begin at one, lie in.
fn words(start: *const u8, len: usize) -> impl Iterator<Item = *const [u8; 8]> {
    let start = start.cast::<[u8; 8]>();
    (0..len.div_ceil(8)).map(move |word| start.wrapping_add(word))
}

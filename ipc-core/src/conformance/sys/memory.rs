//! Memory that two processes share, and an account of what is asked for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How often a child began something, and ended it, in memory that it shares with its parent.
#[derive(Clone, Copy)]
pub(in crate::conformance) struct Marks(&'static [AtomicU64; 2]);

impl Marks {
    /// Marks for the rest of this process's life.  mmap(2)
    pub(in crate::conformance) fn new() -> Self {
        // SAFETY: a new mapping at a place that the kernel chooses.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<[AtomicU64; 2]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED, "mmap");
        // SAFETY: zeroed, aligned as pages are, never unmapped, and touched through atomics only.
        Marks(unsafe { &*page.cast() })
    }

    pub(in crate::conformance) fn reset(self) {
        self.0
            .iter()
            .for_each(|mark| mark.store(0, Ordering::SeqCst));
    }

    pub(in crate::conformance) fn begin(self) {
        self.0[0].fetch_add(1, Ordering::SeqCst);
    }

    pub(in crate::conformance) fn end(self) {
        self.0[1].fetch_add(1, Ordering::SeqCst);
    }

    /// How often it was begun, and ended.
    pub(in crate::conformance) fn read(self) -> (u64, u64) {
        let ended = self.0[1].load(Ordering::SeqCst);
        (self.0[0].load(Ordering::SeqCst), ended)
    }
}

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// The system allocator, which counts; [`conformance!`](crate::conformance!) installs it.
#[derive(Debug)]
pub struct CountingAllocator;

/// How often memory was asked for, by this whole process, through [`CountingAllocator`].
pub fn allocations() -> usize {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// The most bytes that this whole process asked for at once, through [`CountingAllocator`], since
/// this was called last.
pub fn take_largest_allocation() -> usize {
    LARGEST.swap(0, Ordering::Relaxed)
}

fn count(size: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    LARGEST.fetch_max(size, Ordering::Relaxed);
}

// SAFETY: every call goes to the system allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller keeps the same contract.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

//! Mapped memory.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::hint;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use super::page_size;

/// Bytes in a huge page, on `x86_64` and on `aarch64` with pages of 4 KiB.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Linux 6.1; musl's headers lack it.
const MADV_COLLAPSE: libc::c_int = 25;

/// A mapping, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<c_void>,
    len: NonZeroUsize,
    writable: bool,
}

// SAFETY: a mapping is the process's, not a thread's.
unsafe impl Send for Mapping {}
// SAFETY: it gives out addresses only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `head + tail` bytes of `fd`, and behind them the last `tail` bytes once more; `tail` may
    /// be 0. Both are multiples of the page size.  mmap(2)
    pub(crate) fn new(
        fd: impl AsFd,
        head: NonZeroUsize,
        tail: usize,
        writable: bool,
    ) -> io::Result<Self> {
        let once = head.saturating_add(tail);
        let len = once.saturating_add(tail);
        let access = if writable {
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
        } else {
            ProtFlags::PROT_READ
        };
        // Huge pages lie where the addresses and the offsets in the file agree: in both mappings, if
        // the first begins at such a place and is a header longer than a multiple of them.
        let start = reserve(len, tail != 0 && tail % HUGE_PAGE == 0)?;
        // It owns the whole from here on, whatever fails.
        let mapping = Mapping {
            start,
            len,
            writable,
        };
        let fixed = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        let place = start.addr();
        // SAFETY: this replaces the first part of the mapping just made, which nobody uses yet.
        unsafe { mmap(Some(place), once, access, fixed, fd.as_fd(), 0)? };
        if let Some(tail) = NonZeroUsize::new(tail) {
            let place = place.checked_add(once.get()).expect("inside a mapping");
            let offset = i64::try_from(head.get()).expect("a page or so");
            // SAFETY: this replaces the rest of the mapping just made, which nobody uses yet.
            unsafe { mmap(Some(place), tail, access, fixed, fd.as_fd(), offset)? };
        }
        Ok(mapping)
    }

    /// Maps `len` bytes that are this process's alone, zeroed; they cost nothing until they are
    /// touched.
    pub(crate) fn private(len: NonZeroUsize) -> io::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses the place, where nothing is.
        let start = unsafe { mmap_anonymous(None, len, access, MapFlags::MAP_PRIVATE)? };
        Ok(Mapping {
            start,
            len,
            writable: true,
        })
    }

    /// Moves the first `len` bytes into huge pages, wherever they are mapped: for a mapping whose
    /// `tail` is a multiple of them, and so is `len`. madvise(2)
    pub(crate) fn make_huge(&self, len: usize) -> io::Result<()> {
        assert!(len <= self.len.get());
        let mut again = 0..8;
        let done = loop {
            // SAFETY: the range lies in this mapping, and moving its pages changes none of its bytes.
            let done = unsafe { libc::madvise(self.start.as_ptr(), len, MADV_COLLAPSE) };
            match Errno::result(done) {
                // Somebody, the kernel itself perhaps, had a page in hand.
                Err(Errno::EAGAIN) if again.next().is_some() => {}
                done => break done,
            }
        };
        let (kind, reason) = match done {
            Err(Errno::EINVAL) => (
                io::ErrorKind::Unsupported,
                "the kernel makes none for shared memory: that takes Linux 6.1, \
                 transparent_hugepage/shmem_enabled other than deny, and huge pages of 2 MiB",
            ),
            Err(Errno::ENOMEM | Errno::EAGAIN | Errno::EBUSY) => (
                io::ErrorKind::OutOfMemory,
                "no memory is left in pieces of 2 MiB: have it compacted (/proc/sys/vm/compact_memory), \
                 or ask for less capacity, or for no huge pages",
            ),
            done => return Ok(done.map(drop)?),
        };
        Err(io::Error::new(kind, reason))
    }

    /// Enters every page into this process's page table, so that using it meets no page fault.
    /// madvise(2)
    pub(crate) fn prefault(&self) -> Result<(), (&'static str, io::Error)> {
        let (advice, call) = if self.writable {
            (
                MmapAdvise::MADV_POPULATE_WRITE,
                "madvise(MADV_POPULATE_WRITE)",
            )
        } else {
            (
                MmapAdvise::MADV_POPULATE_READ,
                "madvise(MADV_POPULATE_READ)",
            )
        };
        // SAFETY: the range is this mapping, and entering its pages changes none of its bytes.
        match unsafe { madvise(self.start, self.len.get(), advice) } {
            Ok(()) => Ok(()),
            Err(nix::Error::EINVAL) => {
                self.touch(); // before Linux 5.14
                Ok(())
            }
            Err(error) => Err((call, error.into())),
        }
    }

    /// Reads a byte of every page.
    fn touch(&self) {
        for offset in (0..self.len.get()).step_by(page_size()) {
            // SAFETY: inside the mapping, and atomic, since the other side may be writing there.
            let byte = unsafe { self.start.byte_add(offset).cast::<AtomicU8>().as_ref() };
            hint::black_box(byte.load(Ordering::Relaxed));
        }
    }

    /// The first byte.
    pub(crate) fn start(&self) -> NonNull<c_void> {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and the halves that hold addresses in it are
        // dropped with it. It cannot fail for a range that is mapped.
        let _ = unsafe { munmap(self.start, self.len.get()) };
    }
}

/// Addresses where nothing is, from one where a huge page could begin if `aligned`.  mmap(2)
fn reserve(len: NonZeroUsize, aligned: bool) -> io::Result<NonNull<c_void>> {
    let private = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    let spare = if aligned { HUGE_PAGE } else { 0 };
    let more = len.saturating_add(spare);
    // SAFETY: the kernel chooses the place, where nothing is.
    let start = unsafe { mmap_anonymous(None, more, ProtFlags::PROT_NONE, private)? };
    if !aligned {
        return Ok(start);
    }
    let before = start.addr().get().wrapping_neg() % HUGE_PAGE;
    // SAFETY: both parts lie in the mapping just made, which nobody uses yet.
    unsafe {
        let first = start.byte_add(before);
        for (part, len) in [(start, before), (first.byte_add(len.get()), spare - before)] {
            if len != 0 {
                munmap(part, len)?;
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{UsageWho, getrusage};

    use super::*;
    use crate::sys::memory;

    /// What stands in for madvise(2) on an old kernel.
    #[test]
    #[cfg_attr(miri, ignore)] // it maps memory
    fn touched_memory_meets_no_fault() {
        let (page, pages) = (NonZeroUsize::new(page_size()).unwrap(), 100);
        let memory = memory(page.get() * pages).unwrap();
        for writable in [false, true] {
            let touched = Mapping::new(&memory, page, page.get() * (pages - 1), writable).unwrap();
            touched.touch();
            let faults = || {
                getrusage(UsageWho::RUSAGE_THREAD)
                    .unwrap()
                    .minor_page_faults()
            };
            let before = faults();
            for offset in (0..touched.len.get()).step_by(page.get()) {
                // SAFETY: inside the mapping.
                let byte = unsafe { touched.start.byte_add(offset).cast::<AtomicU8>().as_ref() };
                if writable {
                    byte.store(1, Ordering::Relaxed);
                }
                assert_eq!(byte.load(Ordering::Relaxed), u8::from(writable));
            }
            assert!(faults() - before < 5, "{} of them", faults() - before);
        }
    }
}

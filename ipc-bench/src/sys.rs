//! What the benchmark needs from the kernel and no safe crate gives: memory shared over a fork,
//! futexes, `SysV` queues, the width of a terminal.
#![allow(unsafe_code)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::raw::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Zeroed memory that this process and those that it forks all see.  mmap(2)
#[derive(Debug)]
pub(crate) struct SharedMemory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory, bound to no thread.
unsafe impl Send for SharedMemory {}
// SAFETY: shared references hand out nothing but atomics and a raw pointer.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// `len` bytes, page-aligned and faulted in.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let size = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other.
        let start = unsafe {
            mmap_anonymous(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                flags,
            )?
        };
        let start = start.cast();
        Ok(SharedMemory { start, len })
    }

    /// Where it starts: valid for reads and writes of the length asked for while `self` lives.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The memory as atomic words, for those who use it so alone.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: page-aligned, zeroed, mapped while `self` lives; atomics may be shared.
        unsafe {
            std::slice::from_raw_parts(
                self.start.as_ptr().cast(),
                self.len / mem::size_of::<AtomicU64>(),
            )
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the whole of one mapping, which nobody borrows any more.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

/// Sleeps while `word` is `value`, or until woken.  futex(2)
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    // SAFETY: the word is a live, aligned u32; the null timeout is none. Not private: the waker is
    // another process.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            std::ptr::null::<libc::timespec>(),
        )
    };
}

/// Wakes one who sleeps on `word`.  futex(2)
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word is a live, aligned u32.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// A new private `SysV` queue, 0600.  msgget(2)
pub(crate) fn msgget() -> io::Result<c_int> {
    // SAFETY: integers only.
    check(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) })
}

/// Removes a queue.  msgctl(2)
pub(crate) fn msgctl_remove(queue: c_int) -> io::Result<()> {
    // SAFETY: IPC_RMID ignores the buffer, which may be null.
    check(unsafe { libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// Sends a message: its type in the first word, then `len` bytes.  msgsnd(2)
pub(crate) fn msgsnd(queue: c_int, message: &[u64], len: usize, flags: c_int) -> io::Result<()> {
    assert!(len <= mem::size_of_val(message) - mem::size_of::<u64>());
    // SAFETY: the buffer has a type and `len` bytes behind it, as just checked.
    check(unsafe { libc::msgsnd(queue, message.as_ptr().cast::<c_void>(), len, flags) }).map(drop)
}

/// Receives a message of any type into `message`, its type first, and returns its length.  msgrcv(2)
pub(crate) fn msgrcv(queue: c_int, message: &mut [u64], flags: c_int) -> io::Result<usize> {
    let room = mem::size_of_val(message) - mem::size_of::<u64>();
    // SAFETY: the buffer has room for a type and `room` bytes.
    let len = unsafe { libc::msgrcv(queue, message.as_mut_ptr().cast::<c_void>(), room, 0, flags) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// The bytes of words.
pub(crate) fn bytes(words: &[u64]) -> &[u8] {
    // SAFETY: every byte of a u64 is initialized, and bytes have no alignment.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), mem::size_of_val(words)) }
}

/// The bytes of words, to be written.
pub(crate) fn bytes_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: as `bytes`, and any bytes make a u64.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), mem::size_of_val(words)) }
}

/// How wide a terminal is; `None` for what is none, or does not know.  `TIOCGWINSZ(2const)`
pub(crate) fn columns(terminal: BorrowedFd<'_>) -> Option<usize> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the descriptor is open, and `size` a live place of the type that this request fills.
    let result = unsafe {
        let fd = terminal.as_raw_fd();
        libc::ioctl(fd, libc::TIOCGWINSZ, size.as_mut_ptr())
    };
    check(result).ok()?;
    // SAFETY: four integers, zeroed and then filled by the kernel.
    let columns = unsafe { size.assume_init() }.ws_col;
    (columns > 0).then_some(columns.into())
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

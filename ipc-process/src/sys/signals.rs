//! Signals: the mask of the calling thread, and signalfd(2).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// A set of signals: bit 0 is signal 1. The kernel knows 64.
pub(crate) type Signals = u64;

/// Whether the C library lets a program have this signal.  sigaddset(3)
pub(crate) fn is_given(number: i32) -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a live set, for which all zeroes are valid; what is no number of a signal is refused.
    unsafe { libc::sigaddset(set.as_mut_ptr(), number) == 0 }
}

/// Blocks signals in the calling thread; those of them that were not blocked before.
/// `pthread_sigmask(3)`
pub(crate) fn block(signals: Signals) -> io::Result<Signals> {
    change(libc::SIG_BLOCK, signals).map(|before| signals & !before)
}

/// Unblocks signals in the calling thread.  `pthread_sigmask(3)`
pub(crate) fn unblock(signals: Signals) -> io::Result<()> {
    change(libc::SIG_UNBLOCK, signals).map(drop)
}

/// A descriptor from which blocked signals are read, without waiting.  signalfd(2)
pub(crate) fn signalfd(signals: Signals) -> io::Result<OwnedFd> {
    let (set, flags) = (set_of(signals), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
    // SAFETY: the set is live; the descriptor that comes back is new.
    unsafe {
        let fd = libc::signalfd(-1, &raw const set, flags);
        Ok(OwnedFd::from_raw_fd(Errno::result(fd)?))
    }
}

/// The next signal that waits.  signalfd(2)
pub(crate) fn read_signal(fd: BorrowedFd<'_>) -> io::Result<libc::signalfd_siginfo> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let len = size_of::<libc::signalfd_siginfo>();
    // SAFETY: a live place of that size, for which all zeroes are valid; the kernel gives whole
    // ones only.
    unsafe {
        Errno::result(libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), len))?;
        Ok(info.assume_init())
    }
}

fn change(how: libc::c_int, signals: Signals) -> io::Result<Signals> {
    let set = set_of(signals);
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are live, and all zeroes are valid for one.
    let (error, before) = unsafe {
        let error = libc::pthread_sigmask(how, &raw const set, before.as_mut_ptr());
        (error, before.assume_init())
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: the set is live, the number a signal's.
    let is_in = |number: i32| unsafe { libc::sigismember(&raw const before, number) == 1 };
    let numbers = (1..=64).filter(|&number| is_in(number));
    Ok(numbers.fold(0, |all, number| all | 1 << (number - 1)))
}

fn set_of(signals: Signals) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a live set, for which all zeroes are valid, and numbers of signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for number in (1..=64).filter(|number| signals >> (number - 1) & 1 == 1) {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        set.assume_init()
    }
}

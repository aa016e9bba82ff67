//! Signals, exit handlers and the like for the tests: all that is unsafe in them.
#![allow(dead_code, unsafe_code, unreachable_pub)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};

/// Has the kernel reap children by itself.
pub fn ignore_sigchld() {
    // SAFETY: ignoring installs no handler.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
}

/// Has SIGPIPE kill this process, as it does a program in C.
pub fn default_sigpipe() {
    // SAFETY: the default installs no handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap();
}

/// Writes a byte to `fd` when this process runs its `atexit` handlers.
pub fn at_exit_write_to(fd: OwnedFd) {
    static FD: AtomicI32 = AtomicI32::new(-1);
    extern "C" fn tell() {
        // SAFETY: the buffer is alive; the descriptor was leaked.
        unsafe { libc::write(FD.load(Ordering::Relaxed), c"x".as_ptr().cast(), 1) };
    }
    FD.store(fd.as_raw_fd(), Ordering::Relaxed);
    std::mem::forget(fd);
    // SAFETY: the handler does nothing but write.
    unsafe { libc::atexit(tell) };
}

/// Prints through C's buffered stdout.
pub fn c_print(text: &CStr) {
    // SAFETY: the format takes the one string.
    unsafe { libc::printf(c"%s".as_ptr(), text.as_ptr()) };
}

pub fn c_flush() {
    // SAFETY: null means all output streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Gives the calling thread hundreds of descriptors of its own, which the kernel closes when the
/// thread has ended for `join` and is still listed.  unshare(2)
pub fn take_long_to_die() {
    // SAFETY: only this thread's table of descriptors is concerned, and nobody owns the new ones.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_FILES), 0);
        for _ in 0..900 {
            libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
        }
    }
}

/// A counter in the kernel; all of them are one inode.  eventfd(2)
pub fn eventfd() -> OwnedFd {
    // SAFETY: two integers; the descriptor is new.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
        assert!(fd >= 0);
        OwnedFd::from_raw_fd(fd)
    }
}

static ALARMS: AtomicUsize = AtomicUsize::new(0);

/// Interrupts this process a thousand times a second.
pub fn start_storm() {
    extern "C" fn count(_: i32) {
        ALARMS.fetch_add(1, Ordering::Relaxed);
    }
    let action = SigAction::new(
        SigHandler::Handler(count),
        SaFlags::empty(),
        SigSet::empty(),
    );
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: 1000,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the handler only adds to an atomic; the timer is alive and the old one not asked for.
    unsafe {
        sigaction(Signal::SIGALRM, &action).unwrap();
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}

/// How often this process was interrupted.
pub fn alarms() -> usize {
    ALARMS.load(Ordering::Relaxed)
}

/// From now on `pidfd_open` fails with ENOSYS, as on an old kernel.  seccomp(2)
pub fn take_pidfd_open_away() {
    const OFFSET_OF_NUMBER: u32 = 0;
    let call = u32::try_from(libc::SYS_pidfd_open).unwrap();
    let error = u32::try_from(libc::ENOSYS).unwrap();
    let op = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let mut filter = [
        op(
            libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
            0,
            0,
            OFFSET_OF_NUMBER,
        ),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call),
        op(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | error,
        ),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its four instructions are alive during the calls.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}

/// All descriptors that this process may still open, after lowering the limit to what it has.
pub fn take_all_descriptors() -> Vec<OwnedFd> {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_NOFILE, 32, 32).unwrap();
    let mut taken = Vec::new();
    loop {
        // SAFETY: two integers; the descriptor is new.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return taken;
        }
        // SAFETY: the descriptor is new.
        taken.push(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

/// raise(3), real-time signals too.
pub fn raise(signal: i32) {
    // SAFETY: an integer; the signal is blocked.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Blocks a signal in this thread.
pub fn block(signal: i32) {
    SigSet::from(Signal::try_from(signal).unwrap())
        .thread_block()
        .unwrap();
}

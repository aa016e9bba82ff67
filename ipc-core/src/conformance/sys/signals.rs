//! Signals: a storm of them, and SIGPIPE.

use std::sync::atomic::{AtomicU64, Ordering};

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};

/// SIGALRM, 10,000 times a second, by a handler that restarts nothing.
pub(in crate::conformance) struct Storm;

impl Storm {
    pub(in crate::conformance) fn start() -> Self {
        let action = SigAction::new(
            SigHandler::SigAction(count),
            SaFlags::SA_SIGINFO,
            SigSet::empty(),
        );
        // SAFETY: the handler adds to a counter, which is async-signal-safe.
        unsafe { sigaction(Signal::SIGALRM, &action) }.expect("sigaction");
        set_timer(PERIOD);
        Storm
    }

    /// Runs `f` in a calm.
    pub(in crate::conformance) fn calm<T>(f: impl FnOnce() -> T) -> T {
        set_timer(0);
        let result = f();
        set_timer(PERIOD);
        result
    }

    /// How many system calls of this process were cut short with EINTR so far.
    pub(in crate::conformance) fn interrupted() -> u64 {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        set_timer(0); // the handler stays: a last signal may be on its way
    }
}

/// In microseconds.
const PERIOD: i64 = 100;

static INTERRUPTED: AtomicU64 = AtomicU64::new(0);

/// A call that is not restarted has its result before the handler runs.
extern "C" fn count(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes the context that it will go on with.  sigaction(2)
    let context = unsafe { &(*context.cast::<ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let result = context.gregs[libc::REG_RAX as usize];
    #[cfg(target_arch = "aarch64")]
    let result = i64::from_ne_bytes(context.regs[0].to_ne_bytes());
    if result == -i64::from(libc::EINTR) {
        INTERRUPTED.fetch_add(1, Ordering::Relaxed);
    }
}

/// setitimer(2)
fn set_timer(microseconds: i64) {
    let period = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: the new value is live, and the old one is not asked for.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(set, 0, "setitimer");
}

/// Lets SIGPIPE kill, as it does where no Rust runtime ignores it.  signal(2)
pub(in crate::conformance) fn reset_sigpipe() {
    // SAFETY: the default action is no handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.expect("signal");
}

/// SIGPIPE's disposition, and whether it is blocked and pending.  `proc_pid_status(5)`
pub(in crate::conformance) fn sigpipe() -> [bool; 5] {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
    ["SigIgn:", "SigCgt:", "SigBlk:", "SigPnd:", "ShdPnd:"].map(|field| {
        let mask = status.lines().find_map(|line| line.strip_prefix(field));
        let mask = u64::from_str_radix(mask.expect(field).trim(), 16).expect(field);
        mask >> (libc::SIGPIPE - 1) & 1 == 1
    })
}

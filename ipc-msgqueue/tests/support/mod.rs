//! What several test files need: to know when a process sleeps in a call, and a storm of signals.
#![allow(unsafe_code, dead_code)] // a signal handler; each file uses a part

pub(crate) mod spill;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// Waits until the process `pid` sleeps in the system call `number`.
pub(crate) fn sleeps_in(pid: u32, number: libc::c_long) {
    let call = format!("{number} ");
    loop {
        // "running", or the number of the call that it sleeps in.  proc_pid_syscall(5)
        let at = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("the child lives");
        if at.starts_with(&call) {
            return;
        }
        sleep(Duration::from_micros(100));
    }
}

/// Whether the kernel still has the queue `id`.
pub(crate) fn exists(id: i32) -> bool {
    // SAFETY: `ds` is writable and of the type that IPC_STAT fills.
    unsafe { libc::msgctl(id, libc::IPC_STAT, &mut std::mem::zeroed()) == 0 }
}

/// Moves this process to an IPC namespace of its own, with limits and a list of queues of its own.
/// Only root may; for others the case ends as skipped.  `ipc_namespaces(7)`
pub(crate) fn own_namespace() {
    // SAFETY: plain numbers go in and out.
    if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
        let error = std::io::Error::last_os_error();
        ipc_core::conformance::skip(&format!("no IPC namespace of its own: {error}"));
    }
}

/// Gives up all that root may.
pub(crate) fn become_another_user() {
    // SAFETY: plain numbers go in and out.
    assert_eq!(unsafe { libc::setuid(12345) }, 0);
}

/// How many queues there are in this IPC namespace.
pub(crate) fn queues() -> usize {
    let table = fs::read_to_string("/proc/sysvipc/msg").expect("a /proc");
    table.lines().skip(1).count()
}

/// Interrupts this process 10,000 times a second, without `SA_RESTART`, while it lives.
pub(crate) struct Storm;

impl Storm {
    pub(crate) fn start() -> Self {
        extern "C" fn nothing(_: libc::c_int) {}
        let handler: extern "C" fn(libc::c_int) = nothing;
        // SAFETY: the handler does nothing, which is safe at any time.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            assert_eq!(
                libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()),
                0
            );
        }
        Storm::every(100);
        Storm
    }

    fn every(microseconds: i64) {
        let time = libc::timeval {
            tv_sec: 0,
            tv_usec: microseconds,
        };
        let timer = libc::itimerval {
            it_interval: time,
            it_value: time,
        };
        // SAFETY: `timer` outlives the call, and nothing is asked back.
        let set =
            unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
        assert_eq!(set, 0);
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        Storm::every(0);
    }
}

//! What the kernel knows of this process's barriers, and a kernel that refuses them, or something else.
#![allow(unsafe_code, dead_code)] // system calls; each file uses a part

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Whether other processes' barriers reach this one, and that can be asked for.  membarrier(2), Linux 6.3
pub(crate) fn is_registered() -> bool {
    const GET_REGISTRATIONS: libc::c_int = 1 << 9;
    // SAFETY: the call takes two numbers and touches no memory.
    let registrations = unsafe { libc::syscall(libc::SYS_membarrier, GET_REGISTRATIONS, 0) };
    registrations > 0
        && registrations & i64::from(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) != 0
}

/// A descriptor that the program before an exec left open, and that nobody else here knows.
pub(crate) fn inherited(fd: RawFd) -> OwnedFd {
    // SAFETY: as it says.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// From now on membarrier(2) is ENOSYS to this process and its children, as a sandbox has it.
pub(crate) fn refuse_membarrier() {
    refuse(libc::SYS_membarrier, libc::ENOSYS);
}

/// From now on a call is this error to this thread and what it begets.  seccomp(2)
pub(crate) fn refuse(call: libc::c_long, error: libc::c_int) {
    const NUMBER: u32 = 0; // of the call, in `struct seccomp_data`
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, k, jt, jf| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let [call, error] = [call, error.into()].map(|number| u32::try_from(number).unwrap());
    let mut steps = [
        step(LOAD, NUMBER, 0, 0),
        step(IS, call, 0, 1),
        step(RETURN, libc::SECCOMP_RET_ERRNO | error, 0, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the program and its four steps live until both calls have returned.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    assert!(refused, "{}", std::io::Error::last_os_error());
}

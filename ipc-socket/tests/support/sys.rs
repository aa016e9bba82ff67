//! All that is unsafe in the tests.
#![allow(dead_code, unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

/// asm-generic/socket.h
pub(crate) const SO_PASSPIDFD: c_int = 76;
pub(crate) const SO_PASSRIGHTS: c_int = 83;
const SO_INQ: c_int = 84;
/// Options by which the kernel tells more of each message.
pub(crate) const TELL: [c_int; 5] = [
    libc::SO_PASSCRED,
    SO_PASSPIDFD,
    libc::SO_PASSSEC,
    libc::SO_TIMESTAMP,
    SO_INQ,
];

/// Switches an option of a socket on, if the kernel has it.
pub(crate) fn switch_on(fd: &impl AsFd, option: c_int) {
    let (fd, yes): (_, c_int) = (fd.as_fd().as_raw_fd(), 1);
    let len = size_of::<c_int>().try_into().unwrap();
    // SAFETY: the option's value is an `int`, which lives through the call.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const yes).cast(), len) };
}

/// From now on the kernel does not know `option`, as an older one would not.  seccomp(2)
pub(crate) fn forget(option: c_int) {
    const NUMBER: u32 = 0; // of the call, in `struct seccomp_data`
    const OPTION: u32 = 16 + 2 * 8; // the low half of the third argument
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let word = |number| u32::try_from(number).unwrap();
    let step = |code: u32, k, jt, jf| libc::sock_filter {
        code: code.try_into().unwrap(),
        jt,
        jf,
        k,
    };
    let unknown = libc::SECCOMP_RET_ERRNO | word(libc::ENOPROTOOPT);
    let mut steps = [
        step(LOAD, NUMBER, 0, 0),
        step(IS, libc::SYS_setsockopt.try_into().unwrap(), 0, 3),
        step(LOAD, OPTION, 0, 0),
        step(IS, word(option), 0, 1),
        step(RETURN, unknown, 0, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: steps.len().try_into().unwrap(),
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the program and its steps live until both calls have returned.
    let forgotten = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    assert!(forgotten, "{}", std::io::Error::last_os_error());
}

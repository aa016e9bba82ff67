//! All that is unsafe in the tests.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

/// asm-generic/socket.h
pub(crate) const SO_PASSPIDFD: c_int = 76;
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

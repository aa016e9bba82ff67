//! The four system calls of `SysV` message queues, and all `unsafe` of this crate: [`msgget`],
//! [`msgsnd`], [`msgrcv`], and msgctl(2) as [`stat`], [`stat_any`], [`exists`], [`set`], [`remove`]
//! and [`info`]; and [`random`] bytes.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

use libc::{c_int, key_t, msginfo, msqid_ds};

/// The message buffer begins with the `mtype`, so many bytes long.
pub(crate) const MTYPE: usize = size_of::<libc::c_long>();

/// Finds or makes the queue of `key`; its id.  msgget(2)
pub(crate) fn msgget(key: key_t, flags: c_int) -> io::Result<c_int> {
    // SAFETY: plain numbers go in and out.
    check(unsafe { libc::msgget(key, flags) })
}

/// Sends `message`: its `mtype`, then its bytes.  msgop(2)
#[inline]
pub(crate) fn msgsnd(id: c_int, message: &[u8], flags: c_int) -> io::Result<()> {
    let len = message
        .len()
        .checked_sub(MTYPE)
        .expect("a message starts with its mtype");
    // SAFETY: `message` holds `MTYPE + len` readable bytes; the kernel asks for no alignment.
    check(unsafe { libc::msgsnd(id, message.as_ptr().cast(), len, flags) }).map(drop)
}

/// Receives into `buffer`, the `mtype` first; how many bytes followed it.  msgop(2)
#[inline]
pub(crate) fn msgrcv(id: c_int, buffer: &mut [u8], msgtyp: i64, flags: c_int) -> io::Result<usize> {
    let len = buffer.len().checked_sub(MTYPE).expect("room for an mtype");
    // SAFETY: `buffer` holds `MTYPE + len` writable bytes; the kernel asks for no alignment.
    let received = unsafe { libc::msgrcv(id, buffer.as_mut_ptr().cast(), len, msgtyp, flags) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// What the kernel knows of the queue (`IPC_STAT`).  msgctl(2)
pub(crate) fn stat(id: c_int) -> io::Result<msqid_ds> {
    let mut ds = MaybeUninit::<msqid_ds>::zeroed();
    // SAFETY: `ds` is writable and of the type that IPC_STAT fills.
    check(unsafe { libc::msgctl(id, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: all of its fields are integers, zeroed and then filled by the kernel.
    Ok(unsafe { ds.assume_init() })
}

/// The same, since Linux 4.17 without permission to receive.
pub(crate) fn stat_any(id: c_int) -> io::Result<msqid_ds> {
    msg_stat_any(id).or_else(|_| stat(id)) // whose error tells why
}

/// The same by index.  msgctl(2), `MSG_STAT_ANY`
fn msg_stat_any(id: c_int) -> io::Result<msqid_ds> {
    const MSG_STAT_ANY: c_int = 13; // libc lacks it
    let mut ds = MaybeUninit::<msqid_ds>::zeroed();
    // It wants an index, which an id begins with, and answers with the id of what it found there.
    // SAFETY: `ds` is writable and of the type that MSG_STAT_ANY fills.
    let found = check(unsafe { libc::msgctl(id, MSG_STAT_ANY, ds.as_mut_ptr()) })?;
    if found != id {
        return Err(io::Error::from_raw_os_error(libc::EIDRM));
    }
    // SAFETY: all of its fields are integers, zeroed and then filled by the kernel.
    Ok(unsafe { ds.assume_init() })
}

/// Whether there is such a queue, whoever may use it.
pub(crate) fn exists(id: c_int) -> bool {
    let gone = [libc::EINVAL, libc::EIDRM].map(Some);
    stat(id).map_or_else(|error| !gone.contains(&error.raw_os_error()), |_| true)
}

/// Sets owner, mode and capacity (`IPC_SET`).  msgctl(2)
pub(crate) fn set(id: c_int, mut ds: msqid_ds) -> io::Result<()> {
    // SAFETY: `ds` is of the type that IPC_SET reads.
    check(unsafe { libc::msgctl(id, libc::IPC_SET, &raw mut ds) }).map(drop)
}

/// Removes the queue and wakes all who wait for it (`IPC_RMID`).  msgctl(2)
pub(crate) fn remove(id: c_int) -> io::Result<()> {
    // SAFETY: IPC_RMID ignores its third argument.
    check(unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// The limits of this machine, or of this IPC namespace (`MSG_INFO`).  msgctl(2)
pub(crate) fn info() -> io::Result<msginfo> {
    let mut info = MaybeUninit::<msginfo>::zeroed();
    // SAFETY: MSG_INFO fills a `msginfo` through the pointer, whatever its C type.
    check(unsafe { libc::msgctl(0, libc::MSG_INFO, info.as_mut_ptr().cast()) })?;
    // SAFETY: all of its fields are integers, zeroed and then filled by the kernel.
    Ok(unsafe { info.assume_init() })
}

/// Fills `bytes` from the kernel's generator.  getrandom(2)
pub(crate) fn random(bytes: &mut [u8; 16]) -> io::Result<()> {
    // Up to 256 bytes come whole, uninterrupted, once the kernel has any.
    // SAFETY: `bytes` are so many writable bytes.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if usize::try_from(filled).is_ok_and(|filled| filled == bytes.len()) {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The C library's own, to compare with.  ftok(3)
#[cfg(test)]
pub(crate) fn ftok(path: &str, project: u8) -> key_t {
    let path = std::ffi::CString::new(path).expect("no NUL in the path");
    // SAFETY: `path` is a C string that outlives the call.
    unsafe { libc::ftok(path.as_ptr(), c_int::from(project)) }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

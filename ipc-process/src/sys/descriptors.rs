//! Descriptors: closing, replacing, the identity of what one is open on.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Closes, in a new child, a descriptor of an end that is not the child's.  close(2)
pub(crate) fn close(fd: RawFd) {
    // SAFETY: its owner is forgotten, or a variable of the parent, which the child never returns
    // to and whose capture `fork` forbids; a number that is not open is refused by the kernel.
    unsafe { libc::close(fd) };
}

/// Puts a copy of `with` in the place of `fd`, if that is open.  fcntl(2), dup3(2)
pub(crate) fn replace(fd: RawFd, with: BorrowedFd<'_>) {
    // SAFETY: the number stays open and owned by whom it was; `with` is another one, so that dup3
    // has no reason to refuse.
    unsafe {
        if libc::fcntl(fd, libc::F_GETFD) >= 0 {
            libc::dup3(with.as_raw_fd(), fd, libc::O_CLOEXEC);
        }
    }
}

/// A copy under the lowest free number from `least` on.  fcntl(2)
pub(crate) fn copy_from(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: integers, and a descriptor that is open; the one that comes back is new.
    unsafe {
        let copy = libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least);
        Ok(OwnedFd::from_raw_fd(Errno::result(copy)?))
    }
}

/// The numbers of the standard streams belong to those, should they have been closed: what is put
/// in their place later would take that of whatever else has them.
pub(crate) fn off_the_standard_streams<T: AsFd + From<OwnedFd>>(fd: T) -> io::Result<T> {
    if fd.as_fd().as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    copy_from(fd.as_fd(), libc::STDERR_FILENO + 1).map(T::from)
}

/// The end to read and the end to write of a pipe for a new process.  pipe2(2)
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let writer = off_the_standard_streams(writer)?;
    Ok((off_the_standard_streams(reader)?, writer))
}

/// What tells an end from every other: the object, and which way it is open, since both ends of a
/// pipe are one inode. The type, too: a file system gives a deleted FIFO's number to the next file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    kind: libc::mode_t,
    access: i32,
}

/// The identity of what `fd` is open on; `None` if it is not open, or on something without an
/// inode of its own (all eventfds share one).  fstat(2), fcntl(2)
pub(crate) fn identity(fd: RawFd) -> Option<Identity> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `stat` is a live place of its type, for which all zeroes are valid; a number that is
    // not open is refused by the kernel.
    let (stat, flags) = unsafe {
        if libc::fstat(fd, stat.as_mut_ptr()) != 0 {
            return None;
        }
        (stat.assume_init(), libc::fcntl(fd, libc::F_GETFL))
    };
    let kind = stat.st_mode & libc::S_IFMT;
    (kind != 0).then_some(Identity {
        device: stat.st_dev,
        inode: stat.st_ino,
        kind,
        access: flags & libc::O_ACCMODE,
    })
}

/// Whether `fd` is a pipe, a FIFO or a socket: what can hold an unsent tail.  fstat(2)
pub(crate) fn is_stream(fd: BorrowedFd<'_>) -> bool {
    use nix::sys::stat::{SFlag, fstat};
    fstat(fd).is_ok_and(|stat| {
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK
    })
}

/// Locks the file that `fd` is open on, without waiting.  flock(2)
///
/// Not nix's, whose lock is undone by a drop in any process that has it.
pub(crate) fn lock(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers, and a descriptor that is open.
    let locked = unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    Errno::result(locked)?;
    Ok(())
}

//! System calls: making shared memory and pipes, sealing, mapping, and a
//! barrier for other processes.
#![allow(unsafe_code)]

mod mapping;
pub(crate) mod socket;

pub(crate) use mapping::{HUGE_PAGE, Mapping};

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::{SysconfVar, pipe2, read, sysconf, write};

use crate::limits;

/// A read end and a write end, closed on exec, and written and read once: the kernel keeps the page
/// that this took, so that no later write of little lacks memory.  pipe(2)
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    write(&writer, &[1])?;
    read(&reader, &mut [0])?;
    Ok((reader, writer))
}

/// Bytes in a page of memory.  sysconf(3)
pub(crate) fn page_size() -> usize {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok())
        .unwrap_or(4096)
}

/// `len` bytes of shared memory, zeroed and really there.  `memfd_create(2)`, fallocate(2)
pub(crate) fn memory(len: usize) -> Result<OwnedFd, (&'static str, io::Error)> {
    limits::check(len).map_err(|error| ("fallocate", error))?;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let fd = memfd_create(c"ipc-shm", flags).map_err(|error| ("memfd_create", error.into()))?;
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|error| ("fchmod", error.into()))?;
    let size = i64::try_from(len).unwrap_or(i64::MAX);
    // Not ftruncate: a page that memory is lacking for is then an error here, and no SIGBUS later.
    loop {
        match fallocate(&fd, FallocateFlags::empty(), 0, size) {
            Err(Errno::EINTR) => {}
            Err(Errno::ENOSPC) => return Err(("fallocate", committed())),
            Err(error) => return Err(("fallocate", error.into())),
            Ok(()) => return Ok(fd),
        }
    }
}

/// What a memfd, which lies on no device and has no quota, means by ENOSPC.
fn committed() -> io::Error {
    let reason = "the memory that may be committed is used up (CommitLimit, with \
                  vm.overcommit_memory 2); raise it, or ask for less capacity";
    io::Error::new(io::ErrorKind::OutOfMemory, reason)
}

/// Fixes the size of a memfd for ever, and with `writers` the set of those who can write it: whoever
/// has it mapped writable by now. `F_ADD_SEALS`
pub(crate) fn seal(fd: &OwnedFd, writers: bool) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_ADD_SEALS(seals(writers)))?;
    Ok(())
}

fn seals(writers: bool) -> SealFlag {
    // Linux 5.1.  include/uapi/linux/fcntl.h
    const F_SEAL_FUTURE_WRITE: SealFlag = SealFlag::from_bits_retain(0x10);
    let size = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    if writers {
        size | F_SEAL_FUTURE_WRITE
    } else {
        size
    }
}

/// Why `fd` is not `len` bytes of memory that will stay so, or with `writers` can be written by
/// those alone who have it mapped now; `None` if it is.
pub(crate) fn is_no_memory(
    fd: &OwnedFd,
    len: usize,
    writers: bool,
) -> io::Result<Option<&'static str>> {
    // First what asks no file system: one in user space could let us wait for ever.
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    if flags & (OFlag::O_ACCMODE | OFlag::O_PATH) != OFlag::O_RDWR {
        return Ok(Some("it is not open for reading and writing"));
    }
    // Only memfds that were made to be sealed have more than F_SEAL_SEAL; a file of a tmpfs never does.
    let found = match fcntl(fd, FcntlArg::F_GET_SEALS) {
        Err(Errno::EINVAL) => return Ok(Some("it is no memfd")),
        found => SealFlag::from_bits_retain(found?),
    };
    if !found.contains(seals(writers)) {
        return Ok(Some("it is not sealed"));
    }
    // Huge pages are not there before they are touched, and may be lacking then.
    if fstatfs(fd)?.filesystem_type() != TMPFS_MAGIC {
        return Ok(Some("it is not made of normal pages"));
    }
    let stat = fstat(fd)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG || u64::try_from(stat.st_size) != Ok(len as u64) {
        return Ok(Some("it has another size"));
    }
    if u64::try_from(stat.st_blocks).unwrap_or(0) < len as u64 / 512 {
        return Ok(Some("its memory was not allocated"));
    }
    // Blocks are counted behind the end, too. Where the kernel does not tell, they are all there is.
    if pages(fd, len).is_some_and(|pages| pages < (len / page_size()) as u64) {
        return Ok(Some("its memory was allocated elsewhere"));
    }
    Ok(None)
}

/// The pages that there are of the first `len` bytes of a file that is open for writing, in memory or
/// swapped out, written or only allocated. (`SEEK_HOLE` takes those for holes.) `None` if the kernel
/// refuses. Linux 6.5.  `cachestat(2)`
fn pages(fd: &OwnedFd, len: usize) -> Option<u64> {
    // Numbered alike everywhere.  include/uapi/asm-generic/unistd.h
    const SYS_CACHESTAT: libc::c_long = 451;
    let range = [0, len as u64];
    // Cached, dirty, in writeback, evicted, evicted recently.
    let mut counts = [0_u64; 5];
    let (from, to) = (range.as_ptr(), counts.as_mut_ptr());
    // SAFETY: the call reads two numbers and writes five, as many as are there.
    let done = unsafe { libc::syscall(SYS_CACHESTAT, fd.as_raw_fd(), from, to, 0) };
    (done == 0).then(|| counts[0] + counts[3])
}

/// Lets [`barrier`] reach this process, in whichever process it is called; false if the kernel
/// refuses. It costs a few microseconds the first time, and holds until an exec.  membarrier(2)
pub(crate) fn register() -> bool {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)
}

/// Passes a full barrier on every processor that runs a process which is registered; false if the
/// kernel refuses. Linux 4.16.  membarrier(2)
pub(crate) fn barrier() -> bool {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}

fn membarrier(command: libc::c_int) -> bool {
    if cfg!(miri) {
        return false; // what they know of are fences
    }
    // SAFETY: the call takes two numbers and touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0) == 0 }
}

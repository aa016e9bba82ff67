//! Between fork and exec, and what a program finds that was started so.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::unistd::Pid;

/// What a child does between fork and exec. Only calls of signal-safety(7): the parent may have
/// threads, and one of them may have held a lock.
pub(crate) trait BeforeExec: Send + Sync + 'static {
    /// Does it; an error ends the child, and is that of the start.
    fn run(&self) -> io::Result<()>;
}

/// Has the command's child run `step` before exec.
pub(crate) fn before_exec(command: &mut Command, step: impl BeforeExec) {
    // SAFETY: the trait's contract: `step` neither allocates nor locks.
    unsafe { command.pre_exec(move || step.run()) };
}

/// Lets `fd` pass the next exec of this process, a new child.  fcntl(2)
pub(crate) fn keep_over_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers, and a descriptor that is open.
    Errno::result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) })?;
    Ok(())
}

/// A copy of `fd` under the number `number`, which passes an exec of this process, a new child.
/// dup2(2)
pub(crate) fn put_under(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    if fd.as_raw_fd() == number {
        return keep_over_exec(fd);
    }
    // SAFETY: whoever had the number is on the other side of the exec.
    Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), number) })?;
    Ok(())
}

/// The file that a parent left open under this number, if it is one without a name: to be looked
/// at, and not owned.  fstat(2)
pub(crate) fn nameless_file(number: RawFd) -> Option<std::mem::ManuallyDrop<File>> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    if number <= libc::STDERR_FILENO || super::identity(number).is_none() {
        return None;
    }
    // SAFETY: it was open just now. If it is somebody else's it is only looked at, here, and not
    // closed.
    let file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(number) });
    let meta = file.metadata().ok()?;
    let plain = meta.is_file() && !meta.file_type().is_char_device();
    (plain && meta.nlink() == 0).then_some(file)
}

/// Takes possession of a descriptor that the parent handed over an exec, and makes it
/// close-on-exec.  fcntl(2)
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the one caller has read, in a manifest that was made for this process and is taken
    // once, that the number is this process's to own.
    unsafe {
        Errno::result(libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// Has the kernel send this process `signal` when the thread that made it ends; if the process
/// `parent` has ended already, sends it now.  `PR_SET_PDEATHSIG(2const)`
pub(crate) fn set_parent_death(signal: i32, parent: Pid) -> io::Result<()> {
    // SAFETY: integers, and calls that are signal-safe.
    unsafe {
        Errno::result(libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0))?;
        if libc::getppid() != parent.as_raw() {
            Errno::result(libc::raise(signal))?;
        }
    }
    Ok(())
}

/// How much of the processor this process leaves to others.  setpriority(2)
pub(crate) fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: integers; 0 is `PRIO_PROCESS`, whose type is not the same everywhere, and oneself.
    Errno::result(unsafe { libc::setpriority(0, 0, nice) })?;
    Ok(())
}

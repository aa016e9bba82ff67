//! Processes: fork and its ending, pidfds.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::unistd::{ForkResult, Pid};

/// Forks; the child gets `None`.  fork(2)
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the callers have refused a second thread, so that the child may do whatever this
    // process may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => Ok(None),
        ForkResult::Parent { child } => Ok(Some(child)),
    }
}

/// Ends this process without `atexit` handlers and destructors.  _exit(2)
pub(crate) fn exit_now(code: u8) -> ! {
    // SAFETY: the call has no preconditions.
    unsafe { libc::_exit(code.into()) }
}

/// Writes out what C's streams have buffered.  fflush(3)
pub(crate) fn flush_c_streams() {
    // SAFETY: null means all output streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// A descriptor of the process `pid`, born close-on-exec.  `pidfd_open(2)`, Linux 5.3
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: two integers; a descriptor that comes back is new and nobody else's.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0);
        let fd = RawFd::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }
}

/// Sends a signal.  `pidfd_send_signal(2)`, Linux 5.1
pub(crate) fn pidfd_send_signal(fd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: an open descriptor, integers, and a null siginfo, which asks for that of kill(2).
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, info, 0) };
    if sent == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Waits for the child, and reaps it unless `WNOWAIT` is set; with `WNOHANG`, `None` if there is
/// nothing to tell.  waitid(2), Linux 5.4
///
/// Not nix's: that has no room for a real-time signal in a status.
pub(crate) fn waitid(fd: BorrowedFd<'_>, flags: i32) -> io::Result<Option<ExitStatus>> {
    let id = libc::id_t::try_from(fd.as_raw_fd()).map_err(io::Error::other)?;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: `info` is a live place of its type.
        let waited = unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), flags) };
        if waited == 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all zeroes is a siginfo, and so is what waitid wrote: that of SIGCHLD, which has the
    // two fields.
    let (code, pid, status) = unsafe {
        let info = info.assume_init();
        (info.si_code, info.si_pid(), info.si_status())
    };
    Ok((pid != 0).then(|| {
        ExitStatus::from_raw(match code {
            libc::CLD_EXITED => (status & 0xff) << 8,
            libc::CLD_DUMPED => status | 0x80,
            _ => status,
        })
    }))
}
